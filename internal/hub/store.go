package hub

import (
	"sync"
	"sync/atomic"
	"time"
)

// store is what the hub keeps for resuming, over all channels.
type store struct {
	HistoryOptions
	limit       int          // of a block, in messages
	maxMessages int64        // of TotalBytes, for messages
	maxFrames   int64        // and for frames
	messages    atomic.Int64 // bytes counted: windows, keys, and channels without members
	frames      atomic.Int64
	clock       atomic.Int64 // the time of the last Sweep, or of New: nobody reads a clock for each message

	// mu guards the list of channels without members, longest idle first. It is taken after channel.mu.
	mu    sync.Mutex
	first *channel
	last  *channel
}

// idleLink is a channel's place in the list.
type idleLink struct {
	prev, next *channel // guarded by store.mu
	listed     bool     // guarded by channel.mu
	evicted    bool     // guarded by channel.mu: its window had to go; the next Sweep removes the channel
	since      int64    // by the hub's clock; guarded by channel.mu
}

// idleOverhead is what a channel counts that is kept without members: itself, its past, its names, its places in the hub's and
// the broker's maps. TestWhatAChannelCosts measures it.
const idleOverhead = 512

func (s *store) push(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &c.past.idle
	l.prev, l.next = s.last, nil
	if s.last != nil {
		s.last.past.idle.next = c
	} else {
		s.first = c
	}
	s.last = c
}

func (s *store) remove(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &c.past.idle
	if l.prev != nil {
		l.prev.past.idle.next = l.next
	} else {
		s.first = l.next
	}
	if l.next != nil {
		l.next.past.idle.prev = l.prev
	} else {
		s.last = l.prev
	}
	l.prev, l.next = nil, nil
}

func (s *store) longestIdle() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// over reports whether windows have to go.
func (s *store) over() bool { return s.messages.Load() > s.maxMessages }

// account brings the hub's totals up to what c has now. mu is held.
func (c *channel) account() {
	p := c.past
	if p == nil {
		return
	}
	s := &c.hub.store
	n := p.window.cost
	if p.keys != nil {
		n += p.keys.cost
	}
	if p.idle.listed && !p.idle.evicted {
		n += idleOverhead
	}
	if n != p.counted {
		s.messages.Add(int64(n - p.counted))
		p.counted = n
	}
	if f := p.window.frames; f != p.countedFrames {
		s.frames.Add(int64(f - p.countedFrames))
		p.countedFrames = f
	}
}

// keep puts the message at head into the window. It reports whether the hub keeps too much now, for shrink. mu is held.
func (c *channel) keep(payload []byte, key string) (over bool) {
	s := &c.hub.store
	if !s.on() {
		return false
	}
	p := c.somePast()
	if p.idle.evicted { // and yet someone publishes to it: it lives on
		p.idle = idleLink{}
		c.list()
	}
	p.window.append(payload, s.clock.Load(), c.head.Offset, s.limit)
	if key != "" {
		if p.keys == nil {
			p.keys = new(keys)
		}
		p.keys.add(key, c.head.Offset)
	}
	c.trim()
	return s.over()
}

// trim lets go of what the bounds of one channel do not allow. mu is held.
func (c *channel) trim() {
	p := c.past
	if p == nil {
		return
	}
	s := &c.hub.store
	p.window.trim(&s.HistoryOptions, c.head.Offset, s.clock.Load()-int64(s.Age))
	c.trimmed()
}

// trimmed follows a change of the window. mu is held.
func (c *channel) trimmed() {
	p := c.past
	if p.keys != nil {
		p.keys.trim(p.window.first(c.head.Offset))
		if len(p.keys.order) == 0 {
			p.keys = nil
		}
	}
	c.account()
	c.prune()
}

// forget lets go of the whole window. mu is held.
func (c *channel) forget() {
	if c.past != nil {
		c.past.window = window{}
		c.trimmed()
	}
}

// shrink makes room after c grew: the windows of channels without members go first, then the oldest messages of c. No lock is held
// but those of the broker that called Receive, so channels whose window has gone are left for Sweep to remove.
func (h *Hub) shrink(c *channel) {
	for h.store.over() {
		victim := h.store.longestIdle()
		if victim == nil || victim == c {
			if c.dropOldest() {
				continue
			}
			if victim == nil {
				return
			}
		}
		victim.mu.Lock()
		victim.evict()
		victim.mu.Unlock()
	}
}

// dropOldest takes a block off c's window and reports whether there was one.
func (c *channel) dropOldest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.past == nil || c.past.window.count == 0 {
		return false
	}
	c.past.window.dropOldest(c.head.Offset)
	c.trimmed()
	return true
}

// evict drops the window of a channel without members for good. mu is held.
func (c *channel) evict() {
	if c.past == nil || !c.past.idle.listed || c.past.idle.evicted {
		return // somebody came meanwhile, or was as quick
	}
	c.hub.store.remove(c)
	c.past.idle.evicted = true
	c.past.window = window{}
	c.trimmed()
}

// quiet says what becomes of c if nobody is left in it: it reports whether c is to be removed; if it lingers instead it is put
// among the idle. mu is held.
func (c *channel) quiet() (empty bool) {
	if !c.vacant() {
		return false
	}
	if !c.lingers() {
		return true
	}
	if c.past == nil || !c.past.idle.listed {
		c.list()
	}
	return false
}

// lingers reports whether c is kept without members: it is not if no client can know a position in it. mu is held.
func (c *channel) lingers() bool { return c.hub.linger && (c.told || c.head.Offset > 0) }

// list puts c among the idle. mu is held.
func (c *channel) list() {
	p := c.somePast()
	p.idle.listed = true
	p.idle.since = c.hub.store.clock.Load()
	c.hub.store.push(c)
	c.account()
}

// pin keeps c from being removed, until the caller has let go of it. mu and hub.mu are held.
func (c *channel) pin() {
	c.pins++
	if p := c.past; p != nil && p.idle.listed {
		c.unlist()
	}
}

// unlist takes c out of the idle. mu is held.
func (c *channel) unlist() {
	p := c.past
	if !p.idle.evicted {
		c.hub.store.remove(c)
	}
	p.idle = idleLink{}
	c.account()
	c.prune()
}

// Sweep lets go of what has grown older than HistoryOptions.Age, and of channels without members whose time is over. now is the
// hub's clock until the next call. To be called about every second. It costs 0.1 to 0.2 µs for each channel, and holds up joins for 256
// channels at a time.
func (h *Hub) Sweep(now time.Time) {
	s := &h.store
	s.clock.Store(now.UnixNano())
	for s.over() {
		victim := s.longestIdle()
		if victim == nil {
			break
		}
		victim.mu.Lock()
		victim.evict()
		victim.mu.Unlock()
	}
	const chunk = 256
	next := -1
	for more := true; more; {
		h.mu.Lock()
		// From the back, because a removal moves the last channel into the gap.
		if next < 0 || next >= len(h.order) {
			next = len(h.order) - 1
		}
		for range chunk {
			if next < 0 {
				break
			}
			h.sweep(h.order[next])
			next--
		}
		more = next >= 0
		h.mu.Unlock()
	}
}

// sweep is Sweep for one channel. mu is held.
func (h *Hub) sweep(c *channel) {
	c.mu.Lock()
	over := false
	if c.past != nil {
		c.trim()
	}
	if p := c.past; p != nil {
		p.window.dropFrames(h.store.clock.Load() - int64(keepFrames))
		c.account()
		over = p.idle.listed && (p.idle.evicted || p.window.count == 0 && p.idle.since+int64(h.store.Age) <= h.store.clock.Load())
	}
	over = c.vacant() && (over || !c.lingers())
	if over {
		c.kill()
	}
	c.mu.Unlock()
	if over {
		h.delete(c)
	}
}

// kill lets go of all that c keeps, for good. mu is held, and hub.mu, whose holder calls delete next.
func (c *channel) kill() {
	c.dead = true
	if p := c.past; p != nil {
		if p.idle.listed {
			c.unlist()
		}
		c.forget()
		c.past = nil
	}
}
