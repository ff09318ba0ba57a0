package hub

import "sync"

// past is what a channel has beyond its members: its window, those who wait for the broker or for an offset, its place among the
// idle channels, the publishers' keys. It is made when there is something to put into it and let go with the last of it. The fields
// are guarded by channel.mu unless they say otherwise.
type past struct {
	window window
	keys   *keys // of the messages in the window; nil while nobody published with a key

	ahead []joiner      // members that have more than this task has received yet
	ready chan struct{} // closed by the next Live or Down; nil while nobody waits for that
	why   error         // of the last Down; nil after Live

	// fill has room for one: the Enter call that is asking the broker for history. The others wait, since what it gets may be
	// all they need.
	fill chan struct{}

	// replaying is held around the encoding of replays, and taken before channel.mu: a thousand clients that return at once
	// want the same frames, and the first of them makes them.
	replaying sync.Mutex

	idle idleLink

	counted, countedFrames int // what the hub's totals hold for this channel
}

// somePast is c.past, made if there is none. mu is held.
func (c *channel) somePast() *past {
	if c.past == nil {
		c.past = new(past)
	}
	return c.past
}

// prune lets go of past if nothing is in it. mu is held.
func (c *channel) prune() {
	p := c.past
	if p != nil && p.window.blocks == nil && p.keys == nil && p.ahead == nil && p.ready == nil && p.why == nil && len(p.fill) == 0 &&
		!p.idle.listed {
		c.past = nil
	}
}

// wake tells those who wait for the broker what it said; err is nil after Live. mu is held.
func (c *channel) wake(err error) {
	if err != nil {
		c.somePast().why = err
	}
	if p := c.past; p != nil {
		if err == nil {
			p.why = nil
		}
		if p.ready != nil {
			close(p.ready)
			p.ready = nil
		}
		c.prune()
	}
}

// keys are the idempotency keys of the messages in a window.
type keys struct {
	offsets map[string]uint64
	order   []keyed // oldest first
	cost    int
}

type keyed struct {
	offset uint64
	key    string
}

// keyOverhead is what a key counts beside its bytes: its places in the map and in the list.
const keyOverhead = 96

// add notes the key of the message at offset.
func (k *keys) add(key string, offset uint64) {
	if k.offsets == nil {
		k.offsets = make(map[string]uint64)
	}
	k.offsets[key] = offset
	k.order = append(k.order, keyed{offset, key})
	k.cost += len(key) + keyOverhead
}

// trim forgets the keys of messages before first.
func (k *keys) trim(first uint64) {
	n := 0
	for n < len(k.order) && k.order[n].offset < first {
		delete(k.offsets, k.order[n].key)
		k.cost -= len(k.order[n].key) + keyOverhead
		n++
	}
	clear(k.order[:n])
	k.order = k.order[n:]
}

// published is the position of the message in the window that was published with key.
func (c *channel) published(key string) (Position, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.past == nil || c.past.keys == nil {
		return Position{}, false
	}
	offset, found := c.past.keys.offsets[key]
	return Position{c.head.Epoch, offset}, found
}
