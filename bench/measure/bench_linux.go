package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	*runCmd
	load    *load
	binary  string
	results *results
	out     io.Writer
	// disturbed is the largest share of the server's core that others used in a
	// window of this repetition.
	disturbed float64
}

// Run measures.
func (c *runCmd) Run(out io.Writer) error {
	if err := c.settle(); err != nil {
		return err
	}
	if err := checkCores(c.ServerCore, c.LoadCore); err != nil {
		return err
	}
	if err := checkDescriptors(c.needs()); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fairlead-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	go removeWhenInterrupted(dir)
	b := &bench{runCmd: c, out: out, binary: c.Binary}
	if b.binary == "" {
		b.binary = filepath.Join(dir, "fairlead")
		if err := build(root, b.binary); err != nil {
			return err
		}
	}
	if b.results, err = c.newResults(root); err != nil {
		return err
	}
	if b.load, err = newLoad(); err != nil {
		return err
	}

	// One thread for what starts children and waits for sockets, and every thread
	// on the load's core. One processor: two would fight for it.
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	if err := pinSelf(c.LoadCore); err != nil {
		return err
	}
	for i := range c.Repeat {
		if err := b.repetition(i); err != nil {
			return err
		}
	}
	return b.report(root)
}

// removeWhenInterrupted cleans up after Ctrl-C. The children die with this process.
func removeWhenInterrupted(dir string) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	<-interrupted
	os.RemoveAll(dir)
	os.Exit(130)
}

// build compiles what `make build` compiles, and as it does.
func build(root, binary string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "./cmd/fairlead")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the server: %w\n%s", err, text)
	}
	return nil
}

func (c *runCmd) newResults(root string) (*results, error) {
	m, err := readMachine()
	if err != nil {
		return nil, fmt.Errorf("read what machine this is: %w", err)
	}
	version := "unknown"
	describe := exec.Command("git", "describe", "--tags", "--always", "--dirty")
	describe.Dir = root
	if text, err := describe.Output(); err == nil { // a copy without history has no version
		version = strings.TrimSpace(string(text))
	}
	s := c.settings()
	s.ServerArgs = append(serveArgs(c.Connections), c.ServerFlag...)
	return &results{
		Taken:    time.Now().UTC().Format(time.RFC3339),
		Version:  version,
		Go:       runtime.Version(),
		Machine:  m,
		Settings: s,
		Cells:    c.Cell,
		Figures:  map[string][]float64{},
	}, nil
}

// repetition runs every cell once; so the repetitions of a cell are minutes apart,
// and a disturbance spoils one of each rather than all of one.
func (b *bench) repetition(i int) error {
	b.disturbed = 0
	run := map[string]func() error{
		"size": b.size, "ready": b.ready, "idle": b.idle, "upgrades": b.upgrades, "fanout": b.fanout, "drain": b.drain,
	}
	for _, cell := range cells {
		if !b.wants(cell) || cell == "size" && i > 0 {
			continue
		}
		fmt.Fprintf(b.out, "repetition %d of %d: %s\n", i+1, b.Repeat, cell)
		if err := run[cell](); err != nil {
			return fmt.Errorf("%s: %w", cell, err)
		}
	}
	if b.wants("fanout") || b.wants("upgrades") {
		b.results.record(figDisturbance, b.disturbed)
	}
	return nil
}

// report prints the table and writes the files.
func (b *bench) report(root string) error {
	if err := b.results.table(b.out); err != nil {
		return err
	}
	switch {
	case b.Out != "":
		return b.results.write(b.Out)
	case !b.complete():
		fmt.Fprintln(b.out, "\nNothing was written: this was not a full run. --out FILE keeps the raw results.")
		return nil
	}
	if err := b.results.write(filepath.Join(root, resultsFile)); err != nil {
		return err
	}
	if err := b.results.writePage(filepath.Join(root, pageFile)); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nWrote %s and %s.\n", resultsFile, pageFile)
	return nil
}

// record keeps a figure and shows it.
func (b *bench) record(figure string, value float64) {
	b.results.record(figure, value)
	fmt.Fprintf(b.out, "  %-22s %.4g\n", figure, value)
}

// withServer runs f against a fresh server with room for so many connections, and
// stops it.
func (b *bench) withServer(connections int, more []string, f func(s *server) error) (err error) {
	args := slices.Concat(serveArgs(connections), more, b.ServerFlag)
	s, err := startServer(b.ServerCore, b.binary, args)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.kill()
		}
	}()
	if err := f(s); err != nil {
		return s.blame(err)
	}
	select {
	case <-s.exited: // f has ended it, and judged how
		return nil
	default:
		return s.stop()
	}
}

// window is what a process used of its core while something ran.
type window struct{ cpu, wall time.Duration }

// each is the CPU of one of n things, in microseconds.
func (w window) each(n int64) float64 { return float64(w.cpu.Nanoseconds()) / 1e3 / float64(n) }

// share is how much of its core the process used.
func (w window) share() float64 { return w.cpu.Seconds() / w.wall.Seconds() }

// window measures a process while f runs.
func (b *bench) window(p *process, f func() error) (window, error) {
	busyBefore, err1 := coreBusy(b.ServerCore)
	cpuBefore, err2 := cpuTime(p.pid())
	began := time.Now()
	err3 := f()
	wall := time.Since(began)
	cpuAfter, err4 := cpuTime(p.pid())
	busyAfter, err5 := coreBusy(b.ServerCore)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return window{}, err
	}
	w := window{cpuAfter - cpuBefore, wall}
	others := (busyAfter - busyBefore - w.cpu).Seconds() / wall.Seconds()
	b.disturbed = max(b.disturbed, others)
	return w, nil
}
