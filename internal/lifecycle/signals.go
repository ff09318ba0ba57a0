package lifecycle

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// NotifySignals has SIGTERM and SIGINT sent to the channel it returns; stop gives both back their usual effect. On
// Windows they are what the Go runtime makes of console events: Ctrl-C is SIGINT; closing, log-off and shutdown SIGTERM.
func NotifySignals() (signals <-chan os.Signal, stop func()) {
	// The runtime never waits for a receiver: room for the two that mean something.
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGTERM, os.Interrupt)
	return c, func() { signal.Stop(c) }
}

// HandleSignals turns the first signal into drain and the second into interrupt, each with the signal's name, and
// returns after the second, when ctx is done, or when signals is closed.
//
// Signals are counted, not drains: with a drain already under way for another reason, the first signal changes nothing.
// ECS sends SIGTERM to a task whose target has been draining for minutes, and that must not cut it short.
func HandleSignals(ctx context.Context, signals <-chan os.Signal, drain, interrupt func(name string)) {
	for _, act := range []func(string){drain, interrupt} {
		select {
		case s, ok := <-signals:
			if !ok {
				return
			}
			act(signalName(s))
		case <-ctx.Done():
			return
		}
	}
}

// signalName is the name operators know; the standard library prints "terminated" and "interrupt".
func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "SIGTERM"
	case os.Interrupt:
		return "SIGINT"
	}
	return s.String()
}
