//go:build integration

// Package valkey tests internal/valkey against real servers, which it starts itself on free ports of the loopback interface.
package valkey

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The suite leaves neither goroutines nor descriptors behind.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	for deadline := time.Now().Add(5 * time.Second); descriptors() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) { // two: the runtime's poller
			fmt.Fprintf(os.Stderr, "%d descriptors were open before the tests, %d are after\n", before, descriptors())
			code = max(code, 1)
			break
		}
	}
	os.Exit(code)
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not Linux
	}
	return len(entries)
}
