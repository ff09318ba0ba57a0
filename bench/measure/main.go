// Command measure takes the server's figures: the real `fairlead serve` on one
// core, and a load of its own on another. It prints a table, writes the raw
// results and the page made from them. See docs/benchmarks.md.
//
//	go run ./bench/measure                 everything, three times, about eight minutes
//	go run ./bench/measure --short         everything, once and small: does it work?
//	go run ./bench/measure --cell fanout   one cell; nothing is written unless --out says so
//	go run ./bench/measure page            the page anew, from the results there are
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run   runCmd   `cmd:"" default:"withargs" help:"Measure."`
	Page  pageCmd  `cmd:"" help:"Write the page anew from the results there are."`
	Floor floorCmd `cmd:"" hidden:""`
}

// The files of a full run, from the root of the repository.
const (
	resultsFile = "bench/results/server.json"
	pageFile    = "docs/benchmarks.md"
)

func main() {
	ctx := kong.Parse(new(cli),
		kong.Name("measure"),
		kong.Description("Fairlead's figures: memory, CPU per delivery, ceiling, upgrades, start and drain."),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)),
	)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
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
