// Package fairleadtest runs the real binary for the tests under test/: it starts
// it on free loopback ports, waits until it is ready, keeps what it writes, and
// makes sure that nothing is left running. It imports nothing of the server, so
// that what it says about it is what anybody outside would see.
package fairleadtest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// runTime is how long a command that should end by itself may take, on a machine
// that is busy with other things.
const runTime = 30 * time.Second

// Binary is the path of the binary under test, from FAIRLEAD_BIN. Without one the
// test fails: a test of nothing must not pass.
func Binary(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("FAIRLEAD_BIN")
	if path == "" {
		tb.Fatal("FAIRLEAD_BIN is not set: run `make test-integration`, or build a binary (`make build`) and name it: FAIRLEAD_BIN=$PWD/bin/fairlead go test -tags integration ./test/...")
	}
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("FAIRLEAD_BIN: %v: run `make build`, and give the path as an absolute one", err)
	}
	return path
}

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int // the exit code
}

// Run runs the binary to its end. env is added to an environment that holds no
// FAIRLEAD_ variable.
func Run(tb testing.TB, env []string, args ...string) Result {
	tb.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(tb.Context(), Binary(tb), args...)
	cmd.Env = environment(env)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", cmd, err)
	}
	late := time.AfterFunc(runTime, func() { _ = cmd.Process.Kill() }) // Wait tells
	err := cmd.Wait()
	if !late.Stop() {
		tb.Fatalf("%s did not end within %v\nstdout: %s\nstderr: %s", cmd, runTime, &stdout, &stderr)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		tb.Fatalf("run %s: %v", cmd, err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// environment is that of the test without what would configure the server.
func environment(extra []string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRLEAD_") && !strings.HasPrefix(v, "GOMEMLIMIT=") {
			env = append(env, v)
		}
	}
	return append(env, extra...)
}
