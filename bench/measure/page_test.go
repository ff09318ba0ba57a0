package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample() *results {
	return &results{
		Taken:    "2026-01-02T03:04:05Z",
		Version:  "v1.2.3",
		Go:       "go1.26",
		Machine:  machine{CPU: "A Processor", Cores: 2, Virtual: true, MemoryGiB: 23.6, Kernel: "Linux 6.1"},
		Settings: settings{Repeat: 3, Connections: 15000, Subscribers: 5000, Upgrades: 10000, Starts: 20, Seconds: 10, Drain: 10, LoadCore: 1, ServerArgs: []string{"serve", "--drain", "10s"}},
		Cells:    cells,
		Figures: map[string][]float64{
			figIdleRSS:       {0.9, 0.8, 1.1},
			figDelivery20:    {9, 12, 8},
			figPass20:        {1, 1, 1},
			figPass5:         {1, 1, 1},
			figFloor20:       {8, 8, 8},
			figFloorTight:    {5, 5, 5},
			figCeiling:       {1900000, 2100000, 2000000},
			figDrainTold:     {15000, 15000, 14999},
			figDrainLast:     {9.9, 9.95, 10.2},
			figReady:         {12.34},
			figDisturbance:   {0.01, 0.02, 0.01},
			figBurst:         {2, 2.5, 1.2},
			figUpgrades:      {0.5, 0.6, 0.55},
			figDrainExit:     {10.1, 10.2, 10.3},
			figUpgradeRate:   {20000, 21000, 22000},
			figIdleKernel:    {-0.01, 0, 0.01},
			figDeflateRSS:    {0.9, 0.9, 0.9},
			figDelivery5:     {9, 9, 9},
			figFloor5:        {9, 9, 9},
			figDrainFirst:    {0.001, 0.001, 0.001},
			figBinary:        {12.7},
			figReadyWorst:    {20},
			figIdleBase:      {14.3, 14.3, 14.3},
			figCeilingLoad:   {0.99, 0.98, 0.97},
			figDrainExitCode: {0, 0, 0},
		},
	}
}

func TestLines(t *testing.T) {
	byTitle := map[string]line{}
	for _, l := range sample().lines() {
		byTitle[l.Cell+": "+l.Title] = l
	}
	for title, want := range map[string]line{
		"idle: Resident memory per idle connection":           {Figure: "0.90 KiB", Range: "0.80 – 1.10", Target: "≤ 1.00 KiB", Verdict: "reached (not in 1 of 3)"},
		"fanout: CPU per delivery, 20 messages a second":      {Figure: "9.00 µs", Range: "8.00 – 12.00"},
		"fanout: CPU per delivery, bursts of 10":              {Figure: "2.00 µs", Range: "1.20 – 2.50", Target: "≤ 1.50 µs", Verdict: "not reached (but in 1 of 3)"},
		"fanout: Ceiling, deliveries a second":                {Figure: "2,000,000", Range: "1,900,000 – 2,100,000", Target: "≥ 1,500,000", Verdict: "reached"},
		"fanout: — of its core the load used then":            {Figure: "98 %", Range: "97 – 99"},
		"upgrades: CPU of 10,000 upgrades":                    {Figure: "0.550 s", Range: "0.500 – 0.600", Target: "≤ 0.450 s", Verdict: "not reached"},
		"ready: exec to the first 200 of `/ready`, median":    {Figure: "12.3 ms", Target: "≤ 100.0 ms", Verdict: "reached"},
		"idle: Kernel memory per connection end":              {Figure: "0.00 KiB", Range: "-0.01 – 0.01"},
		"drain: Connections told 1001 `Server shutting down`": {Figure: "15,000", Range: "14,999 – 15,000", Target: "≥ 15,000", Verdict: "reached (not in 1 of 3)"},
		"drain: — last close after SIGTERM":                   {Figure: "9.950 s", Range: "9.900 – 10.200", Target: "≤ 10.100 s", Verdict: "reached (not in 1 of 3)"},
		"drain: — exit code":                                  {Figure: "0", Range: "0 – 0", Target: "≤ 0", Verdict: "reached"},
	} {
		got, ok := byTitle[title]
		if !ok {
			t.Errorf("%s is missing", title)
		} else if got.Figure != want.Figure || got.Range != want.Range || got.Target != want.Target || got.Verdict != want.Verdict {
			t.Errorf("%s: %q, %q, %q, %q", title, got.Figure, got.Range, got.Target, got.Verdict)
		}
	}
	if _, ok := byTitle["drain: — distance from an even spread (K–S)"]; ok {
		t.Error("a line without values is shown")
	}
}

func TestTheRatioIsTakenWithinARepetition(t *testing.T) {
	r := sample()
	for _, l := range r.lines() {
		if strings.Contains(l.Title, "same pace") {
			// 9/8, 12/8 and 8/8: the median of the ratios.
			if l.Figure != "1.12 ×" && l.Figure != "1.13 ×" || l.Verdict != "reached (not in 1 of 3)" {
				t.Errorf("%q, %q", l.Figure, l.Verdict)
			}
			return
		}
	}
	t.Error("no ratio")
}

func TestPageHasEveryLineWithItsCommand(t *testing.T) {
	r := sample()
	text, err := r.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.lines() {
		for _, want := range []string{"| " + l.Title + " | " + l.Figure + " |", "`go run ./bench/measure --cell " + l.Cell + "`"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	}
	for _, want := range []string{"2026-01-02", "A Processor, virtual, 2 cores, 24 GiB", "Linux 6.1", "`fairlead serve --drain 10s`", "### Drain"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"not quiet", "<no value>", "NaN"} {
		if strings.Contains(string(text), no) {
			t.Errorf("the page has %q", no)
		}
	}
}

func TestPageSaysWhatDisturbedIt(t *testing.T) {
	r := sample()
	r.Figures[figDisturbance][1] = 0.4
	text, err := r.render()
	if err != nil || !strings.Contains(string(text), "40 % at most: **not quiet") {
		t.Errorf("%v, %s", err, text)
	}
}

func TestPageLeavesOutWhatWasNotMeasured(t *testing.T) {
	r := sample()
	r.Figures = map[string][]float64{figReady: {12}}
	text, err := r.render()
	if err != nil || !strings.Contains(string(text), "### Start") || strings.Contains(string(text), "### Drain") {
		t.Errorf("%v, %s", err, text)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := sample().table(&out); err != nil || !strings.Contains(out.String(), "2,000,000") || strings.Contains(out.String(), "not quiet") {
		t.Errorf("%v, %s", err, out.String())
	}
}

// No figure on the page is written by hand.
func TestThePageIsWhatTheResultsSay(t *testing.T) {
	root := filepath.Join("..", "..")
	r, err := readResults(filepath.Join(root, resultsFile))
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what `go run ./bench/measure page` writes from %s", pageFile, resultsFile)
	}
}

func TestResultsSurviveTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "results.json")
	if err := sample().write(name); err != nil {
		t.Fatal(err)
	}
	r, err := readResults(name)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := sample().render()
	b, _ := r.render()
	if !bytes.Equal(a, b) {
		t.Error("the page of what was read differs from that of what was written")
	}
	if _, err := readResults(name + ".not"); err == nil || !strings.Contains(err.Error(), "measure first") {
		t.Errorf("without the file: %v", err)
	}
}
