package hub

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestTheRunQueueIsFirstInFirstOut(t *testing.T) {
	var q queue
	entries := make([]work, 5*keepItems)
	in, taken := 0, 0
	next := func() {
		t.Helper()
		if got := q.pop(); got != &entries[taken] {
			t.Fatalf("entry %d did not come in its turn", taken)
		}
		taken++
	}
	for in < len(entries) { // never empty, and longer and longer
		for range 4 {
			q.push(&entries[in], 1)
			in++
		}
		next()
		next()
	}
	for taken < in {
		next()
	}
	if q.pop() != nil {
		t.Error("an empty queue has an entry")
	}
	if cap(q.items) > keepItems {
		t.Errorf("an empty queue keeps room for %d", cap(q.items))
	}
}

func TestTheRunQueueDoesNotGrowWhileItIsNeverEmpty(t *testing.T) {
	var q queue
	var w work
	q.push(&w, 2)
	for range 100 * keepItems {
		q.push(&w, 1)
		q.pop()
	}
	if cap(q.items) > 4*keepItems {
		t.Errorf("room for %d entries, and there were never more than 3", cap(q.items))
	}
}

func TestAWorkerThatWantsAnotherTurnGoesToTheBack(t *testing.T) {
	var q queue
	var a, b work
	if q.rotate(&a) != &a {
		t.Error("alone, it does not go on")
	}
	q.push(&b, 1)
	if q.rotate(&a) != &b {
		t.Error("it does not let the next one have a turn")
	}
	if q.pop() != &a {
		t.Error("it is not in the queue")
	}
}

func TestAPassLetsOtherGoroutinesRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	deliveries, before := 0, 0
	h := newByHand(Options{})
	subscribers := make([]recorder, 6*yieldEvery)
	for i := range subscribers {
		subscribers[i].during = func() {
			deliveries++
			if before == 0 && ran.Load() {
				before = deliveries
			}
		}
		h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
	}
	say(t, h.Hub, "c", "x")
	go ran.Store(true)
	h.settle()
	if before == 0 {
		t.Errorf("another goroutine did not get to run during %d deliveries", deliveries)
	}
}
