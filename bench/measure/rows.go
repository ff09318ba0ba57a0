package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is one line of the report.
type row struct {
	Cell  string
	Title string
	unit  string
	// digits after the decimal point.
	digits int
	values func(r *results) []float64
	// target is what the median must not pass, or must reach if atLeast; nil: the
	// row is there for information.
	target  func(s settings) float64
	atLeast bool
}

// of takes a figure as it is.
func of(figure string) func(*results) []float64 {
	return func(r *results) []float64 { return r.Figures[figure] }
}

// writes takes the CPU of a delivery, times the messages a pass carried, against
// another figure of the same repetition. A server that falls behind puts several
// messages into one write; that is its merit, but not a cheaper write.
func writes(delivery, pass, by string) func(*results) []float64 {
	return func(r *results) []float64 {
		return ratios(products(r.Figures[delivery], r.Figures[pass]), r.Figures[by])
	}
}

// over takes a figure against another of the same repetition.
func over(figure, by string) func(*results) []float64 {
	return func(r *results) []float64 { return ratios(r.Figures[figure], r.Figures[by]) }
}

func percent(figure string) func(*results) []float64 {
	return func(r *results) []float64 {
		var p []float64
		for _, v := range r.Figures[figure] {
			p = append(p, 100*v)
		}
		return p
	}
}

func fixed(v float64) func(settings) float64 { return func(settings) float64 { return v } }

// rows are the report, in order.
var rows = []row{
	{Cell: "idle", Title: "Resident memory per idle connection", unit: "KiB", digits: 2, values: of(figIdleRSS), target: fixed(1)},
	{Cell: "idle", Title: "— of it anonymous (no program pages)", unit: "KiB", digits: 2, values: of(figIdleAnon)},
	{Cell: "idle", Title: "— with permessage-deflate negotiated", unit: "KiB", digits: 2, values: of(figDeflateRSS), target: fixed(1)},
	{Cell: "idle", Title: "— of it anonymous", unit: "KiB", digits: 2, values: of(figDeflateAnon)},
	{Cell: "idle", Title: "— in resumable mode", unit: "KiB", digits: 2, values: of(figResumableRSS), target: fixed(1)},
	{Cell: "idle", Title: "Kernel memory per connection end", unit: "KiB", digits: 2, values: of(figIdleKernel)},
	{Cell: "idle", Title: "Resident memory before the first connection", unit: "MiB", digits: 1, values: of(figIdleBase)},

	{Cell: "fanout", Title: "Floor: one write(2), back to back", unit: "µs", digits: 2, values: of(figFloorTight)},
	{Cell: "fanout", Title: "Floor: 20 passes a second", unit: "µs", digits: 2, values: of(figFloor20)},
	{Cell: "fanout", Title: "— against back to back", unit: "×", digits: 2, values: over(figFloor20, figFloorTight)},
	{Cell: "fanout", Title: "Floor: 5 passes a second", unit: "µs", digits: 2, values: of(figFloor5)},
	{Cell: "fanout", Title: "— against back to back", unit: "×", digits: 2, values: over(figFloor5, figFloorTight)},
	{Cell: "fanout", Title: "CPU per delivery, 20 messages a second", unit: "µs", digits: 2, values: of(figDelivery20)},
	{Cell: "fanout", Title: "— messages per pass", digits: 2, values: of(figPass20)},
	{Cell: "fanout", Title: "— a write against the floor of the same pace", unit: "×", digits: 2, values: writes(figDelivery20, figPass20, figFloor20), target: fixed(1.2)},
	{Cell: "fanout", Title: "— a write against the floor back to back", unit: "×", digits: 2, values: writes(figDelivery20, figPass20, figFloorTight), target: fixed(1.2)},
	{Cell: "fanout", Title: "CPU per delivery, 5 messages a second", unit: "µs", digits: 2, values: of(figDelivery5)},
	{Cell: "fanout", Title: "— messages per pass", digits: 2, values: of(figPass5)},
	{Cell: "fanout", Title: "— a write against the floor of the same pace", unit: "×", digits: 2, values: writes(figDelivery5, figPass5, figFloor5), target: fixed(1.2)},
	{Cell: "fanout", Title: "— a write against the floor back to back", unit: "×", digits: 2, values: writes(figDelivery5, figPass5, figFloorTight), target: fixed(1.2)},
	{Cell: "fanout", Title: "CPU per delivery, bursts of 10", unit: "µs", digits: 2, values: of(figBurst), target: fixed(1.5)},
	{Cell: "fanout", Title: "— messages per pass", digits: 2, values: of(figPassBurst)},
	{Cell: "fanout", Title: "Ceiling, deliveries a second", digits: 0, values: of(figCeiling), target: fixed(1.5e6), atLeast: true},
	{Cell: "fanout", Title: "— messages under way then", digits: 0, values: of(figCeilingWindow)},
	{Cell: "fanout", Title: "— how long a message was under way then", unit: "ms", digits: 0, values: of(figCeilingRound)},
	{Cell: "fanout", Title: "— of its core the server used then", unit: "%", digits: 0, values: percent(figCeilingServer)},
	{Cell: "fanout", Title: "— of its core the load used then", unit: "%", digits: 0, values: percent(figCeilingLoad)},

	{Cell: "fanout", Title: "Deliveries a second with 32 messages under way", digits: 0, values: of(figWindow(32))},
	{Cell: "fanout", Title: "— with 128", digits: 0, values: of(figWindow(128))},
	{Cell: "fanout", Title: "— with 512", digits: 0, values: of(figWindow(512))},
	{Cell: "fanout", Title: "— with 1,024", digits: 0, values: of(figWindow(1024))},

	{Cell: "upgrades", Title: "CPU of 10,000 upgrades", unit: "s", digits: 3, values: of(figUpgrades), target: fixed(0.45)},
	{Cell: "upgrades", Title: "— upgrades a second meanwhile", digits: 0, values: of(figUpgradeRate)},

	{Cell: "ready", Title: "exec to the first 200 of `/ready`, median", unit: "ms", digits: 1, values: of(figReady), target: fixed(100)},
	{Cell: "ready", Title: "— the slowest start", unit: "ms", digits: 1, values: of(figReadyWorst)},
	{Cell: "size", Title: "Size of the binary", unit: "MB", digits: 1, values: of(figBinary), target: fixed(20)},

	{Cell: "drain", Title: "Connections told 1001 `Server shutting down`", digits: 0, values: of(figDrainTold), target: func(s settings) float64 { return float64(s.Connections) }, atLeast: true},
	{Cell: "drain", Title: "— first close after SIGTERM", unit: "s", digits: 3, values: of(figDrainFirst)},
	{Cell: "drain", Title: "— last close after SIGTERM", unit: "s", digits: 3, values: of(figDrainLast), target: func(s settings) float64 { return s.Drain * 1.01 }},
	{Cell: "drain", Title: "— distance from an even spread (K–S)", digits: 4, values: of(figDrainDistance), target: fixed(0.02)},
	{Cell: "drain", Title: "— end of the process after SIGTERM", unit: "s", digits: 3, values: of(figDrainExit)},
	{Cell: "drain", Title: "— exit code", digits: 0, values: of(figDrainExitCode), target: fixed(0)},
}

// line is a row with its values put in.
type line struct {
	row
	Figure, Range, Target, Verdict string
}

// lines are the rows that were measured.
func (r *results) lines() []line {
	var all []line
	for _, w := range rows {
		values := w.values(r)
		if len(values) == 0 {
			continue
		}
		l := line{row: w, Figure: w.show(median(values))}
		if len(values) > 1 {
			l.Range = w.number(slices.Min(values)) + " – " + w.number(slices.Max(values))
		}
		if w.target != nil {
			target := w.target(r.Settings)
			sign := "≤ "
			if w.atLeast {
				sign = "≥ "
			}
			l.Target = sign + w.show(target)
			l.Verdict = w.verdict(values, target)
		}
		all = append(all, l)
	}
	return all
}

// verdict judges the median, and says so when a repetition disagrees.
func (w row) verdict(values []float64, target float64) string {
	reached := func(v float64) bool { return w.atLeast && v >= target || !w.atLeast && v <= target }
	dissent := 0
	for _, v := range values {
		if reached(v) != reached(median(values)) {
			dissent++
		}
	}
	switch {
	case reached(median(values)) && dissent == 0:
		return "reached"
	case reached(median(values)):
		return fmt.Sprintf("reached (not in %d of %d)", dissent, len(values))
	case dissent == 0:
		return "not reached"
	}
	return fmt.Sprintf("not reached (but in %d of %d)", dissent, len(values))
}

// show is a value with its unit.
func (w row) show(v float64) string {
	if w.unit == "" {
		return w.number(v)
	}
	return w.number(v) + " " + w.unit
}

// number is a value with thousands set apart.
func (w row) number(v float64) string {
	text := strconv.FormatFloat(v, 'f', w.digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	sign, whole := "", whole
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}

// table prints the lines for a terminal.
func (r *results) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nfigure\tmedian\trange\ttarget\tverdict")
	for _, l := range r.lines() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", strings.ReplaceAll(l.Title, "`", ""), l.Figure, l.Range, l.Target, l.Verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if d := r.disturbance(); d > quiet {
		fmt.Fprintf(out, "\nThe machine was not quiet: others used up to %.0f %% of the server's core. Measure again before believing a figure.\n", 100*d)
	}
	return nil
}

// quiet is the share of the server's core that others may use before the figures
// are called disturbed: kernel threads and interrupts take about a hundredth.
const quiet = 0.05

// disturbance is the worst of all repetitions.
func (r *results) disturbance() float64 {
	worst := 0.0
	for _, d := range r.Figures[figDisturbance] {
		worst = math.Max(worst, d)
	}
	return worst
}
