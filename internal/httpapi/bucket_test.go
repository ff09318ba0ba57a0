package httpapi

import (
	"math"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	a := allowance{rate: 10, burst: 3, strikes: 5}
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

	t.Run("a burst passes, the next is refused, and time brings it back", func(t *testing.T) {
		b := a.fill(0)
		for range 3 {
			if b.take(&a, 0) != allowed {
				t.Fatal("the burst was refused")
			}
		}
		if b.take(&a, 0) != refused {
			t.Fatal("more than the burst was allowed")
		}
		if b.take(&a, at(0.05)) != refused || b.take(&a, at(0.1)) != allowed {
			t.Fatal("a token takes a tenth of a second at 10/s")
		}
	})
	t.Run("the steady rate is never refused", func(t *testing.T) {
		b := a.fill(0)
		for i := range 1000 {
			if b.take(&a, at(float64(i)/10)) != allowed {
				t.Fatalf("message %d was refused", i)
			}
		}
	})
	t.Run("persistence is a ban", func(t *testing.T) {
		b := a.fill(0)
		for range 3 + 5 {
			if b.take(&a, 0) == banned {
				t.Fatal("banned too early")
			}
		}
		if b.take(&a, 0) != banned {
			t.Fatal("not banned after six refusals in a row")
		}
	})
	t.Run("a pause long enough to fill the bucket forgives", func(t *testing.T) {
		b := a.fill(0)
		for range 3 + 5 {
			b.take(&a, 0)
		}
		for i := range 3 + 5 {
			if got := b.take(&a, at(0.3)); got == banned {
				t.Fatalf("banned at message %d after the pause", i+1)
			}
		}
	})
	t.Run("a pause too short for that does not", func(t *testing.T) {
		b := a.fill(0)
		for range 3 + 5 {
			b.take(&a, 0)
		}
		got := b.take(&a, at(0.2))
		for range 2 {
			got = b.take(&a, at(0.2))
		}
		if got != banned {
			t.Fatal("the sixth strike was forgiven")
		}
	})
	t.Run("without a number of strikes nobody is banned", func(t *testing.T) {
		lenient := allowance{rate: 1, burst: 1}
		b := lenient.fill(0)
		for range 100000 {
			if b.take(&lenient, 0) == banned {
				t.Fatal("banned")
			}
		}
	})
	t.Run("no limit is no limit", func(t *testing.T) {
		free := allowance{}
		b := free.fill(0)
		for range 10000 {
			if b.take(&free, 0) != allowed {
				t.Fatal("refused")
			}
		}
	})
	t.Run("the clock may wrap", func(t *testing.T) {
		wrap := time.Duration(math.MaxUint32) * time.Millisecond
		b := a.fill(wrap - 10*time.Millisecond)
		b.tokens = 0
		if b.take(&a, wrap+95*time.Millisecond) != allowed {
			t.Fatal("a tenth of a second over the wrap brought no token")
		}
	})
	if got := testing.AllocsPerRun(100, func() { b := a.fill(0); b.take(&a, 1) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
