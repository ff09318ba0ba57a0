package hub

import "sync"

// channel is one channel with its subscribers. What only a busy channel needs is in work, so that an idle channel has 80 bytes.
// It implements Sink.
type channel struct {
	hub  *Hub
	name string

	// mu guards the following.
	mu      sync.Mutex
	members []*Member // frozen while work.begun; in no particular order
	work    *work     // nil while nothing waits and no pass runs
	dead    bool      // removed from the hub; never again used
}

// joiner is a member that is not yet in the member slice.
type joiner struct {
	m     *Member
	after uint64 // it is owed the messages that arrived after this many (see work.arrived)
}

// messageOverhead is what a pending message counts in addition to its payload, so that a flood of empty messages is bounded as
// well: the Message itself and the payload's allocation.
const messageOverhead = 64

func cost(payload []byte) int { return len(payload) + messageOverhead }

// Receive implements Sink.
func (c *channel) Receive(m Message) error {
	h := c.hub
	h.counters.received.Add(1)
	need := cost(m.Payload)
	c.mu.Lock()
	for waited := false; ; waited = true {
		if h.closed.Load() {
			c.mu.Unlock()
			return ErrClosed
		}
		w := c.work
		// A message larger than the whole allowance is taken when nothing else waits.
		if w == nil || w.pendingBytes == 0 || w.pendingBytes+need <= h.maxPending {
			break
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		c.mu.Unlock()
		if !waited {
			h.counters.waits.Add(1)
		}
		select {
		case <-room:
		case <-h.done:
		}
		c.mu.Lock()
	}
	w := c.work
	if w == nil {
		if len(c.members) == 0 { // about to be removed, or dead
			c.mu.Unlock()
			return nil
		}
		w = newWork(c)
		w.add(m, need)
		w.queued = h.now()
		c.work = w
		// Under the lock, so that a refusal (the hub was closed just now) finds the members still there and has no channel to
		// remove: Receive may be called with locks that must not be held together with Hub.mu.
		closed := !h.queue.push(w, 1)
		if closed {
			w.rest()
		}
		c.mu.Unlock()
		if closed {
			w.giveBack()
			return ErrClosed
		}
		return nil
	}
	w.add(m, need)
	c.mu.Unlock()
	return nil
}

// join adds m. mu is held.
func (c *channel) join(m *Member) {
	if w := c.work; w != nil {
		m.where, m.place = joining, int32(len(w.joining))
		w.joining = append(w.joining, joiner{m, w.arrived})
		return
	}
	c.add(m)
}

// leave takes m out, now or when the pass under way ends. It reports whether m was in, and whether the channel may be removed. mu
// is held.
func (c *channel) leave(m *Member) (was, empty bool) {
	w := c.work
	switch m.where {
	case joined:
		if w != nil && w.begun {
			m.where = leaving
			w.leaving = append(w.leaving, m)
		} else {
			c.remove(m)
		}
	case joining:
		last := len(w.joining) - 1
		w.joining[m.place] = w.joining[last]
		w.joining[m.place].m.place = m.place
		w.joining[last] = joiner{}
		w.joining = w.joining[:last]
		m.where = out
	case late:
		m.where = gone
	default:
		return false, false
	}
	return true, c.idle()
}

// idle reports whether nobody is in c and nothing happens in it. mu is held.
func (c *channel) idle() bool { return c.work == nil && len(c.members) == 0 && !c.dead }

// add puts m into the member slice, which is not frozen. mu is held.
func (c *channel) add(m *Member) {
	m.where, m.place = joined, int32(len(c.members))
	c.members = append(c.members, m)
}

// shrinkAbove is the capacity below which a member slice is not worth shrinking.
const shrinkAbove = 64

// remove takes m out of the member slice, which is not frozen. mu is held.
func (c *channel) remove(m *Member) {
	last := len(c.members) - 1
	c.members[m.place] = c.members[last]
	c.members[m.place].place = m.place
	c.members[last] = nil
	c.members = c.members[:last]
	m.where = out
	// Without this a lobby that had 15,000 subscribers once would keep their slots for ever.
	if cap(c.members) > shrinkAbove && last < cap(c.members)/4 {
		c.members = append(make([]*Member, 0, 2*last), c.members...)
	}
}
