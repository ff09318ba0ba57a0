package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"fairlead/test/redistest"
)

// bench is one run.
type bench struct {
	*runCmd
	dir     string
	binary  string
	results *results
	out     io.Writer
	// disturbed is the largest share of the machine that others used in a window of this repetition.
	disturbed float64
}

// Run measures.
func (c *runCmd) Run(out io.Writer) error {
	if err := c.settle(); err != nil {
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
	b := &bench{runCmd: c, dir: dir, binary: c.Binary, out: out}
	if b.binary == "" {
		b.binary = filepath.Join(dir, "fairlead")
		if err := build(root, b.binary); err != nil {
			return err
		}
	}
	if b.results, err = c.newResults(root); err != nil {
		return err
	}
	run := map[string]func() error{
		"latency": b.latency, "publish": b.publish, "replay": b.replay, "idle": b.idle, "channels": b.channels,
	}
	for i := range c.Repeat {
		b.disturbed = 0
		for _, cell := range cells {
			if !b.wants(cell) {
				continue
			}
			fmt.Fprintf(out, "repetition %d of %d: %s\n", i+1, c.Repeat, cell)
			if err := run[cell](); err != nil {
				return fmt.Errorf("%s: %w", cell, err)
			}
		}
		b.results.record(figDisturbance, b.disturbed)
	}
	return b.report(root)
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
	return &results{
		Taken:   time.Now().UTC().Format(time.RFC3339),
		Version: version,
		Go:      runtime.Version(),
		Machine: m,
		Settings: settings{
			Repeat: c.Repeat, Seconds: c.Each.Seconds(), Messages: c.Messages, Returning: c.Returning, Connections: c.Connections, Channels: c.Channels,
		},
		Cells:   c.Cell,
		Figures: map[string][]float64{},
	}, nil
}

// record keeps a figure and shows it.
func (b *bench) record(figure string, value float64) {
	b.results.record(figure, value)
	fmt.Fprintf(b.out, "  %-22s %.5g\n", figure, value)
}

// report prints the table and writes the files.
func (b *bench) report(root string) error {
	if err := b.results.table(b.out); err != nil {
		return err
	}
	if !b.complete() {
		fmt.Fprintln(b.out, "\nNothing was written: this was not a full run.")
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

// withRedis runs f beside a fresh Redis.
func (b *bench) withRedis(f func(redis *redistest.Server) error) error {
	dir, err := os.MkdirTemp(b.dir, "redis-")
	if err != nil {
		return err
	}
	redis, err := redistest.Start(dir)
	if err != nil {
		return err
	}
	defer redis.Kill()
	if b.results.Broker == "" {
		info, err := redis.Do("INFO", "server")
		if err != nil {
			return err
		}
		b.results.Broker = brokerVersion(info)
	}
	return f(redis)
}

// brokerVersion is what INFO says that the server is.
func brokerVersion(info string) string {
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	if v := fields["valkey_version"]; v != "" {
		return "Valkey " + v
	}
	return "Redis " + fields["redis_version"]
}

// withTasks runs f with so many tasks beside a fresh Redis.
func (b *bench) withTasks(n int, f func(redis *redistest.Server, tasks []*task) error, args ...string) error {
	return b.withRedis(func(redis *redistest.Server) error {
		var tasks []*task
		defer func() {
			for _, t := range tasks {
				t.kill()
			}
		}()
		for range n {
			t, err := b.start(append([]string{"--broker", "redis://" + redis.Addr}, args...)...)
			if err != nil {
				return err
			}
			tasks = append(tasks, t)
		}
		err := f(redis, tasks)
		if err != nil {
			for _, t := range tasks {
				err = t.blame(err)
			}
		}
		return err
	})
}

// countedWithin is how far the machine's count, in steps of 10 ms a core, may be off at both ends of a window together.
const countedWithin = 20 * time.Millisecond

// window is what a process used of the CPU while f ran. others are the processes that belong to the measurement too.
func (b *bench) window(f func() error, pid int, others ...int) (cpu time.Duration, err error) {
	pids := append([]int{os.Getpid(), pid}, others...)
	used := func() (all, one time.Duration, err error) {
		for _, p := range pids {
			t, e := cpuTime(p)
			all += t
			if p == pid {
				one = t
			}
			err = errors.Join(err, e)
		}
		return all, one, err
	}
	busyBefore, err1 := machineBusy()
	allBefore, before, err2 := used()
	began := time.Now()
	err3 := f()
	wall := time.Since(began)
	allAfter, after, err4 := used()
	busyAfter, err5 := machineBusy()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return 0, err
	}
	cores := time.Duration(runtime.NumCPU())
	foreign := busyAfter - busyBefore - (allAfter - allBefore) - cores*countedWithin
	b.disturbed = max(b.disturbed, foreign.Seconds()/(wall*cores).Seconds())
	return after - before, nil
}
