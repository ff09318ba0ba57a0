package hub

import (
	"errors"
	"strings"
	"sync"
)

// channel is one channel with its subscribers. What only a busy channel needs is in work, and what only one with a window or with
// somebody waiting needs is in past, so that an idle channel has 112 bytes. It implements Sink.
type channel struct {
	hub   *Hub
	name  string
	index int32 // in hub.order; guarded by hub.mu

	// mu guards the following.
	mu      sync.Mutex
	pins    int32     // entries that hold on to the channel; raised with hub.mu held as well
	members []*Member // frozen while work.begun; in no particular order
	work    *work     // nil while nothing waits and no pass runs
	past    *past     // nil if there is nothing to keep in it
	head    Position  // of the last message received; the zero Position before the first Live
	state   state
	told    bool // somebody outside knows a position of this life
	dead    bool // removed from the hub; never again used
}

// state is what the broker said last.
type state uint8

const (
	subscribing state = iota // nothing yet
	live
	down
)

// joiner is a member that is not yet in the member slice.
type joiner struct {
	m     *Member
	after uint64 // it is owed the messages that arrived after this many (see work.arrived); in past.ahead, those after this offset
}

// messageOverhead is what a message counts in addition to its payload, pending and in a window, so that a flood of empty messages
// is bounded as well: the Message or entry itself, and the payload's allocation.
const messageOverhead = 64

func cost(payload []byte) int { return len(payload) + messageOverhead }

// Receive implements Sink.
func (c *channel) Receive(m Message) error {
	err := c.receive(m, "")
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// receive is Receive with the publisher's key; it returns errGone if c is dead.
func (c *channel) receive(m Message, key string) error {
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
	if c.dead {
		c.mu.Unlock()
		return errGone
	}
	lost, fresh := c.follow(&m)
	if !fresh {
		c.mu.Unlock()
		return nil
	}
	c.promote()
	w := c.work
	refused := false
	switch {
	case w != nil:
		w.add(m, need)
	case len(c.members) > 0:
		w = newWork(c)
		w.add(m, need)
		w.queued = h.now()
		c.work = w
		// Under the lock, so that a refusal (the hub was closed just now) finds the members still there and has no channel to
		// remove: Receive may be called with locks that must not be held together with Hub.mu.
		refused = !h.queue.push(w, 1)
		if refused {
			w.rest()
		}
	}
	over := false
	if !refused {
		c.head.Offset++
		over = c.keep(m.Payload, key)
	}
	c.mu.Unlock()
	tell(lost)
	if refused {
		w.giveBack()
		return ErrClosed
	}
	if over {
		h.shrink(c)
	}
	return nil
}

// follow checks that m comes after head, and breaks with the past if it does not. fresh is false if m was received before. mu is
// held; the caller tells the lost after it has let go.
func (c *channel) follow(m *Message) (lost []*Member, fresh bool) {
	at := m.Position
	switch {
	case at.Epoch == c.head.Epoch && at.Offset == c.head.Offset+1:
	case at.Epoch == c.head.Epoch && at.Offset <= c.head.Offset:
		return nil, false
	default:
		lost = c.breakTo(Position{at.Epoch, at.Offset - 1})
	}
	m.Position.Epoch = c.head.Epoch // one string for all
	return lost, true
}

// Live implements Sink.
func (c *channel) Live(head Position) {
	c.mu.Lock()
	var lost []*Member
	if !c.dead && head != c.head {
		lost = c.breakTo(head)
	}
	c.state = live
	c.wake(nil)
	c.mu.Unlock()
	tell(lost)
}

// Down implements Sink.
func (c *channel) Down(err error) {
	if err == nil {
		err = ErrUnavailable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = down
	c.wake(err)
}

// breakTo gives up continuity: c goes on after head, without what was before and without its resumable members, which it returns
// for tell. They are out, as if they had left: what is pending is contiguous with what they have, but they resume from there
// anyway, and to hand it over first would mean to wait for the passes. Plain members are handed what is pending and then what
// follows. mu is held.
func (c *channel) breakTo(head Position) (lost []*Member) {
	c.forget()
	c.head = Position{strings.Clone(head.Epoch), head.Offset}
	part := func(m *Member) {
		if m.resumable {
			lost = append(lost, m)
		}
	}
	if p := c.past; p != nil {
		for _, j := range p.ahead {
			part(j.m)
		}
	}
	if w := c.work; w != nil {
		for _, j := range w.joining {
			part(j.m)
		}
		for _, j := range w.late {
			if j.m.where == late {
				part(j.m)
			}
		}
	}
	for _, m := range c.members {
		if m.where == joined {
			part(m)
		}
	}
	for _, m := range lost {
		c.out(m)
	}
	// If nobody is left, the channel is put among the idle or left for Sweep: Hub.mu may not be taken here.
	c.quiet()
	c.hub.counters.members.Add(-int64(len(lost)))
	c.hub.counters.lost.Add(uint64(len(lost)))
	return lost
}

// tell calls Lost. No lock is held.
func tell(lost []*Member) {
	for _, m := range lost {
		m.to.Lost()
	}
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

// joinAhead adds m, which is owed only what comes after an offset that c has yet to reach. mu is held.
func (c *channel) joinAhead(m *Member, after uint64) {
	p := c.somePast()
	m.where, m.place = ahead, int32(len(p.ahead))
	p.ahead = append(p.ahead, joiner{m, after})
}

// promote joins those ahead that are owed the next message. mu is held.
func (c *channel) promote() {
	if c.past == nil || len(c.past.ahead) == 0 {
		return
	}
	for i := 0; i < len(c.past.ahead); {
		j := c.past.ahead[i]
		if j.after > c.head.Offset {
			i++
			continue
		}
		c.past.ahead = dropJoiner(c.past.ahead, i)
		c.join(j.m)
	}
	if len(c.past.ahead) == 0 {
		c.past.ahead = nil
		c.prune()
	}
}

// dropJoiner takes the i-th out of s, and the last takes its place.
func dropJoiner(s []joiner, i int) []joiner {
	last := len(s) - 1
	s[i] = s[last]
	s[i].m.place = int32(i)
	s[last] = joiner{}
	return s[:last]
}

// leave takes m out, now or when the pass under way ends. It reports whether m was in, and whether the channel may be removed. mu
// is held.
func (c *channel) leave(m *Member) (was, empty bool) {
	if !c.out(m) {
		return false, false
	}
	return true, c.quiet()
}

// out takes m out and reports whether it was in. mu is held.
func (c *channel) out(m *Member) bool {
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
		w.joining = dropJoiner(w.joining, int(m.place))
		m.where = out
	case ahead:
		c.past.ahead = dropJoiner(c.past.ahead, int(m.place))
		m.where = out
	case late:
		m.where = gone
	default:
		return false
	}
	return true
}

// vacant reports whether nobody is in c or about to be, and nothing happens in it. mu is held.
func (c *channel) vacant() bool {
	return c.work == nil && len(c.members) == 0 && c.pins == 0 && !c.dead && (c.past == nil || len(c.past.ahead) == 0)
}

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
