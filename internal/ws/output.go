package ws

import "sync"

// queue is what waits for the kernel to take bytes again.
type queue struct {
	items []queued
	head  int // items before it are written
	bytes int // what is left in all
	// exempt is what of the cost does not count against the bound: a replay,
	// which is at the head, shrinks it as it leaves.
	exempt int
	// lent is how much of the head item a portable writer has in its hands
	// while Conn.mu is free; those bytes cannot be taken back.
	lent int
}

// queued is the part [off:end] of a shared batch.
type queued struct {
	batch    *Batch
	off, end int
	whole    bool // the handshake's response: without it no frame makes sense
	own      bool // no other connection has the batch, so it may grow
}

// itemCost is what an item counts beside its bytes, so that a queue of empty
// frames is bounded too: the item, its batch, and the two allocations.
const itemCost = 128

// ownBatch is how far a batch grows with frames of the connection's own, pongs
// mostly, that would otherwise be an item each.
const ownBatch = 4 << 10

// cost is what the queue counts against Options.MaxQueueBytes.
func (q *queue) cost() int { return q.bytes + itemCost*(len(q.items)-q.head) }

var queues = sync.Pool{New: func() any { return new(queue) }}

// scratch lends buffers for frames that belong to one connection and mostly
// leave at once.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Write sends shared frames. It never blocks: what the kernel refuses waits in
// the connection's queue, and a connection whose queue passes
// Options.MaxQueueBytes is closed with 1013. After a close frame was sent or
// received it does nothing.
func (c *Conn) Write(b *Batch) {
	c.mu.Lock()
	if c.state == stateOpen {
		c.engine.stats.framesOut.Add(int64(len(b.Ends)))
		c.put(b)
	}
	c.mu.Unlock()
}

// WriteMessage sends one message to this connection alone, deflated where that
// was negotiated and pays. payload is not kept.
func (c *Conn) WriteMessage(op Opcode, payload []byte) {
	lent := scratch.Get().(*[]byte)
	frame := c.appendMessage((*lent)[:0], op, payload)
	c.mu.Lock()
	if c.state == stateOpen {
		c.engine.stats.framesOut.Add(1)
		c.putBytes(frame)
	}
	c.mu.Unlock()
	if cap(frame) <= keepBuf {
		*lent = frame
		scratch.Put(lent)
	}
}

func (c *Conn) appendMessage(dst []byte, op Opcode, payload []byte) []byte {
	if c.bits != 0 && len(payload) >= c.engine.opts.MinDeflateBytes && DeflatedFits(len(payload), int(c.bits)) {
		lent := scratch.Get().(*[]byte)
		deflated, smaller := Deflate((*lent)[:0], payload)
		if smaller {
			dst = AppendFrame(dst, op, true, deflated)
		}
		if cap(deflated) <= keepBuf {
			*lent = deflated
			scratch.Put(lent)
		}
		if smaller {
			return dst
		}
	}
	return AppendFrame(dst, op, false, payload)
}

// put writes b or what the kernel refuses of it later. mu is held.
func (c *Conn) put(b *Batch) {
	n := 0
	if c.out == nil && !c.held {
		var err error
		n, err = c.tr.write(b.Data)
		c.engine.stats.bytesOut.Add(int64(n))
		if n == len(b.Data) {
			return
		}
		if err != errAgain {
			c.broken(err)
			return
		}
	}
	c.enqueue(queued{batch: b, off: n, end: len(b.Data)})
}

// putBytes is put for lent bytes: they are copied if they have to wait. mu is
// held.
func (c *Conn) putBytes(p []byte) {
	n := 0
	if c.out == nil && !c.held {
		var err error
		n, err = c.tr.write(p)
		c.engine.stats.bytesOut.Add(int64(n))
		if n == len(p) {
			return
		}
		if err != errAgain {
			c.broken(err)
			return
		}
	}
	c.enqueueOwn(p[n:])
}

// enqueueOwn keeps a copy of the rest of one frame. mu is held.
func (c *Conn) enqueueOwn(rest []byte) {
	if q := c.out; q != nil {
		if last := &q.items[len(q.items)-1]; last.own && last.end+len(rest) <= ownBatch {
			last.batch.Data = append(last.batch.Data, rest...)
			last.end = len(last.batch.Data)
			last.batch.Ends = append(last.batch.Ends, uint32(last.end))
			c.queued(len(rest))
			return
		}
	}
	data := append([]byte(nil), rest...)
	c.enqueue(queued{batch: &Batch{Data: data, Ends: []uint32{uint32(len(data))}}, end: len(data), own: true})
}

// enqueue keeps an item. mu is held.
func (c *Conn) enqueue(it queued) {
	q := c.out
	if q == nil {
		q = queues.Get().(*queue)
		c.out = q
		if !c.held {
			c.tr.wantWrite(true)
			if c.state == stateOpen {
				c.arm(c.engine.opts.WriteStall)
			}
		}
	}
	if q.head > len(q.items)/2 {
		// A queue that is never quite empty must not keep what has left.
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, it)
	c.queued(it.end - it.off)
}

// queued books n more bytes, and closes a connection for which too much waits.
// mu is held.
func (c *Conn) queued(n int) {
	c.out.bytes += n
	c.engine.stats.queueBytes.Add(int64(n))
	if c.out.cost()-c.out.exempt > c.engine.opts.MaxQueueBytes && c.state == stateOpen && !c.held {
		c.cutQueue()
		c.startClose(CloseTryAgainLater, "Too slow: read faster or come back later", CauseSlow)
	}
}

// gatherBytes is how much of several waiting batches goes into one write.
const gatherBytes = 64 << 10

// flush writes what waits until the kernel refuses. mu is held.
func (c *Conn) flush() {
	var lent *[]byte
	for c.out != nil {
		q := c.out
		p := q.next()
		if len(p) < gatherBytes/4 && len(q.items)-q.head > 1 {
			if lent == nil {
				lent = scratch.Get().(*[]byte)
			}
			*lent = q.gather((*lent)[:0])
			p = *lent
		}
		n, err := c.tr.write(p)
		more := c.advance(n)
		if err != nil {
			if err != errAgain {
				c.broken(err)
			}
			break
		}
		if !more {
			break
		}
	}
	if lent != nil {
		scratch.Put(lent)
	}
}

// writable is the backend's word that the kernel takes bytes again. Owner only.
func (c *Conn) writable() {
	c.mu.Lock()
	c.flush()
	over := c.ended && c.out == nil
	c.mu.Unlock()
	if over {
		c.finish(nil)
	}
}

// next is the unwritten part of the head item.
func (q *queue) next() []byte {
	it := &q.items[q.head]
	return it.batch.Data[it.off:it.end]
}

// gather appends the waiting items to dst, up to gatherBytes.
func (q *queue) gather(dst []byte) []byte {
	for _, it := range q.items[q.head:] {
		p := it.batch.Data[it.off:it.end]
		if len(dst)+len(p) > gatherBytes {
			if len(dst) > 0 {
				break
			}
			p = p[:gatherBytes]
		}
		dst = append(dst, p...)
	}
	return dst
}

// advance books n written bytes and says whether any are left. mu is held.
func (c *Conn) advance(n int) (more bool) {
	q := c.out
	c.engine.stats.bytesOut.Add(int64(n))
	c.engine.stats.queueBytes.Add(int64(-n))
	q.bytes -= n
	booked, before := n, q.head
	if n > 0 && c.state == stateOpen {
		c.arm(c.engine.opts.WriteStall) // progress
	}
	for n > 0 {
		it := &q.items[q.head]
		took := min(n, it.end-it.off)
		it.off += took
		n -= took
		if it.off == it.end {
			*it = queued{}
			q.head++
		}
	}
	q.exempt = max(0, q.exempt-booked-itemCost*(q.head-before))
	if q.head < len(q.items) {
		return true
	}
	c.recycleQueue()
	c.tr.wantWrite(false)
	if c.state == stateLinger {
		c.linger()
	}
	return false
}

// cutQueue forgets what waits, but for the frame that has begun to leave. mu is
// held.
func (c *Conn) cutQueue() {
	q := c.out
	if q == nil {
		return
	}
	it := q.items[q.head]
	switch sent := it.off + q.lent; {
	case it.whole:
	case sent > 0:
		// The portable writer holds whole items, so lent bytes end in this one.
		it.end = min(it.end, it.batch.frameEnd(sent))
	default:
		it.end = it.off
	}
	for i := range q.items {
		q.items[i] = queued{}
	}
	q.items, q.head, q.exempt = q.items[:0], 0, 0
	c.engine.stats.queueBytes.Add(int64(it.end - it.off - q.bytes))
	q.bytes = it.end - it.off
	if q.bytes > 0 {
		q.items = append(q.items, it)
		return
	}
	c.recycleQueue()
	if !c.held {
		c.tr.wantWrite(false)
	}
}

// dropQueue forgets everything that waits. mu is held.
func (c *Conn) dropQueue() {
	if c.out != nil {
		c.engine.stats.queueBytes.Add(int64(-c.out.bytes))
		c.recycleQueue()
	}
}

// recycleQueue gives an emptied queue back. mu is held.
func (c *Conn) recycleQueue() {
	q := c.out
	c.out = nil
	if q.lent > 0 || cap(q.items) > 64 {
		return // still in a writer's hands, or grown large
	}
	clear(q.items[:cap(q.items)])
	*q = queue{items: q.items[:0]}
	queues.Put(q)
}
