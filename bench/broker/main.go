// Command broker takes the figures of what tasks share: what a broker adds to a message's way, how much passes through it, what a return
// costs, and what connections and channels hold. It starts real tasks and a real Redis. It prints a table, writes the raw results
// and the page made from them.
//
//	go run ./bench/broker                 everything, three times, about four minutes
//	go run ./bench/broker --short         everything, once and small: does it work?
//	go run ./bench/broker --cell latency  one cell; nothing is written
//	go run ./bench/broker page            the page anew, from the results there are
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run  runCmd  `cmd:"" default:"withargs" help:"Measure."`
	Page pageCmd `cmd:"" help:"Write the page anew from the results there are."`
}

// The files of a full run, from the root of the repository.
const (
	resultsFile = "bench/results/broker.json"
	pageFile    = "docs/benchmarks-broker.md"
)

// cells are what can be measured by itself, in the order of a repetition.
var cells = []string{"latency", "publish", "replay", "idle", "channels"}

// runCmd is what to measure. Numbers left at 0 take the value of the target, or less with --short.
type runCmd struct {
	Cell        []string      `enum:"latency,publish,replay,idle,channels" help:"Measure this cell alone, repeatable: ${enum}."`
	Short       bool          `help:"Once and small: shows that everything works, says little."`
	Repeat      int           `help:"Repetitions; 3, or 1 with --short."`
	Each        time.Duration `help:"Length of latency's turns, of which memory and broker have five each; 2s, or 500ms with --short."`
	Messages    int           `help:"Messages of publish; 500000, or 50000 with --short."`
	Returning   int           `help:"Clients of replay; 1000, or 200 with --short."`
	Connections int           `help:"Connections of idle; 15000, or 2000 with --short."`
	Channels    int           `help:"Channels of channels; 10000, or 2000 with --short."`
	Binary      string        `type:"existingfile" help:"Measure this binary instead of building one."`
}

// settle fills in what was left open.
func (c *runCmd) settle() error {
	fill(&c.Repeat, 3, 1, c.Short)
	fill(&c.Each, 2*time.Second, 500*time.Millisecond, c.Short)
	fill(&c.Messages, 500_000, 50_000, c.Short)
	fill(&c.Returning, 1000, 200, c.Short)
	fill(&c.Connections, 15_000, 2000, c.Short)
	fill(&c.Channels, 10_000, 2000, c.Short)
	if len(c.Cell) == 0 {
		c.Cell = cells
	}
	for name, n := range map[string]int{
		"--repeat": c.Repeat, "--messages": c.Messages, "--returning": c.Returning, "--connections": c.Connections, "--channels": c.Channels,
	} {
		if n < 1 {
			return fmt.Errorf("%s must be at least 1, not %d", name, n)
		}
	}
	if c.Each < 100*time.Millisecond {
		return fmt.Errorf("--each must be at least 100ms, not %v", c.Each)
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

func main() {
	ctx := kong.Parse(new(cli),
		kong.Name("broker"),
		kong.Description("What tasks that share channels through a broker cost: latency, throughput, returns, memory."),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)),
	)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}

// pageCmd writes the page without measuring.
type pageCmd struct{}

// Run reads the committed results and renders them.
func (*pageCmd) Run() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	r, err := readResults(filepath.Join(root, resultsFile))
	if err != nil {
		return err
	}
	return r.writePage(filepath.Join(root, pageFile))
}

// moduleRoot is where the repository begins, wherever the command was given.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository with go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("not in the repository: change into it")
	}
	return filepath.Dir(mod), nil
}
