package ws

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Conn is one WebSocket connection. Its methods may be called from any
// goroutine and never block on the peer.
type Conn struct {
	engine  *Engine
	handler Handler
	tr      transport
	in      parser // the owner's

	// opening is what Open needs; nil after it.
	opening *opening

	// heard is set by each complete message or control frame and cleared by each
	// ping.
	heard atomic.Bool

	slot int32 // place in Engine.slots, guarded by Engine.mu
	bits uint8 // what the deflate window of the peer lets us use; 0: not negotiated

	// mu guards what follows.
	mu    sync.Mutex
	state connState
	held  bool // until Open: everything is queued
	ended bool // input is over, and the connection with it once out is empty
	timed bool // in Engine.timed
	// out is nil while the kernel takes everything.
	out *queue
	// deadline is when the sweep has to look at the connection, on the
	// engine's clock; what it means depends on state and out. 0 is never.
	deadline int64
	end      *End // why it ends, from the moment that is known
}

type opening struct {
	handshake *Handshake
	early     []byte // what the client sent right behind its request
}

type connState uint8

const (
	stateOpen connState = iota
	// stateClosing: our close frame is written or queued, the answer is not here.
	stateClosing
	// stateLinger: nothing more to say or hear. FIN follows the queue; input
	// is thrown away until the peer's FIN. Closing at once would answer bytes
	// still under way with RST, which can overtake our close frame.
	stateLinger
	// stateDone: the descriptor is given back.
	stateDone
)

// WindowBits is the LZ77 window that the client accepts on deflated messages,
// 8 to 15, or 0 where permessage-deflate was not negotiated.
func (c *Conn) WindowBits() int { return int(c.bits) }

// Handler is what Accept was given.
func (c *Conn) Handler() Handler { return c.handler }

// Open answers the handshake: the 101 response and the greeting leave in one
// write, then replay, then what was written since Accept, and reading begins.
// greeting may be nil. A replay does not count against Options.MaxQueueBytes:
// its bytes were asked for. Open is called once, by whoever called Accept.
func (c *Conn) Open(greeting *Batch, replay ...*Batch) {
	lent := scratch.Get().(*[]byte)
	resp := c.opening.handshake.AppendResponse((*lent)[:0])
	early := c.opening.early
	c.opening = nil
	if greeting != nil {
		resp = append(resp, greeting.Data...)
	}

	c.mu.Lock()
	waiting := c.out
	c.out = nil
	if waiting == nil && len(replay) == 0 {
		c.held = false
		c.putBytes(resp)
		if c.out != nil {
			c.out.items[0].whole = true
		}
	} else {
		c.openQueued(resp, replay, waiting)
	}
	if c.out != nil && c.state == stateOpen {
		c.arm(c.engine.opts.WriteStall)
	}
	c.mu.Unlock()
	*lent = resp
	scratch.Put(lent)

	// Until start this goroutine is the owner.
	if len(early) > 0 {
		c.received(early)
	}
	c.mu.Lock()
	err := c.tr.start(c, c.out != nil)
	c.mu.Unlock()
	if err != nil {
		c.finish(err)
	}
}

// openQueued is Open where more than the response is to be written: all of it is
// queued in its order and flushed together. mu is held.
func (c *Conn) openQueued(resp []byte, replay []*Batch, waiting *queue) {
	c.enqueueOwn(resp)
	c.out.items[0].whole = true
	for _, b := range replay {
		c.enqueue(queued{batch: b, end: len(b.Data)})
		c.engine.stats.framesOut.Add(int64(len(b.Ends)))
	}
	c.out.exempt = c.out.cost()
	if waiting != nil {
		c.out.items = append(c.out.items, waiting.items...)
		c.out.bytes += waiting.bytes
	}
	c.held = false
	c.flush()
}

// received takes input from the backend. Owner only; data is lent.
func (c *Conn) received(data []byte) {
	c.engine.stats.bytesIn.Add(int64(len(data)))
	c.mu.Lock()
	deaf := c.state >= stateLinger
	c.mu.Unlock()
	if deaf {
		return
	}
	if violation, ok := errors.AsType[*ProtocolError](c.in.feed(data, c)); ok {
		c.fail(violation)
	}
}

// message implements sink.
func (c *Conn) message(op Opcode, payload []byte) {
	c.hear()
	c.engine.stats.messagesIn.Add(1)
	c.handler.Message(c, op, payload)
}

// control implements sink.
func (c *Conn) control(op Opcode, payload []byte) (proceed bool, err error) {
	c.hear()
	switch op {
	case OpPing:
		c.pong(payload)
		return true, nil
	case OpClose:
		return false, c.peerClosed(payload)
	}
	return true, nil // a pong has done its work by being heard
}

func (c *Conn) hear() {
	// Loading first keeps a busy connection's cache line shared.
	if !c.heard.Load() {
		c.heard.Store(true)
	}
}

// finish ends the connection and gives the descriptor back. Owner only; err is
// why reading ended.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	if c.state == stateDone {
		c.mu.Unlock()
		return
	}
	if c.end == nil {
		c.end = &End{Code: CloseAbnormal, Cause: CauseVanished, Err: err}
	}
	end := *c.end
	c.state = stateDone
	c.dropQueue()
	c.tr.release()
	c.mu.Unlock()

	c.in.release()
	// Told before it is uncounted: whoever waits for Engine.Len to fall finds
	// what Closed did.
	c.handler.Closed(c, end)
	c.engine.remove(c)
	c.engine.running.Done()
}
