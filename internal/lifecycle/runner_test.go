package lifecycle

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	const rtt = 80 * time.Millisecond
	for _, tc := range []struct {
		name    string
		window  time.Duration
		set     func(*fakeEngine)
		want    Result // Elapsed is checked apart
		atLeast time.Duration
		atMost  time.Duration
		code    int
	}{
		{
			name: "15,000 that answer are gone within the window", window: 10 * time.Second,
			set:     func(e *fakeEngine) { e.connect(15_000, answersAfter(rtt)) },
			want:    Result{Total: 15_000, Closed: 15_000},
			atLeast: 9900 * time.Millisecond, atMost: 10*time.Second + rtt + tick,
		},
		{
			name: "nobody is done at once", window: 10 * time.Second,
			set: func(*fakeEngine) {},
		},
		{
			name: "a single one is asked at once and does not wait for the window", window: 10 * time.Second,
			set:     func(e *fakeEngine) { e.connect(1, answersAfter(rtt)) },
			want:    Result{Total: 1, Closed: 1},
			atLeast: rtt, atMost: rtt + tick,
		},
		{
			name:    "window 0 asks all at once",
			set:     func(e *fakeEngine) { e.connect(15_000, answersAfter(rtt)) },
			want:    Result{Total: 15_000, Closed: 15_000},
			atLeast: rtt, atMost: rtt + tick,
		},
		{
			name: "silent clients delay nobody, and those the engine dropped count as forced", window: 10 * time.Second,
			set: func(e *fakeEngine) {
				e.connect(1_000, answersAfter(rtt))
				e.connect(500, isSilent)
			},
			want:    Result{Total: 1_500, Closed: 1_000, Forced: 500},
			atLeast: 10 * time.Second, atMost: 15 * time.Second, code: 1,
		},
		{
			name: "what even the engine cannot drop is cut when the budget ends", window: 2 * time.Second,
			set: func(e *fakeEngine) {
				e.connect(300, answersAfter(rtt))
				e.connect(3, isStuck)
			},
			want:    Result{Total: 303, Closed: 300, Forced: 3},
			atLeast: 7 * time.Second, atMost: 7 * time.Second, code: 1,
		},
		{
			name:    "silent ones with window 0 are forced at the end of the grace, each counted once",
			set:     func(e *fakeEngine) { e.connect(200, isSilent) },
			want:    Result{Total: 200, Forced: 200},
			atLeast: 5 * time.Second, atMost: 5 * time.Second, code: 1,
		},
		{
			name: "clients that leave by themselves are not forced, and the end comes early", window: 10 * time.Second,
			set: func(e *fakeEngine) {
				all := e.connect(1_000, answersAfter(rtt))
				time.AfterFunc(2*time.Second, func() {
					for _, f := range all {
						f.gone()
					}
				})
			},
			want:    Result{Total: 1_000, Closed: 1_000},
			atLeast: 2 * time.Second, atMost: 2*time.Second + tick,
		},
		{
			name: "slow answers within the grace are waited for", window: time.Second,
			set:     func(e *fakeEngine) { e.connect(10, answersAfter(4*time.Second)) },
			want:    Result{Total: 10, Closed: 10},
			atLeast: 4900 * time.Millisecond, atMost: 4900*time.Millisecond + tick,
		},
		{
			name: "those opened while draining are asked at the end of the window", window: 10 * time.Second,
			set: func(e *fakeEngine) {
				e.connect(1_000, answersAfter(rtt))
				time.AfterFunc(3*time.Millisecond, func() { e.connect(5, answersAfter(rtt)) })
				time.AfterFunc(6*time.Second, func() { e.connect(2, answersAfter(rtt)) })
			},
			want:    Result{Total: 1_007, Closed: 1_007},
			atLeast: 10 * time.Second, atMost: 10*time.Second + look + rtt + tick,
		},
		{
			name: "even those that open during the grace are asked", window: time.Second,
			set: func(e *fakeEngine) {
				e.connect(10, answersAfter(2*time.Second))
				time.AfterFunc(2*time.Second, func() { e.connect(4, answersAfter(rtt)) })
			},
			want:    Result{Total: 14, Closed: 14},
			atLeast: 2900 * time.Millisecond, atMost: 2900*time.Millisecond + tick,
		},
		{
			name: "an upgrade in flight keeps an empty drain from ending before it", window: 10 * time.Second,
			set: func(e *fakeEngine) {
				e.coming = 1
				time.AfterFunc(50*time.Millisecond, func() {
					e.connect(1, answersAfter(rtt))
					e.mu.Lock()
					defer e.mu.Unlock()
					e.coming = 0
				})
			},
			want:    Result{Total: 1, Closed: 1},
			atLeast: 50*time.Millisecond + rtt, atMost: 50*time.Millisecond + look + rtt + tick,
		},
		{
			name: "an upgrade that never arrives ends with the budget and forces nobody", window: time.Second,
			set:     func(e *fakeEngine) { e.coming = 1 },
			atLeast: 6 * time.Second, atMost: 6 * time.Second,
		},
		{
			name: "what the engine dropped before the drain is not its doing", window: time.Second,
			set: func(e *fakeEngine) {
				e.forced = 40
				e.connect(2, answersAfter(rtt))
			},
			want:    Result{Total: 2, Closed: 2},
			atLeast: 500*time.Millisecond + rtt, atMost: 500*time.Millisecond + rtt + tick,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine()
				tc.set(e)
				d := e.drainer(t, tc.window, nil)
				got := d.Run(t.Context())
				if got.Elapsed < tc.atLeast || got.Elapsed > tc.atMost || got.Elapsed != time.Since(e.began) {
					t.Errorf("took %v, want %v to %v", got.Elapsed, tc.atLeast, tc.atMost)
				}
				tc.want.Elapsed = got.Elapsed
				if got != tc.want || got.ExitCode() != tc.code {
					t.Errorf("got %+v with exit code %d, want %+v with %d", got, got.ExitCode(), tc.want, tc.code)
				}
				e.mu.Lock()
				defer e.mu.Unlock()
				if e.again != 0 {
					t.Errorf("%d connections were asked twice", e.again)
				}
				if len(e.open) != 0 {
					t.Errorf("%d connections are still open", len(e.open))
				}
			})
		})
	}
}

func TestClosesAreSpreadEvenlyOverTheWindow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		n      int
		window time.Duration
	}{
		{"15,000 over 10 s", 15_000, 10 * time.Second},
		{"15,000 over 110 s", 15_000, 110 * time.Second},
		{"100 over 10 s", 100, 10 * time.Second},
		{"fewer than one a second", 40, time.Minute},
		{"1,000 over 250 ms", 1_000, 250 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine()
				e.connect(tc.n*2/3, answersAfter(30*time.Millisecond))
				e.connect(tc.n-tc.n*2/3, isSilent) // their closes are no less punctual, and spoil nobody's
				e.drainer(t, tc.window, nil).Run(t.Context())

				if len(e.asked) != tc.n {
					t.Fatalf("%d of %d were asked", len(e.asked), tc.n)
				}
				if d := distance(e.asked, tc.window); d > 0.05 {
					t.Errorf("Kolmogorov–Smirnov distance from uniform is %.4f, want at most 0.05", d)
				}
				plan := Plan{tc.n, tc.window}
				for i, at := range e.asked {
					if due := plan.Next(i); at < due || at > due+tick {
						t.Fatalf("number %d was asked at %v, due at %v", i, at, due)
					}
				}
				if last := e.asked[tc.n-1]; last >= tc.window {
					t.Errorf("the last was asked at %v, after the window of %v", last, tc.window)
				}
			})
		})
	}
}

func TestFewConnectionsAreAskedOnTheDot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		e.connect(3, answersAfter(20*time.Millisecond))
		e.drainer(t, 10*time.Second, nil).Run(t.Context())
		for i, at := range e.asked {
			if due := (Plan{3, 10 * time.Second}).Next(i); at != due {
				t.Errorf("number %d was asked at %v, due at %v", i, at, due)
			}
		}
	})
}

func TestAnInterruptionCutsTheRestAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		after  time.Duration
		closed int
	}{
		{"before the drain began", 0, 0},
		{"in the middle of the window", 5005 * time.Millisecond, 501},
		{"just before the window's end", 9991 * time.Millisecond, 1_000},
		{"during the grace", 12 * time.Second, 1_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newFakeEngine()
				asked := 0
				e.connect(1_003, func(f *fake) {
					if asked++; asked <= 1_000 { // whichever come last are the stuck ones
						f.gone()
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), tc.after)
				defer cancel()
				got := e.drainer(t, 10*time.Second+30*time.Millisecond, nil).Run(ctx)
				want := Result{Total: 1_003, Closed: tc.closed, Forced: 1_003 - tc.closed, Elapsed: tc.after, Interrupted: true}
				if got != want || got.ExitCode() != 1 {
					t.Errorf("got %+v, exit code %d; want %+v, exit code 1", got, got.ExitCode(), want)
				}
				if e.cut != want.Forced {
					t.Errorf("%d were cut, %d are reported", e.cut, want.Forced)
				}
			})
		})
	}
}

func TestAnInterruptionStopsABatchInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		ctx, cancel := context.WithCancel(t.Context())
		e.connect(10_000, func(f *fake) {
			f.gone()
			cancel()
		})
		got := e.drainer(t, 0, nil).Run(ctx)
		if !got.Interrupted || got.Closed != chunk || got.Forced != 10_000-chunk {
			t.Errorf("got %+v, want the interruption to be seen after %d", got, chunk)
		}
	})
}

func TestABudgetUsedUpInTheMiddleOfABatchCutsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		e.connect(10_000, func(f *fake) { // a Leave that breaks its promise not to block
			time.Sleep(10 * time.Millisecond)
			f.gone()
		})
		got := e.drainer(t, 0, nil).Run(t.Context())
		if got.Closed+got.Forced != 10_000 || got.Forced < 9_000 || got.ExitCode() != 1 {
			t.Errorf("got %+v, want most of them cut", got)
		}
		if limit := DefaultGrace + chunk*10*time.Millisecond; got.Elapsed > limit {
			t.Errorf("took %v, want at most %v", got.Elapsed, limit)
		}
	})
}

func TestTwoRunsAreOneDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		e.connect(100, answersAfter(time.Millisecond))
		d := e.drainer(t, time.Second, nil)
		var wg sync.WaitGroup
		results := make([]Result, 3)
		for i := range results {
			wg.Go(func() { results[i] = d.Run(t.Context()) })
		}
		wg.Wait()
		for _, r := range results {
			if r != results[0] || r.Total != 100 || r.Closed != 100 {
				t.Errorf("results differ or are wrong: %+v", results)
			}
		}
		if len(e.asked) != 100 || e.again != 0 {
			t.Errorf("%d asked, %d twice; want 100 and none", len(e.asked), e.again)
		}
	})
}

func TestTheDrainNeedsNoGoroutineForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		before, most := runtime.NumGoroutine(), 0
		e.connect(15_000, func(f *fake) {
			most = max(most, runtime.NumGoroutine())
			f.gone()
		})
		e.drainer(t, 10*time.Second, nil).Run(t.Context())
		if most > before {
			t.Errorf("%d goroutines while draining, %d before", most, before)
		}
	})
}

func TestProgressTellsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		e.connect(1_000, answersAfter(0))
		d := e.drainer(t, 10*time.Second, nil)
		idle := Progress{Window: 10 * time.Second, Budget: 15 * time.Second}
		if got := d.Progress(); got != idle {
			t.Errorf("before the drain %+v, want %+v", got, idle)
		}

		done := make(chan Result)
		go func() { done <- d.Run(context.Background()) }()
		time.Sleep(4*time.Second + time.Millisecond)
		synctest.Wait()
		want := Progress{Running: true, Total: 1_000, Asked: 401, Remaining: 599, Elapsed: 4*time.Second + time.Millisecond,
			Window: 10 * time.Second, Budget: 15 * time.Second}
		if got := d.Progress(); got != want {
			t.Errorf("after 4.001 s %+v, want %+v", got, want)
		}

		e.connect(2, isSilent) // late; asked at 10.0 s or so, dropped 5 s later or cut at 15 s
		time.Sleep(7 * time.Second)
		synctest.Wait()
		want.Total, want.Asked, want.Remaining, want.Elapsed = 1_002, 1_002, 2, want.Elapsed+7*time.Second
		if got := d.Progress(); got != want {
			t.Errorf("during the grace %+v, want %+v", got, want)
		}

		r := <-done
		time.Sleep(time.Hour)
		want = Progress{Total: 1_002, Asked: 1_002, Forced: 2, Elapsed: r.Elapsed, Window: want.Window, Budget: want.Budget}
		if got := d.Progress(); got != want || r.Forced != 2 {
			t.Errorf("at the end %+v, want %+v", got, want)
		}
	})
}

func TestTheLogTellsStartEachSecondAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		e := newFakeEngine()
		e.connect(100, answersAfter(0))
		e.connect(1, isStuck)
		e.drainer(t, 3*time.Second, book.logger()).Run(t.Context())

		if l := book.lines(t, "drain started"); len(l) != 1 || l[0]["connections"] != 101.0 {
			t.Errorf("start: %v", l)
		}
		seconds := book.lines(t, "draining")
		if len(seconds) != 7 {
			t.Errorf("%d progress lines in 8 s, want 7 and the end: %v", len(seconds), seconds)
		}
		before := 101.0
		for _, l := range seconds {
			if left, ok := l["left"].(float64); !ok || left > before {
				t.Errorf("progress line %v after %v left", l, before)
			} else {
				before = left
			}
		}
		ends := book.lines(t, "drain ended")
		if len(ends) != 1 || ends[0]["level"] != "WARN" {
			t.Fatalf("end: %v", ends)
		}
		if r := ends[0]["result"].(map[string]any); r["forced"] != 1.0 || r["closed"] != 100.0 || r["total"] != 101.0 {
			t.Errorf("end: %v", r)
		}
	})
}

func TestDrainOptionsAreChecked(t *testing.T) {
	some := func() []Connection { return nil }
	none := func() int { return 0 }
	for _, tc := range []struct {
		name string
		o    DrainOptions
		want []string // all of these in the error; none: no error
	}{
		{"the least there is is enough", DrainOptions{Snapshot: some, Open: none, Abort: none}, nil},
		{"every fault is told at once", DrainOptions{Window: -1, Grace: -time.Second},
			[]string{"window -1ns", "grace -1s", "Snapshot"}},
		{"a missing function is told", DrainOptions{Snapshot: some, Open: none}, []string{"Abort"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := NewDrainer(tc.o)
			if (err != nil) != (tc.want != nil) {
				t.Fatalf("error %v, want one: %v", err, tc.want != nil)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not tell of %q", err, w)
				}
			}
			if err == nil {
				if d.Budget() != DefaultGrace {
					t.Errorf("budget %v, want the default grace", d.Budget())
				}
				if r := d.Run(t.Context()); r.ExitCode() != 0 {
					t.Errorf("an empty drain ended with %+v", r)
				}
			}
		})
	}
}

func TestTheGraceCanBeChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newFakeEngine()
		e.connect(1, isStuck)
		d, err := NewDrainer(DrainOptions{Grace: time.Minute, Snapshot: e.snapshot, Abort: e.abort,
			Open: e.count(func() int { return len(e.open) })})
		if err != nil {
			t.Fatal(err)
		}
		if r := d.Run(t.Context()); r.Elapsed != time.Minute || r.Forced != 1 {
			t.Errorf("got %+v, want one cut after a minute", r)
		}
	})
}
