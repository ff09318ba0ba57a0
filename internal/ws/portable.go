package ws

import (
	"errors"
	"io"
	"net"
	"sync"
)

// portable is the backend that any platform has: a goroutine and a small read
// buffer for each connection, and a writer goroutine only while output waits.
type portable struct{}

func (portable) adopt(nc net.Conn) (transport, error) {
	return &portableConn{nc: nc}, nil
}

func (portable) stop() {}

// portableConn is the transport over a net.Conn, whose writes block: each write
// is refused at first and done by the writer goroutine.
type portableConn struct {
	nc net.Conn
	c  *Conn

	// The following are guarded by Conn.mu.
	started bool
	writing bool // the writer goroutine runs
}

// portableBuffer is a compromise: it is held while the goroutine waits.
const portableBuffer = 4 << 10

var portableBuffers = sync.Pool{New: func() any { return new([portableBuffer]byte) }}

func (t *portableConn) start(c *Conn, wantWrite bool) error {
	t.c, t.started = c, true
	go t.readLoop()
	t.wantWrite(wantWrite)
	return nil
}

func (t *portableConn) readLoop() {
	buf := portableBuffers.Get().(*[portableBuffer]byte)
	defer portableBuffers.Put(buf)
	for {
		n, err := t.nc.Read(buf[:])
		if n > 0 {
			t.c.received(buf[:n])
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			t.c.inputEnded(err)
			return
		}
	}
}

func (t *portableConn) write([]byte) (int, error) { return 0, errAgain }

func (t *portableConn) wantWrite(on bool) {
	if on && t.started && !t.writing {
		t.writing = true
		go t.writeLoop()
	}
}

// writeLoop writes what waits and ends with the queue. A peer that takes nothing
// is ended by the sweep, which closes the net.Conn.
func (t *portableConn) writeLoop() {
	c := t.c
	c.mu.Lock()
	for t.writeNext() {
	}
	t.writing = false
	over := c.ended
	c.mu.Unlock()
	if over {
		c.finish(nil) // the reader is gone, so this is the owner
	}
}

// writeNext writes the head of the queue and says whether to go on. Conn.mu is
// held, but for the writing itself.
func (t *portableConn) writeNext() bool {
	c, q := t.c, t.c.out
	if q == nil {
		return false
	}
	p := q.next()
	q.lent = len(p)
	c.mu.Unlock()
	n, err := t.nc.Write(p)
	c.mu.Lock()
	q.lent = 0
	if c.out != q {
		return false // dropped meanwhile
	}
	c.advance(n)
	if err != nil {
		c.broken(err)
		return false
	}
	return true
}

// stopRead has nothing to do: the reader has returned.
func (t *portableConn) stopRead() {}

func (t *portableConn) finishWrite() {
	if half, ok := t.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails if the peer is gone
		return
	}
	_ = t.nc.Close() // no half-close here: the owner wakes and finishes
}

func (t *portableConn) hangUp() {
	if tcp, ok := t.nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset frees what the kernel still holds
	}
	_ = t.nc.Close()
}

func (t *portableConn) release() { _ = t.nc.Close() }
