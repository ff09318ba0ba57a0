package main

import (
	"fmt"
	"slices"
	"time"
)

// cells are what can be measured by itself, in the order of a repetition.
var cells = []string{"size", "ready", "idle", "upgrades", "fanout", "drain"}

// runCmd is what to measure. Numbers left at 0 take the value of the target, or a
// tenth of that and less with --short.
type runCmd struct {
	Cell        []string      `enum:"size,ready,idle,upgrades,fanout,drain" help:"Measure this cell alone, repeatable: ${enum}."`
	Short       bool          `help:"Once and small: shows that everything works, says little."`
	Repeat      int           `help:"Repetitions; 3, or 1 with --short."`
	Connections int           `help:"Connections of idle and drain; 15000, or 2000 with --short."`
	Subscribers int           `help:"Subscribers of fanout; 5000, or 1000 with --short."`
	Upgrades    int           `help:"Upgrades of that cell; 10000, or 2000 with --short."`
	Starts      int           `help:"Starts of ready; 20, or 5 with --short."`
	Each        time.Duration `help:"Length of each paced measurement of fanout; 10s, or 2s with --short."`
	Drain       time.Duration `help:"Drain window; 10s, or 2s with --short."`
	ServerCore  int           `default:"0" help:"Core of the server (${default})."`
	LoadCore    int           `default:"1" help:"Core of the load (${default})."`
	Binary      string        `type:"existingfile" help:"Measure this binary instead of building one."`
	ServerFlag  []string      `help:"One more flag for the server, repeatable: --server-flag=--no-compression."`
	Out         string        `help:"Write the raw results here. A full run writes bench/results/server.json and docs/benchmarks.md if this is not given."`
}

// settle fills in what was left open and checks the rest.
func (c *runCmd) settle() error {
	fill(&c.Repeat, 3, 1, c.Short)
	fill(&c.Connections, 15000, 2000, c.Short)
	fill(&c.Subscribers, 5000, 1000, c.Short)
	fill(&c.Upgrades, 10000, 2000, c.Short)
	fill(&c.Starts, 20, 5, c.Short)
	fill(&c.Each, 10*time.Second, 2*time.Second, c.Short)
	fill(&c.Drain, 10*time.Second, 2*time.Second, c.Short)
	if len(c.Cell) == 0 {
		c.Cell = cells
	}
	for name, n := range map[string]int{
		"--repeat": c.Repeat, "--connections": c.Connections, "--subscribers": c.Subscribers, "--upgrades": c.Upgrades, "--starts": c.Starts,
	} {
		if n < 1 {
			return fmt.Errorf("%s must be at least 1, not %d", name, n)
		}
	}
	if c.Each < time.Second || c.Drain < 0 {
		return fmt.Errorf("--each must be at least 1s and --drain not negative, not %v and %v", c.Each, c.Drain)
	}
	return nil
}

func fill[T int | time.Duration](p *T, full, short T, isShort bool) {
	if *p != 0 {
		return
	}
	*p = full
	if isShort {
		*p = short
	}
}

// complete says whether the results are worth keeping as the project's.
func (c *runCmd) complete() bool { return !c.Short && len(c.Cell) == len(cells) }

func (c *runCmd) wants(cell string) bool { return slices.Contains(c.Cell, cell) }

// needs is how many connections one process holds at most: in fanout the load
// has those to the floor process beside those to the server.
func (c *runCmd) needs() int {
	n := 0
	if c.wants("idle") || c.wants("drain") {
		n = c.Connections
	}
	if c.wants("upgrades") {
		n = max(n, c.Upgrades)
	}
	if c.wants("fanout") {
		n = max(n, 2*c.Subscribers)
	}
	return n
}

func (c *runCmd) settings() settings {
	return settings{
		Repeat: c.Repeat, Connections: c.Connections, Subscribers: c.Subscribers, Upgrades: c.Upgrades, Starts: c.Starts,
		Seconds: c.Each.Seconds(), Drain: c.Drain.Seconds(), ServerCore: c.ServerCore, LoadCore: c.LoadCore,
	}
}
