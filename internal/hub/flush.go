package hub

import (
	"context"
	"fmt"
	"sync/atomic"
)

// flush is one Flush call under way.
type flush struct {
	left atomic.Int64 // channels that are not through yet, and 1 while they are being counted
	done chan struct{}
}

func (f *flush) step() {
	if f.left.Add(-1) == 0 {
		close(f.done)
	}
}

// flushed is a call of Flush or After that waits for one channel.
type flushed struct {
	upTo uint64 // until so many of work.arrived were delivered
	then func()
}

// flushed calls those that wait for no more than the first n arrived messages. channel.mu is held.
func (w *work) flushed(n uint64) {
	keep := w.flushes[:0]
	for _, f := range w.flushes {
		if f.upTo <= n {
			f.then()
		} else {
			keep = append(keep, f)
		}
	}
	clear(w.flushes[len(keep):])
	w.flushes = keep
}

// Flush waits until every message that reached the hub before the call was delivered: with the memory broker, every message
// whose Publish returned. Messages that keep coming do not prolong it; waiting for a moment with nothing pending was rejected,
// since a busy task may have none. The error wraps that of ctx, or is ErrClosed if the hub was closed, in which case messages
// may have been given up. It must not be called from Deliver.
func (h *Hub) Flush(ctx context.Context) error {
	f := &flush{done: make(chan struct{})}
	f.left.Store(1)
	h.mu.Lock()
	for _, c := range h.order {
		c.mu.Lock()
		if w := c.work; w != nil {
			f.left.Add(1)
			w.flushes = append(w.flushes, flushed{w.arrived, f.step})
		}
		c.mu.Unlock()
	}
	h.mu.Unlock()
	f.step()

	select {
	case <-f.done:
	case <-ctx.Done():
		return fmt.Errorf("waiting for %d channels to deliver their messages: %w", f.left.Load(), context.Cause(ctx))
	}
	if h.closed.Load() {
		return ErrClosed
	}
	return nil
}

// After calls then once every message that has reached m's channel was handed to its members, at once if none waits: what is to be
// a subscriber's last word, a close, must not overtake them. If the hub is closed meanwhile, then is called all the same. It is
// called with a lock of the channel held, from any goroutine: it must not block, and must not call the hub.
func (h *Hub) After(m *Member, then func()) {
	c := m.in
	if c == nil {
		then()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.work; w != nil {
		w.flushes = append(w.flushes, flushed{w.arrived, then})
		return
	}
	then()
}
