package lifecycle

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		name    string
		plan    Plan
		elapsed time.Duration
		want    int
	}{
		{"before the start nobody is due", Plan{10, time.Second}, -1, 0},
		{"no connections, nobody due", Plan{0, time.Second}, time.Second, 0},
		{"a negative number is none", Plan{-3, 0}, time.Second, 0},
		{"a single one goes at once", Plan{1, time.Second}, 0, 1},
		{"window 0 is all at once", Plan{15_000, 0}, 0, 15_000},
		{"a negative window is all at once", Plan{7, -time.Second}, 0, 7},
		{"the second of two waits for half the window", Plan{2, time.Second}, 500*time.Millisecond - 1, 1},
		{"and goes then", Plan{2, time.Second}, 500 * time.Millisecond, 2},
		{"a third of the window is no whole nanosecond and is rounded up", Plan{3, 10 * time.Second}, 3_333_333_333, 1},
		{"so the second of three goes one later", Plan{3, 10 * time.Second}, 3_333_333_334, 2},
		{"half of 15,000 after half the window", Plan{15_000, 10 * time.Second}, 5*time.Second - 1, 7_500},
		{"the last one is not due a nanosecond before its time", Plan{15_000, 15 * time.Second}, 14_999*time.Millisecond - 1, 14_999},
		{"the last one goes before the window ends", Plan{15_000, 15 * time.Second}, 14_999 * time.Millisecond, 15_000},
		{"long after the window all are due", Plan{15_000, time.Second}, math.MaxInt64, 15_000},
		{"a million over the longest window there is", Plan{1_000_000, math.MaxInt64}, math.MaxInt64 / 2, 500_000},
		{"more connections than nanoseconds", Plan{1_000_000, 10}, 5, 500_001},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.plan.Due(tc.elapsed); got != tc.want {
				t.Errorf("%+v.Due(%v) = %d, want %d", tc.plan, tc.elapsed, got, tc.want)
			}
		})
	}
}

func TestPlanNextWithNobodyLeftIsTheEndOfTheWindow(t *testing.T) {
	for _, p := range []Plan{{0, time.Minute}, {5, time.Minute}, {-1, time.Minute}} {
		if got := p.Next(5); got != time.Minute {
			t.Errorf("%+v.Next(5) = %v, want the window", p, got)
		}
	}
	if got := (Plan{5, 0}).Next(3); got != 0 {
		t.Errorf("with window 0 the next is due after %v, want at once", got)
	}
}

// Every due time of real sizes, walked one by one: exact, never falling, even.
func TestPlanIsExactAndEven(t *testing.T) {
	for _, tc := range []struct {
		name string
		plan Plan
	}{
		{"15,000 over 10 s", Plan{15_000, 10 * time.Second}},
		{"1,000,000 over 110 s", Plan{1_000_000, 110 * time.Second}},
		{"9,973 over 6 h, a prime number", Plan{9_973, 6 * time.Hour}},
		{"7 over 1 s", Plan{7, time.Second}},
		{"20 over 120 s", Plan{20, 2 * time.Minute}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := tc.plan
			times := make([]time.Duration, p.Connections)
			for i := range p.Connections {
				at := p.Next(i)
				if got := p.Due(at); got != i+1 {
					t.Fatalf("at Next(%d) = %v, %d are due", i, at, got)
				}
				if got := p.Due(at - 1); got != i {
					t.Fatalf("a nanosecond before Next(%d) = %v, %d are due", i, at, got)
				}
				times[i] = at
			}
			if last := times[p.Connections-1]; last >= p.Window {
				t.Errorf("the last is due at %v, not before the end of %v", last, p.Window)
			}
			// With 20 or fewer, the distance is 1/n by construction: each is alone in its share of the window.
			if d, limit := distance(times, p.Window), max(0.05, 1/float64(p.Connections)+1e-6); d > limit {
				t.Errorf("Kolmogorov–Smirnov distance from uniform %.4f, want at most %.4f", d, limit)
			}
		})
	}
}

func TestPlanHoldsForAnyNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{rapid.IntRange(0, 2_000_000).Draw(t, "connections"), time.Duration(rapid.Int64Min(0).Draw(t, "window"))}
		a := time.Duration(rapid.Int64Min(0).Draw(t, "earlier"))
		b := time.Duration(rapid.Int64Range(int64(a), math.MaxInt64).Draw(t, "later"))
		da, db := p.Due(a), p.Due(b)
		if da > db || da < 0 || db > p.Connections {
			t.Fatalf("%+v: %d due at %v, %d due at %v", p, da, a, db, b)
		}
		if da < p.Connections {
			if at := p.Next(da); at <= a || at > p.Window || p.Due(at) <= da {
				t.Fatalf("%+v: %d due at %v, the next at %v, when %d are", p, da, a, at, p.Due(at))
			}
		}
	})
}

// distance is the Kolmogorov–Smirnov distance between times and the uniform distribution over [0, window].
func distance(times []time.Duration, window time.Duration) float64 {
	times = slices.Clone(times)
	slices.Sort(times)
	n, d := float64(len(times)), 0.0
	for i, at := range times {
		u := float64(at) / float64(window)
		d = max(d, math.Abs(u-float64(i)/n), math.Abs(float64(i+1)/n-u))
	}
	return d
}
