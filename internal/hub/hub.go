package hub

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a Hub. Only Encoder is required.
type Options struct {
	// Encoder makes the wire frames.
	Encoder Encoder

	// Broker carries and numbers the messages. Default: a new Memory. The hub does not close it.
	Broker Broker

	// MaxPassBytes bounds the payload bytes that one pass takes from a channel; what is left waits for the next pass. A single
	// larger message is a pass of its own. Default 256 KiB: above that a larger batch saves no measurable time per message,
	// while a batch must fit into the output queue of a connection that is momentarily slow, or the connection is closed: keep
	// this at or below a quarter of that queue. Larger: fewer writes under overload. Smaller: smoother output, less memory.
	MaxPassBytes int

	// MaxPendingBytes bounds what waits in one channel for its next pass: payload bytes plus 64 for each message. When it is
	// full, publishers wait, in their own goroutine, until the next pass takes something; nothing is dropped. A single larger
	// message is taken when nothing else waits. Default 1 MiB: four full passes, so that a pass always finds a full batch, and
	// at 7 µs for each write the wait stays below half a second in a channel of 15,000. The most memory that messages can
	// hold is this and MaxPassBytes, times the number of busy channels. Larger: longer bursts before senders feel anything.
	MaxPendingBytes int

	// History bounds what is kept for resuming. The zero value keeps nothing: a client is resumed only if it missed nothing, or
	// from what the broker has.
	History HistoryOptions

	// Linger keeps a channel without members, and what is published to it, until its window has expired: for a broker that keeps
	// no messages itself, as Memory. It needs History. Without it a channel is removed when its last member leaves, since a
	// client that returns is resumed from the broker.
	Linger bool

	// Workers is how many goroutines deliver at the same time. Default: GOMAXPROCS. A delivery never waits, so more than there
	// are processors gains nothing.
	Workers int

	// OnPass, if set, is told of each pass just before it ends, from the worker's goroutine and with no lock held. It must not
	// block; the channel's next pass waits for it.
	OnPass func(PassInfo)

	// Now is the clock for PassInfo. Default: time.Now. It is not read without OnPass, but once by New: it is also the hub's
	// time until the first Sweep.
	Now func() time.Time
}

const (
	defaultMaxPassBytes    = 256 << 10
	defaultMaxPendingBytes = 1 << 20
)

// Hub holds the channels of one task. Its methods are safe for concurrent use.
type Hub struct {
	encoder    Encoder
	broker     Broker
	maxPass    int
	maxPending int
	onPass     func(PassInfo)
	now        func() time.Time
	turnSize   int // the constant of that name; smaller in tests
	queue      queue
	counters   counters
	store      store
	linger     bool
	closed     atomic.Bool
	done       chan struct{} // closed by Close, just after closed was set

	// mu guards the following. It is taken to join and when a channel may have become empty; publishing goes from the broker to
	// the channel directly. That is why it is one plain lock: shards would spread the microsecond that 10 joins take.
	mu       sync.Mutex
	channels map[string]*channel // those with members, entries, or work that has yet to end, and those that linger
	order    []*channel          // the same, each at its index, for Sweep
}

// New makes a hub. It panics if o.Encoder is nil. Nothing needs to be started; Close it when done.
func New(o Options) *Hub {
	if o.Encoder == nil {
		panic("hub: New without an Encoder")
	}
	h := &Hub{
		encoder:    o.Encoder,
		broker:     o.Broker,
		maxPass:    positiveOr(o.MaxPassBytes, defaultMaxPassBytes),
		maxPending: positiveOr(o.MaxPendingBytes, defaultMaxPendingBytes),
		onPass:     o.OnPass,
		now:        o.Now,
		turnSize:   turnSize,
		queue:      queue{limit: positiveOr(o.Workers, runtime.GOMAXPROCS(0))},
		done:       make(chan struct{}),
		channels:   make(map[string]*channel),
	}
	h.queue.worker = h.queue.work
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &h.store
	s.HistoryOptions = o.History
	s.limit = max(1, min(blockMessages, o.History.Messages/8))
	s.maxFrames = int64(o.History.TotalBytes / 4)
	s.maxMessages = int64(o.History.TotalBytes) - s.maxFrames
	s.clock.Store(now().UnixNano())
	h.linger = o.Linger && s.on()
	if h.broker == nil {
		h.broker = new(Memory)
	}
	switch {
	case h.onPass == nil:
		h.now = func() time.Time { return time.Time{} }
	case h.now == nil:
		h.now = now
	}
	return h
}

func positiveOr(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// channel returns the channel, made and subscribed to if there is none. mu is held; the caller sees to it that someone is in the
// channel, or that it is among the idle, before it lets go.
func (h *Hub) channel(name string) *channel {
	c := h.channels[name]
	if c == nil {
		// The name may be a piece of a request that is much larger.
		c = &channel{hub: h, name: strings.Clone(name), index: int32(len(h.order))}
		h.channels[c.name] = c
		h.order = append(h.order, c)
		h.broker.Subscribe(c.name, c)
	}
	return c
}

// Leave takes m out of its channel, in constant time. Deliver may still be called, with the batch of a pass that had begun before,
// until that pass ends; a subscriber must put up with that. Leave of a Member that is in no channel does nothing, so it
// may be called twice, from any goroutine, Deliver included.
func (h *Hub) Leave(m *Member) {
	c := m.in
	if c == nil {
		return
	}
	c.mu.Lock()
	was, empty := c.leave(m)
	c.mu.Unlock()
	if was {
		h.counters.members.Add(-1)
	}
	if empty {
		h.remove(c)
	}
}

// remove removes c if it is still empty: its locks were let go since that was seen, and someone may have joined.
func (h *Hub) remove(c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.mu.Lock()
	empty := c.quiet()
	if empty {
		c.kill()
	}
	c.mu.Unlock()
	if empty {
		h.delete(c)
	}
}

// delete takes c, which is dead, out of the hub. mu is held, and c.mu is not: the broker may have its own lock around calls of c.
func (h *Hub) delete(c *channel) {
	last := len(h.order) - 1
	h.order[c.index] = h.order[last]
	h.order[c.index].index = c.index
	h.order[last] = nil
	h.order = h.order[:last]
	delete(h.channels, c.name)
	h.broker.Unsubscribe(c.name)
}

// Publish publishes payload, which is the hub's from here on, to every subscriber of channel in every task. The name must be a
// ValidChannel. Messages that one goroutine publishes to one channel keep their order. key is the publisher's idempotency key, ""
// for none: see Broker.Publish.
//
// done, which may be nil, is called exactly once, possibly before Publish returns and from any goroutine; it must not block. It
// is given the message's position if it has its place in the channel, and otherwise an error that wraps ErrUnavailable (the broker
// did not take it) or ErrClosed.
//
// Publish waits while the channel is full, see Options.MaxPendingBytes; so it must not be called from Deliver. What it waits for
// is passes alone. A subscriber's Deliver must in turn not need anything that a goroutine holds while it publishes.
func (h *Hub) Publish(channel string, payload []byte, key string, done func(Position, error)) {
	if done == nil {
		done = func(Position, error) {}
	}
	if h.closed.Load() {
		done(Position{}, ErrClosed)
		return
	}
	memory, ok := h.broker.(*Memory)
	if !ok || !h.linger {
		h.broker.Publish(channel, payload, key, done)
		return
	}
	for {
		// Nearly always there is a channel; one that is there is found without Hub.mu.
		p, err := memory.publish(channel, payload, key)
		if !errors.Is(err, errGone) {
			done(p, err)
			return
		}
		h.open(channel)
	}
}

// open makes the channel if there is none, for a message that nobody is there for: who is told its position may come and ask for
// what follows.
func (h *Hub) open(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channel(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = true
	c.quiet()
}

// Close stops the hub: publishers get ErrClosed, those that wait for room included; passes that have begun are finished, so that
// no message reaches only some of its subscribers; what waits for a pass is given up (Flush first). When Close returns, Deliver
// is not called any more. Join, Leave and Stats go on working, without messages. Close may be called twice; not from Deliver.
func (h *Hub) Close() {
	if h.closed.CompareAndSwap(false, true) {
		close(h.done)
	}
	h.queue.close()
}
