//go:build integration

// Package jsclient tests console/fairlead.js where it runs: its logic in Node
// against a network that the tests make up, as written and minified; its types
// with TypeScript's compiler; and all of it against the real binary.
package jsclient

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	source = "../../console/fairlead.js"
	types  = "../../console/fairlead.d.ts"

	// maxMinified is the promise to those who ship it in their page.
	maxMinified = 4 << 10

	// toolTime is how long a Node process that ends by itself may take on a busy
	// machine; the type checker is the slowest.
	toolTime = 2 * time.Minute
)

// tool runs a program to its end and returns what it wrote.
func tool(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// installed is a program of node_modules.
func installed(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join("node_modules", path)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make setup`, or `npm ci --ignore-scripts` in test/jsclient", err)
	}
	return path
}

// modules are fairlead.js as written and minified, under names by which every
// Node takes them for modules.
var modules = sync.OnceValues(func() (map[string][]byte, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return nil, err
	}
	small, err := exec.Command("node", "node_modules/terser/bin/terser", source, "--module", "--compress", "--mangle").Output()
	if err != nil {
		return nil, fmt.Errorf("minifying: %w", err)
	}
	return map[string][]byte{"fairlead.mjs": text, "fairlead.min.mjs": small}, nil
})

// module writes one of them to a file.
func module(t *testing.T, name string) string {
	t.Helper()
	installed(t, "terser/bin/terser")
	all, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, all[name], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestItStaysSmall(t *testing.T) {
	text, err := os.ReadFile(module(t, "fairlead.min.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes minified", len(text))
	if len(text) >= maxMinified {
		t.Errorf("%d bytes minified, want less than %d", len(text), maxMinified)
	}
}

// The same tests for both: a minifier that broke something would break it for
// those who ship the small one.
func TestItsLogic(t *testing.T) {
	declarations, err := filepath.Abs(types)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fairlead.mjs", "fairlead.min.mjs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tool(t, []string{"FAIRLEAD_JS=" + module(t, name), "FAIRLEAD_TYPES=" + declarations},
				"node", "--test", "backoff.test.mjs", "resume.test.mjs", "client.test.mjs")
		})
	}
}

func TestItsTypes(t *testing.T) {
	tool(t, nil, "node", installed(t, "typescript/bin/tsc"), "--noEmit", "--strict",
		"--target", "es2022", "--lib", "es2022,dom", "--module", "esnext", "--moduleResolution", "bundler", "types.ts")
}
