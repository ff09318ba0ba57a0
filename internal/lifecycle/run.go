package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// MinHTTPTime is what the HTTP requests in flight get to finish even when the connections have used up the budget. So
// the longest way from the trigger to the exit is Drainer.Budget() + MinHTTPTime.
const MinHTTPTime = time.Second

// Task is a server's life from starting to stopped: what has to happen in which order, without knowing what it is made
// of. Machine and Drainer are required.
type Task struct {
	Machine *Machine
	Drainer *Drainer

	// Start opens the listeners and whatever must be there before the task is ready; nil: nothing to do. Its context
	// ends when Start returns, or when a drain is asked for meanwhile. With an error it must have closed again what it
	// had opened.
	Start func(ctx context.Context) error
	// Failed reports that a listener died; nil: never. Any error on it starts a drain that ends with exit code 1. It is
	// not read once HTTP is being finished, so give it room for one error of each listener. Keep http.ErrServerClosed
	// away from it.
	Failed <-chan error
	// Signals is what NotifySignals returns; nil: no signals.
	Signals <-chan os.Signal
	// FinishHTTP lets requests in flight end and closes the listeners (http.Server.Shutdown) within ctx, and must return
	// soon after ctx is done. It gets what remains of the budget, at least MinHTTPTime; nothing after an interruption.
	// nil: no HTTP.
	FinishHTTP func(ctx context.Context) error

	Logger *slog.Logger // nil: no log
}

// Outcome is how a task ended.
type Outcome struct {
	Result        // of the drain
	Reason string // why the drain was asked for; empty if the task could not start
	Err    error  // start, a listener, or HTTP failed; nil otherwise
}

// ExitCode is the process's: 1 when something failed, somebody was cut, or the end was forced; else 0.
func (o Outcome) ExitCode() int {
	if o.Err != nil {
		return 1
	}
	return o.Result.ExitCode()
}

// LogValue has an Outcome logged as its fields, those of the Result beside the others.
func (o Outcome) LogValue() slog.Value {
	attrs := append([]slog.Attr{slog.String("reason", o.Reason)}, o.Result.LogValue().Group()...)
	if o.Err != nil {
		attrs = append(attrs, slog.String("error", o.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// Run goes through it all and returns when the task has stopped:
//
//	start → ready → wait for a trigger → draining (not ready, upgrades refused) → connections leave → HTTP ends → stopped
//
// Triggers are the first signal, Machine.Drain by anybody, and a failed listener. The second signal, or the end of ctx
// at any time, is an interruption: whoever is left is cut at once and the exit code is 1. A caller who wants a graceful
// end calls Machine.Drain instead of ending ctx.
//
// HTTP ends after the connections, not with them: while they leave, health checks must find a listener, and a new
// upgrade must find a 503 that a person can read, not a refused TCP connection.
func (t *Task) Run(ctx context.Context) Outcome {
	if t.Machine == nil || t.Drainer == nil {
		return Outcome{Err: errors.New("lifecycle: a Task needs a Machine and a Drainer")}
	}
	log := t.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, interrupt := context.WithCancelCause(ctx)
	var signals, listeners sync.WaitGroup
	defer signals.Wait()
	defer interrupt(nil)

	signals.Go(func() {
		HandleSignals(ctx, t.Signals,
			func(name string) {
				if !t.Machine.Drain(name) {
					log.Info("signal received while already draining", "signal", name, "reason", t.Machine.Reason())
				}
			},
			func(name string) {
				log.Warn("second signal: cutting the rest", "signal", name)
				interrupt(fmt.Errorf("second signal, %s", name))
			})
	})

	defer t.Machine.Stop()
	if err := t.start(ctx); err != nil {
		return Outcome{Err: fmt.Errorf("starting: %w", err), Reason: t.Machine.Reason()}
	}

	var failure error // written by watchListeners, read after listeners.Wait
	watch, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	listeners.Go(func() { failure = t.watchListeners(watch, log) })

	t.Machine.Ready()
	select {
	case <-t.Machine.Draining():
	case <-ctx.Done():
		t.Machine.Drain(context.Cause(ctx).Error())
	}
	began := time.Now()

	outcome := Outcome{Reason: t.Machine.Reason(), Result: t.Drainer.Run(ctx)}
	unwatch()
	listeners.Wait()

	err := t.finishHTTP(ctx, began)
	t.Drainer.cutLate()
	outcome.Result = t.Drainer.Run(ctx)
	if ctx.Err() != nil {
		outcome.Interrupted = true
		if errors.Is(err, ctx.Err()) {
			err = nil // told by Interrupted already
		}
	}
	outcome.Err = errors.Join(failure, err)
	return outcome
}

// start runs Start; a drain asked for meanwhile ends its context, and the error that follows from this is none.
func (t *Task) start(ctx context.Context) error {
	if t.Start == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		select {
		case <-t.Machine.Draining():
			cancel()
		case <-ctx.Done():
		}
	})
	err := t.Start(ctx)
	if t.Machine.State() >= Draining && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watchListeners starts a drain for each listener's failure and returns them all once ctx is done.
func (t *Task) watchListeners(ctx context.Context, log *slog.Logger) error {
	var failures []error
	failed := t.Failed
	for {
		select {
		case err, ok := <-failed:
			switch {
			case !ok:
				failed = nil
			case err != nil:
				err = fmt.Errorf("listener failed: %w", err)
				log.Error("a listener failed: draining", "error", err)
				failures = append(failures, err)
				t.Machine.Drain(err.Error())
			}
		case <-ctx.Done():
			return errors.Join(failures...)
		}
	}
}

func (t *Task) finishHTTP(ctx context.Context, began time.Time) error {
	if t.FinishHTTP == nil {
		return nil
	}
	left := max(MinHTTPTime, t.Drainer.Budget()-time.Since(began))
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	if err := t.FinishHTTP(ctx); err != nil {
		return fmt.Errorf("finishing HTTP requests: %w", err)
	}
	return nil
}
