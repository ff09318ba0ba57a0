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
	Cell, Title, unit string
	digits            int // after the decimal point
	values            func(r *results) []float64
	// target is what the median must not pass, or must reach if atLeast; 0: the row is there for information.
	target  float64
	atLeast bool
}

// of takes a figure as it is.
func of(figure string) func(*results) []float64 {
	return func(r *results) []float64 { return r.Figures[figure] }
}

func difference(a, b string) func(*results) []float64 {
	return func(r *results) []float64 {
		return both(r.Figures[a], r.Figures[b], func(a, b float64) float64 { return a - b })
	}
}

func ratio(a, b string) func(*results) []float64 {
	return func(r *results) []float64 {
		return both(r.Figures[a], r.Figures[b], func(a, b float64) float64 { return a / b })
	}
}

// rows are the report, in order.
var rows = []row{
	{Cell: "latency", Title: "Broker in memory, one task: p50", unit: "µs", values: of(figMemory50)},
	{Cell: "latency", Title: "— p99", unit: "µs", values: of(figMemory99)},
	{Cell: "latency", Title: "Through Redis, from task to task: p50", unit: "µs", values: of(figBroker50)},
	{Cell: "latency", Title: "— p99", unit: "µs", values: of(figBroker99)},
	{Cell: "latency", Title: "Added at p50", unit: "µs", values: difference(figBroker50, figMemory50)},
	{Cell: "latency", Title: "Added at p99", unit: "µs", values: difference(figBroker99, figMemory99), target: 2000},

	{Cell: "publish", Title: "Messages a second through one broker connection, one channel", values: of(figPublishOne), target: 100_000, atLeast: true},
	{Cell: "publish", Title: "— spread over 1,000 channels", values: of(figPublishMany)},
	{Cell: "publish", Title: "redis-benchmark, the same script, one connection, 512 under way", values: of(figCeiling)},
	{Cell: "publish", Title: "redis-benchmark, a bare `XADD`, likewise", values: of(figCeilingRaw)},
	{Cell: "publish", Title: "One channel against the same script", unit: "×", digits: 2, values: ratio(figPublishOne, figCeiling), target: 0.5, atLeast: true},
	{Cell: "publish", Title: "1,000 channels against the same script", unit: "×", digits: 2, values: ratio(figPublishMany, figCeiling), target: 0.5, atLeast: true},

	{Cell: "replay", Title: "CPU of the task, broker in memory", unit: "s", digits: 3, values: of(figReplayMem), target: 1},
	{Cell: "replay", Title: "CPU of the task, history from Redis", unit: "s", digits: 3, values: of(figReplay), target: 1},
	{Cell: "replay", Title: "— until the last client had everything", unit: "s", digits: 2, values: of(figReplayTook)},

	{Cell: "idle", Title: "Resident memory per idle resumable connection", unit: "KiB", digits: 2, values: of(figIdle), target: 1},

	{Cell: "channels", Title: "What a channel adds in the task", unit: "KiB", digits: 2, values: of(figChannel)},
	{Cell: "channels", Title: "— and one message of 100 bytes in its window", unit: "KiB", digits: 2, values: of(figChannelSaid)},
	{Cell: "channels", Title: "What Redis holds of a channel without a message", unit: "KiB", digits: 2, values: of(figRedis)},
	{Cell: "channels", Title: "— with one message", unit: "KiB", digits: 2, values: of(figRedisSaid)},
}

// line is a row with its values put in.
type line struct {
	row
	Figure, Range, Target, Verdict string
}

// Command is the one that takes the figure.
func (l line) Command() string { return "go run ./bench/broker --cell " + l.Cell }

// Lines are the rows that were measured.
func (r *results) Lines() []line {
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
		if w.target != 0 {
			sign := "≤ "
			if w.atLeast {
				sign = "≥ "
			}
			l.Target = sign + w.show(w.target)
			l.Verdict = w.verdict(values)
		}
		all = append(all, l)
	}
	return all
}

// verdict judges the median, and says so when a repetition disagrees.
func (w row) verdict(values []float64) string {
	reached := func(v float64) bool { return w.atLeast && v >= w.target || !w.atLeast && v <= w.target }
	is := reached(median(values))
	dissent := 0
	for _, v := range values {
		if reached(v) != is {
			dissent++
		}
	}
	switch {
	case is && dissent == 0:
		return "reached"
	case is:
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
	whole, negative := strings.CutPrefix(whole, "-")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if negative {
		whole = "-" + whole
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}

// table prints the lines for a terminal.
func (r *results) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nfigure\tmedian\trange\ttarget\tverdict")
	for _, l := range r.Lines() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", strings.ReplaceAll(l.Title, "`", ""), l.Figure, l.Range, l.Target, l.Verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Disturbed() {
		fmt.Fprintf(out, "\nThe machine was not quiet: others used up to %.0f %% of it. Measure again before believing a figure.\n", 100*r.Disturbance())
	}
	return nil
}

// quiet is the share of the machine that others may use before the figures are called disturbed.
const quiet = 0.05

// Disturbance is the largest share of the machine that others used.
func (r *results) Disturbance() float64 {
	worst := 0.0
	for _, d := range r.Figures[figDisturbance] {
		worst = math.Max(worst, d)
	}
	return worst
}

// Disturbed says whether that is too much.
func (r *results) Disturbed() bool { return r.Disturbance() > quiet }
