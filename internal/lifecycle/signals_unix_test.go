//go:build unix

package lifecycle

import (
	"os"
	"syscall"
	"testing"
)

func TestTheProcessHearsItsSignals(t *testing.T) {
	signals, stop := NotifySignals()
	defer stop()
	for _, want := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := syscall.Kill(os.Getpid(), want); err != nil {
			t.Fatal(err)
		}
		if got := <-signals; got != want {
			t.Errorf("heard %v, want %v", got, want)
		}
	}
}
