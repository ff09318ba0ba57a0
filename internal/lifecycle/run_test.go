package lifecycle

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// server is a Task on a fake engine, with what happened to it.
type server struct {
	Task
	e       *fakeEngine
	signals chan os.Signal
	failed  chan error
	steps   []State
	// What FinishHTTP was given.
	httpCalls atomic.Int32
	httpLeft  time.Duration
}

func newServer(t *testing.T, window time.Duration) *server {
	s := &server{e: newFakeEngine(), signals: make(chan os.Signal, 2), failed: make(chan error, 2)}
	s.Task = Task{
		Machine: &Machine{},
		Drainer: s.e.drainer(t, window, nil),
		Failed:  s.failed,
		Signals: s.signals,
		FinishHTTP: func(ctx context.Context) error {
			s.httpCalls.Add(1)
			if until, ok := ctx.Deadline(); ok {
				s.httpLeft = time.Until(until)
			}
			if n := len(s.e.open); n > 0 {
				t.Errorf("HTTP is finished with %d connections open", n)
			}
			return nil
		},
	}
	s.Machine.Observe(func(step Transition) { s.steps = append(s.steps, step.To) })
	return s
}

// waitsForContext is a FinishHTTP with a request that never ends.
func waitsForContext(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTask(t *testing.T) {
	const rtt = 80 * time.Millisecond
	boom := errors.New("boom")
	at := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	all := []State{Ready, Draining, Stopped}
	unready := []State{Draining, Stopped}

	for _, tc := range []struct {
		name  string
		set   func(s *server, cancel func())
		want  Outcome // without Elapsed and Err
		err   string  // part of Err; empty: none
		code  int
		took  time.Duration // from the first moment to the last, ± 20 ms
		steps []State
	}{
		{
			name: "a signal drains and ends with 0",
			set: func(s *server, _ func()) {
				s.e.connect(1_000, answersAfter(rtt))
				at(time.Hour, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 1_000, Closed: 1_000}, Reason: "SIGTERM"},
			took: time.Hour + 10*time.Second + rtt, steps: all,
		},
		{
			name: "an idle server ends at once",
			set:  func(s *server, _ func()) { at(time.Minute, func() { s.signals <- os.Interrupt }) },
			want: Outcome{Reason: "SIGINT"}, took: time.Minute, steps: all,
		},
		{
			name: "two triggers are one drain, and the signal ECS sends last does not cut it short",
			set: func(s *server, _ func()) {
				s.e.connect(1_000, answersAfter(rtt))
				at(time.Minute, func() { s.Machine.Drain("target draining") })
				at(time.Minute+3*time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 1_000, Closed: 1_000}, Reason: "target draining"},
			took: time.Minute + 10*time.Second + rtt, steps: all,
		},
		{
			name: "a second signal cuts the rest",
			set: func(s *server, _ func()) {
				s.e.connect(100, isStuck)
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
				at(3*time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 100, Forced: 100, Interrupted: true}, Reason: "SIGTERM"},
			code: 1, took: 3 * time.Second, steps: all,
		},
		{
			name: "a second signal ends even the wait for HTTP",
			set: func(s *server, _ func()) {
				s.FinishHTTP = waitsForContext
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
				at(3*time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Interrupted: true}, Reason: "SIGTERM"},
			code: 1, took: 3 * time.Second, steps: all,
		},
		{
			name: "a silent client ends it with 1 and the budget",
			set: func(s *server, _ func()) {
				s.e.connect(10, answersAfter(rtt))
				s.e.connect(1, isStuck)
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 11, Closed: 10, Forced: 1}, Reason: "SIGTERM"},
			code: 1, took: 16 * time.Second, steps: all,
		},
		{
			name: "the end of the context cuts everybody, even while ready",
			set: func(s *server, cancel func()) {
				s.e.connect(10, answersAfter(rtt))
				at(time.Second, cancel)
			},
			want: Outcome{Result: Result{Total: 10, Forced: 10, Interrupted: true}, Reason: "context canceled"},
			code: 1, took: time.Second, steps: all,
		},
		{
			name: "a failed listener drains and ends with 1",
			set: func(s *server, _ func()) {
				s.e.connect(10, answersAfter(rtt))
				at(time.Second, func() { s.failed <- boom })
			},
			want: Outcome{Result: Result{Total: 10, Closed: 10}, Reason: "listener failed: boom"},
			err:  "listener failed: boom", code: 1, took: 10*time.Second + rtt, steps: all,
		},
		{
			name: "a listener that fails while draining is told too",
			set: func(s *server, _ func()) {
				s.e.connect(10, answersAfter(rtt))
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
				at(2*time.Second, func() { s.failed <- boom })
			},
			want: Outcome{Result: Result{Total: 10, Closed: 10}, Reason: "SIGTERM"},
			err:  "listener failed: boom", code: 1, took: 10*time.Second + rtt, steps: all,
		},
		{
			name: "listeners that end without an error are no failure",
			set: func(s *server, _ func()) {
				s.failed <- nil
				close(s.failed)
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Reason: "SIGTERM"}, took: time.Second, steps: all,
		},
		{
			name: "a task that cannot start stops with 1 and is never ready",
			set:  func(s *server, _ func()) { s.Start = func(context.Context) error { return boom } },
			err:  "starting: boom", code: 1, steps: []State{Stopped},
		},
		{
			name: "a signal while starting ends the start, and that is no failure",
			set: func(s *server, _ func()) {
				s.Start = waitsForContext
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Reason: "SIGTERM"}, took: time.Second, steps: unready,
		},
		{
			name: "a start that succeeds although a drain was asked for is drained",
			set: func(s *server, _ func()) {
				s.Start = func(context.Context) error {
					s.Machine.Drain("asked while starting")
					s.e.connect(1, answersAfter(rtt))
					return nil
				}
			},
			want: Outcome{Result: Result{Total: 1, Closed: 1}, Reason: "asked while starting"},
			took: rtt, steps: unready,
		},
		{
			name: "a start that fails for its own reason fails, drain or not",
			set: func(s *server, _ func()) {
				s.Start = func(context.Context) error {
					s.Machine.Drain("asked while starting")
					return boom
				}
			},
			want: Outcome{Reason: "asked while starting"},
			err:  "starting: boom", code: 1, steps: unready,
		},
		{
			name: "the context's end while starting is a failure to start",
			set: func(s *server, cancel func()) {
				s.Start = waitsForContext
				at(time.Second, cancel)
			},
			err: "starting: context canceled", code: 1, took: time.Second, steps: []State{Stopped},
		},
		{
			name: "requests that outlast the budget end it with 1",
			set: func(s *server, _ func()) {
				s.FinishHTTP = waitsForContext
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Reason: "SIGTERM"},
			err:  "finishing HTTP requests: context deadline exceeded", code: 1, took: 16 * time.Second, steps: all,
		},
		{
			name: "requests get a second even when the connections took the whole budget",
			set: func(s *server, _ func()) {
				s.e.connect(1, isStuck)
				s.FinishHTTP = waitsForContext
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 1, Forced: 1}, Reason: "SIGTERM"},
			err:  "deadline", code: 1, took: 17 * time.Second, steps: all,
		},
		{
			name: "a connection that opens after all is cut and counted",
			set: func(s *server, _ func()) {
				s.FinishHTTP = func(context.Context) error {
					s.e.connect(1, isStuck)
					return nil
				}
				at(time.Second, func() { s.signals <- syscall.SIGTERM })
			},
			want: Outcome{Result: Result{Total: 1, Forced: 1}, Reason: "SIGTERM"},
			code: 1, took: time.Second, steps: all,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := newServer(t, 10*time.Second)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				tc.set(s, cancel)
				got := s.Run(ctx)

				if took := time.Since(began); took < tc.took-20*time.Millisecond || took > tc.took+20*time.Millisecond {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				if (got.Err == nil) != (tc.err == "") || got.Err != nil && !strings.Contains(got.Err.Error(), tc.err) {
					t.Errorf("error %v, want %q", got.Err, tc.err)
				}
				tc.want.Elapsed, tc.want.Err = got.Elapsed, got.Err
				if got != tc.want || got.ExitCode() != tc.code {
					t.Errorf("got %+v with exit code %d, want %+v with %d", got, got.ExitCode(), tc.want, tc.code)
				}
				if !slices.Equal(s.steps, tc.steps) {
					t.Errorf("went through %v, want %v", s.steps, tc.steps)
				}
			})
		})
	}
}

func TestWhileTheTaskIsReadyItsStateSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, time.Second)
		var during State
		s.Start = func(context.Context) error {
			during = s.Machine.State()
			return nil
		}
		s.e.connect(1, answersAfter(time.Second))
		ended := make(chan Outcome)
		go func() { ended <- s.Run(context.Background()) }()
		synctest.Wait()
		if during != Starting || s.Machine.State() != Ready {
			t.Errorf("%v while starting, %v after; want starting, ready", during, s.Machine.State())
		}
		s.signals <- syscall.SIGTERM
		synctest.Wait()
		if s.Machine.State() != Draining || s.httpCalls.Load() != 0 {
			t.Errorf("%v after the signal, HTTP finished %d times; want draining, 0", s.Machine.State(), s.httpCalls.Load())
		}
		<-ended
		if s.Machine.State() != Stopped || s.httpCalls.Load() != 1 {
			t.Errorf("%v at the end, HTTP finished %d times; want stopped, once", s.Machine.State(), s.httpCalls.Load())
		}
	})
}

func TestHTTPGetsWhatRemainsOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, 10*time.Second)
		s.e.connect(1, answersAfter(2*time.Second))
		s.signals <- syscall.SIGTERM
		s.Run(context.Background())
		if s.httpLeft > 13*time.Second || s.httpLeft < 13*time.Second-tick {
			t.Errorf("HTTP got %v of a budget of 15 s after 2 s, want 13 s", s.httpLeft)
		}
	})
}

func TestATaskNeedsItsParts(t *testing.T) {
	o := (&Task{}).Run(context.Background())
	if o.Err == nil || o.ExitCode() != 1 {
		t.Errorf("got %+v, want an error", o)
	}
}

func TestTheLogTellsOfEachSignalAndFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		s := newServer(t, time.Second)
		s.Logger = book.logger()
		s.e.connect(1, isStuck)
		s.failed <- errors.New("boom")
		time.AfterFunc(time.Second, func() { s.signals <- syscall.SIGTERM })
		time.AfterFunc(2*time.Second, func() { s.signals <- os.Interrupt })
		s.Run(context.Background())
		for _, want := range []string{
			"a listener failed: draining", "signal received while already draining", "second signal: cutting the rest",
		} {
			if n := len(book.lines(t, want)); n != 1 {
				t.Errorf("%d lines %q, want 1", n, want)
			}
		}
	})
}

func TestAnOutcomeIsLoggedWhole(t *testing.T) {
	var book logBook
	book.logger().Info("stopped", "task", Outcome{Result: Result{Total: 3, Closed: 2, Forced: 1}, Reason: "SIGTERM", Err: errors.New("boom")})
	got, ok := book.lines(t, "stopped")[0]["task"].(map[string]any)
	if !ok || got["reason"] != "SIGTERM" || got["error"] != "boom" || got["forced"] != 1.0 || got["total"] != 3.0 {
		t.Errorf("logged %v", got)
	}
}
