//go:build !linux

package main

import (
	"fmt"
	"runtime"
)

// Run explains.
func (*runCmd) Run() error {
	return fmt.Errorf("the figures are taken with /proc, and this is %s: run it on Linux", runtime.GOOS)
}
