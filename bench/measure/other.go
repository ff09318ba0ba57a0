//go:build !linux

package main

import (
	"fmt"
	"runtime"
)

// Run explains.
func (*runCmd) Run() error {
	return fmt.Errorf("the figures are taken with epoll and /proc, and this is %s: run it on Linux", runtime.GOOS)
}

type floorCmd struct{}

// Run does nothing: without Linux nobody starts it.
func (*floorCmd) Run() error { return nil }
