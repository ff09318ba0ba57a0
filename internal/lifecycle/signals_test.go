package lifecycle

import (
	"context"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestSignals(t *testing.T) {
	for _, tc := range []struct {
		name    string
		signals []os.Signal
		closed  bool
		want    []string
		waiting bool // still, after these
	}{
		{"nothing happens without a signal", nil, false, nil, true},
		{"the first drains", []os.Signal{syscall.SIGTERM}, false, []string{"drain SIGTERM"}, true},
		{"Ctrl-C drains too", []os.Signal{os.Interrupt}, false, []string{"drain SIGINT"}, true},
		{"the second interrupts, whichever it is", []os.Signal{syscall.SIGTERM, os.Interrupt}, false,
			[]string{"drain SIGTERM", "interrupt SIGINT"}, false},
		{"a third is nobody's", []os.Signal{os.Interrupt, os.Interrupt, os.Interrupt}, false,
			[]string{"drain SIGINT", "interrupt SIGINT"}, false},
		{"other signals are named by the system", []os.Signal{syscall.SIGHUP}, false, []string{"drain hangup"}, true},
		{"a closed channel ends it", nil, true, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal, 3)
				for _, s := range tc.signals {
					signals <- s
				}
				if tc.closed {
					close(signals)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var got []string
				returned := make(chan struct{})
				go func() {
					defer close(returned)
					HandleSignals(ctx, signals,
						func(name string) { got = append(got, "drain "+name) },
						func(name string) { got = append(got, "interrupt "+name) })
				}()
				synctest.Wait()
				waiting := true
				select {
				case <-returned:
					waiting = false
				default:
				}
				if !slices.Equal(got, tc.want) || waiting != tc.waiting {
					t.Errorf("got %q, waiting %v; want %q, %v", got, waiting, tc.want, tc.waiting)
				}
				cancel()
				<-returned
			})
		})
	}
}
