package hub

import (
	"runtime"
	"sync"
)

// queue is the run queue: the channels that have a turn coming, first in, first out. A channel is in it once while its pass has
// not begun, and then once for each ticket of the pass that no worker holds.
type queue struct {
	limit   int    // workers at most; 0 only in tests, which take the turns themselves
	worker  func() // the method work, made a value once: starting a worker allocates nothing
	running sync.WaitGroup

	// mu guards the following.
	mu      sync.Mutex
	items   []*work // items[:head] were taken
	head    int
	workers int // running now
	closed  bool
}

// keepItems is the capacity an emptied queue keeps.
const keepItems = 1024

// push adds w n times at the back and starts workers for it, as far as the limit allows. After close it refuses w and reports
// false; but tickets of a pass that has begun it takes even then, and the worker that pushes them will come by to work them off.
func (q *queue) push(w *work, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && !w.begun {
		return false
	}
	for range n {
		q.items = append(q.items, w)
	}
	for range min(n, q.limit-q.workers) {
		if q.closed {
			break
		}
		q.workers++
		q.running.Add(1)
		go q.worker()
	}
	return true
}

// work is one worker: it takes turns until the queue is empty. Workers come and go instead of being parked: starting a goroutine
// costs about what waking one does, and a hub without traffic owns none.
func (q *queue) work() {
	defer q.running.Done()
	var p pace
	for w := q.take(); w != nil; {
		if w.turn(&p) {
			w = q.rotate(w)
		} else {
			w = q.take()
		}
	}
}

// take removes the first entry. If there is none it returns nil and the worker must end.
func (q *queue) take() *work {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.pop()
	if w == nil {
		q.workers--
	}
	return w
}

// rotate puts w at the back and takes the first entry, which is w itself if nothing else is waiting. Unlike push it starts no
// worker: there already is one, the caller.
func (q *queue) rotate(w *work) *work {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.items) {
		return w
	}
	q.items = append(q.items, w)
	return q.pop()
}

// pop removes the first entry, or returns nil. mu is held.
func (q *queue) pop() *work {
	if q.head == len(q.items) {
		return nil
	}
	w := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > keepItems {
			q.items = nil
		}
	case q.head >= keepItems && q.head*2 >= len(q.items):
		// Never quite empty: move the rest to the front now and then, or the slice would grow for ever.
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return w
}

// close lets the workers finish what has begun, and returns when they are gone.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
}

// pace makes a worker yield.
type pace struct{ deliveries int }

// yieldEvery is how many deliveries a worker makes before it lets other goroutines run. A delivery is a write(2) of about 7 µs,
// so this is every 0.45 ms. The pollers that read from sockets share the processors with the workers, and the runtime by itself
// takes a processor from a busy goroutine only after 10 ms: without yielding, pings and upgrades would be served in steps of
// 10 ms for as long as a pass over 15,000 subscribers lasts. A yield costs 0.1 to 0.2 µs, nothing beside 64 writes.
const yieldEvery = 64

func (p *pace) delivered() {
	p.deliveries++
	if p.deliveries == yieldEvery {
		p.deliveries = 0
		runtime.Gosched()
	}
}
