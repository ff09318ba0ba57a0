package hub

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// mustFlush flushes h or fails the test.
func mustFlush(t *testing.T, h *Hub) {
	t.Helper()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEverySubscriberSeesTheSameOrderUnderConcurrentPublishers(t *testing.T) {
	const publishers, each, members = 4, 300, 40
	h := New(Options{Encoder: lines{}, Workers: 4, MaxPassBytes: 64, MaxPendingBytes: 4096})
	defer h.Close()
	h.turnSize = 4
	subscribers := make([]recorder, members)
	for i := range subscribers {
		h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
	}
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				say(t, h, "c", fmt.Sprintf("%d-%d", p, i))
			}
		})
	}
	all.Wait()
	mustFlush(t, h)

	want := subscribers[0].got()
	if len(want) != publishers*each {
		t.Fatalf("%d messages, want %d", len(want), publishers*each)
	}
	var next [publishers]int
	for i, frame := range want {
		var seq, p, n int
		if _, err := fmt.Sscanf(frame, "0/%d:%d-%d", &seq, &p, &n); err != nil {
			t.Fatal(err)
		}
		if seq != i+1 {
			t.Fatalf("message %d has number %d", i+1, seq)
		}
		if n != next[p] {
			t.Fatalf("publisher %d: message %d where %d was due", p, n, next[p])
		}
		next[p]++
	}
	for i := range subscribers {
		if !slices.Equal(subscribers[i].got(), want) {
			t.Errorf("subscriber %d saw another order than the first", i)
		}
	}
}

func TestAStormOfJoinsAndLeavesLosesAndRepeatsNothing(t *testing.T) {
	const goroutines, rounds, messages = 4, 150, 2000
	h := New(Options{Encoder: lines{}, Workers: 4, MaxPassBytes: 256})
	defer h.Close()
	h.turnSize = 3
	// The others come and go; this one stays, so that the numbers go on.
	var stays recorder
	h.Join("c", &stays.Member, &stays, 0)
	var all sync.WaitGroup
	all.Go(func() {
		for i := range messages {
			say(t, h, "c", fmt.Sprint(i+1))
		}
	})
	for range goroutines {
		all.Go(func() {
			crowd := make([]recorder, rounds)
			for i := range crowd {
				h.Join("c", &crowd[i].Member, &crowd[i], Form(i%3))
				if i >= 10 {
					h.Leave(&crowd[i-10].Member)
				}
				if i%10 == 0 {
					var private recorder
					h.Join("private", &private.Member, &private, 0)
					say(t, h, "private", "x")
					h.Leave(&private.Member)
				}
			}
			for i := range crowd {
				h.Leave(&crowd[i].Member)
			}
			for i := range crowd {
				expectRun(t, crowd[i].got())
			}
		})
	}
	all.Wait()
	mustFlush(t, h)
	if got := stays.got(); len(got) != messages {
		t.Errorf("the one that stayed has %d messages, want %d", len(got), messages)
	}
	expectRun(t, stays.got())
	h.Leave(&stays.Member)
	h.Close() // the last pass of a channel may end after its last member left
	expectEmpty(t, h)
}

// expectRun checks that the frames are numbered without a gap and carry the payload that belongs to the number.
func expectRun(t *testing.T, frames []string) {
	t.Helper()
	previous := 0
	for _, frame := range frames {
		_, rest, _ := strings.Cut(frame, "/")
		var seq, payload int
		if _, err := fmt.Sscanf(rest, "%d:%d", &seq, &payload); err != nil {
			t.Error(err)
			return
		}
		if seq != payload || previous != 0 && seq != previous+1 {
			t.Errorf("message %d (numbered %d) follows %d", payload, seq, previous)
			return
		}
		previous = seq
	}
}

func TestASlowDeliverReordersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Encoder: lines{}, Workers: 3})
		defer h.Close()
		h.turnSize = 1
		entered, resume := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var slow, a, b, elsewhere recorder
		slow.during = func() { once.Do(func() { close(entered); <-resume }) }
		h.Join("c", &a.Member, &a, 0)
		h.Join("c", &slow.Member, &slow, 0)
		h.Join("c", &b.Member, &b, 0)
		h.Join("elsewhere", &elsewhere.Member, &elsewhere, 0)
		say(t, h, "c", "1")
		<-entered
		say(t, h, "c", "2")
		say(t, h, "c", "3")
		say(t, h, "elsewhere", "1")
		synctest.Wait()
		elsewhere.expect(t, "0/1:1")
		a.expect(t, "0/1:1")
		b.expect(t, "0/1:1")
		close(resume)
		mustFlush(t, h)
		for _, r := range []*recorder{&slow, &a, &b} {
			r.expect(t, "0/1:1", "0/2:2", "0/3:3")
		}
	})
}

func TestASubscriberThatLeavesDuringAPassGetsNoLaterMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Encoder: lines{}, Workers: 1})
		defer h.Close()
		entered, resume := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var holds, leaves, stays recorder
		holds.during = func() { once.Do(func() { close(entered); <-resume }) }
		h.Join("c", &holds.Member, &holds, 0)
		h.Join("c", &leaves.Member, &leaves, 0)
		h.Join("c", &stays.Member, &stays, 0)
		say(t, h, "c", "1")
		<-entered
		h.Leave(&leaves.Member) // from another goroutine than the pass's
		h.Leave(&leaves.Member)
		say(t, h, "c", "2")
		close(resume)
		mustFlush(t, h)
		leaves.expect(t, "0/1:1") // the pass had begun
		stays.expect(t, "0/1:1", "0/2:2")
		if got := h.Stats().Members; got != 2 {
			t.Errorf("%d members, want 2", got)
		}
	})
}

func TestALateJoinerMayLeaveWhileItIsHandedTheRest(t *testing.T) {
	h := newByHand(Options{})
	h.turnSize = 1
	var a, joins recorder
	h.Join("c", &a.Member, &a, 0)
	say(t, h.Hub, "c", "1")
	h.Join("c", &joins.Member, &joins, 0)
	say(t, h.Hub, "c", "2")
	h.turn()
	h.Leave(&joins.Member)
	say(t, h.Hub, "c", "3")
	h.settle()
	joins.expect(t, "0/2:2")
	a.expect(t, "0/1:1", "0/2:2", "0/3:3")
	h.Leave(&a.Member)
	expectEmpty(t, h.Hub)
}

func TestAHubWithoutTrafficOwnsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		h := New(Options{Encoder: lines{}, Workers: 8})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		for range 100 {
			say(t, h, "c", "x")
		}
		mustFlush(t, h)
		synctest.Wait()
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		if h.queue.workers != 0 {
			t.Errorf("%d workers are left", h.queue.workers)
		}
	})
}
