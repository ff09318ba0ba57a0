package hub

import (
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

	// Workers is how many goroutines deliver at the same time. Default: GOMAXPROCS. A delivery never waits, so more than there
	// are processors gains nothing.
	Workers int

	// OnPass, if set, is told of each pass just before it ends, from the worker's goroutine and with no lock held. It must not
	// block; the channel's next pass waits for it.
	OnPass func(PassInfo)

	// Now is the clock for PassInfo. Default: time.Now. It is not read without OnPass.
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
	closed     atomic.Bool
	done       chan struct{} // closed by Close, just after closed was set

	// mu guards the following. It is taken to join and when a channel may have become empty; publishing goes from the broker to
	// the channel directly. That is why it is one plain lock: shards would spread the microsecond that 10 joins take.
	mu       sync.Mutex
	channels map[string]*channel // those with members, or with work that has yet to end
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
	if h.broker == nil {
		h.broker = new(Memory)
	}
	switch {
	case h.onPass == nil:
		h.now = func() time.Time { return time.Time{} }
	case h.now == nil:
		h.now = time.Now
	}
	return h
}

func positiveOr(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

// Join makes s a subscriber of channel in form f, with m as its place there. s is handed every message that is published after
// Join returned. The name must be a ValidChannel. Join panics if m is in a channel or has not quite left one, and if f is not
// below MaxForms.
//
// m and s belong to the hub until Leave, and further until a pass that had begun by then has ended. Join must not be called while
// another goroutine calls Join or Leave with the same m.
func (h *Hub) Join(channel string, m *Member, s Subscriber, f Form) {
	if f >= MaxForms {
		panic("hub: Join with a form that is not below MaxForms")
	}
	if !m.free() {
		panic("hub: Join with a Member in use: it has not left its channel, or the pass under way when it left has not ended")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channel(channel)
	m.in, m.to, m.form = c, s, f
	c.mu.Lock()
	defer c.mu.Unlock()
	c.join(m)
	h.counters.members.Add(1)
}

// channel returns the channel, made and subscribed to if there is none. mu is held; the caller adds a member before it lets go.
func (h *Hub) channel(name string) *channel {
	c := h.channels[name]
	if c == nil {
		// The name may be a piece of a request that is much larger.
		c = &channel{hub: h, name: strings.Clone(name)}
		h.channels[c.name] = c
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
	dead := c.idle()
	c.dead = c.dead || dead
	c.mu.Unlock()
	if dead {
		delete(h.channels, c.name)
		h.broker.Unsubscribe(c.name)
	}
}

// Publish publishes payload, which is the hub's from here on, to every subscriber of channel in every task. The name must be a
// ValidChannel. Messages that one goroutine publishes to one channel keep their order.
//
// done, which may be nil, is called exactly once, possibly before Publish returns and from any goroutine; it must not block. It
// is given nil if the message has its place in the channel, and otherwise an error that wraps ErrUnavailable (the broker did not
// take it) or ErrClosed.
//
// Publish waits while the channel is full, see Options.MaxPendingBytes; so it must not be called from Deliver. What it waits for
// is passes alone. A subscriber's Deliver must in turn not need anything that a goroutine holds while it publishes.
func (h *Hub) Publish(channel string, payload []byte, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if h.closed.Load() {
		done(ErrClosed)
		return
	}
	h.broker.Publish(channel, payload, done)
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
