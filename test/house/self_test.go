package house

import (
	"strings"
	"testing"
)

// A rule that never fires is worse than none.
func TestEachRuleTellsGoodFromBad(t *testing.T) {
	const sleepy = "package p\nfunc TestX(t *T) { time.Sleep(1) }\n"
	for name, c := range map[string]struct {
		rule  func(source) []string
		file  string
		text  string
		fault string // part of the complaint; empty: none
	}{
		"a file of 499 lines is short":       {short, "a.js", strings.Repeat("\n", 499), ""},
		"a file of 500 lines is long":        {short, "a.js", strings.Repeat("\n", 500), "split it"},
		"a marker in a comment is found":     {finished, "a.css", "ok\n/* TO" + "DO later */", "line 2"},
		"a word that holds a marker is fine": {finished, "a.go", "package masTO" + "DOn", ""},
		"a package called util":              {named, "internal/util/a.go", "package util", "after what it does"},
		"and its external test":              {named, "internal/util/a_test.go", "package util_test", "after what it does"},
		"a package called hub":               {named, "internal/hub/a.go", "package hub", ""},
		"a leaf that imports a leaf":         {leaves, "internal/hub/a.go", `package hub; import "fairlead/internal/ws"`, "wire it"},
		"a leaf that imports the console":    {leaves, "internal/ws/a_test.go", `package ws; import "fairlead/console"`, "wire it"},
		"a leaf that imports its own folder": {leaves, "internal/ws/a.go", `package ws; import "fairlead/internal/ws/wire"`, ""},
		"a leaf with a longer name":          {leaves, "internal/ws/a.go", `package ws; import "fairlead/internal/wstest"`, "wire it"},
		"a leaf that imports another module": {leaves, "internal/ws/a.go", `package ws; import "fairleader/x"`, ""},
		"a leaf that implements a leaf":      {leaves, "internal/valkey/a.go", `package valkey; import "fairlead/internal/hub"`, ""},
		"but not the other way round":        {leaves, "internal/hub/a.go", `package hub; import "fairlead/internal/valkey"`, "wire it"},
		"and it knows no other leaf":         {leaves, "internal/valkey/a.go", `package valkey; import "fairlead/internal/ws"`, "wire it"},
		"the HTTP surface wires leaves":      {leaves, "internal/httpapi/a.go", `package httpapi; import "fairlead/internal/ws"`, ""},
		"the command wires leaves":           {leaves, "cmd/fairlead/a.go", `package main; import "fairlead/internal/ws"`, ""},
		"a test that sleeps":                 {awake, "a_test.go", sleepy, "synctest"},
		"a test that looks, then sleeps":     {awake, "a_test.go", "package p\nfunc TestX(t *T) { for !ok() { time.Sleep(1) } }", ""},
		"a test that sleeps after a loop":    {awake, "a_test.go", "package p\nfunc TestX(t *T) { for !ok() {}; time.Sleep(1) }", "line 2"},
		"a program that sleeps":              {awake, "a.go", sleepy, ""},
		"a test that sleeps in a bubble":     {awake, "a_test.go", "package p\nimport \"testing/synctest\"\nfunc TestX(t *T) { time.Sleep(1) }", ""},
		"a test that skips itself":           {awake, "a_test.go", `package p; func TestX(t *T) { t.Skipf("no redis") }`, "make setup"},
		"a fuzz target that skips an input":  {awake, "a_test.go", "package p; func FuzzX(f *F) { f.Fuzz(func(t *T) { t.Skip() }) }", ""},
		"a file that does not parse is told": {awake, "a_test.go", "func", "expected 'package'"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(c.rule(source{c.file, []byte(c.text)}), "\n")
			if c.fault == "" && got != "" || !strings.Contains(got, c.fault) {
				t.Errorf("got %q, want %q", got, c.fault)
			}
		})
	}
}
