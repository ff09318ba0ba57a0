package ws

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Engine holds connections.
type Engine struct {
	opts    Options
	backend backend
	start   time.Time
	stats   stats

	stopSweep chan struct{}
	swept     sync.WaitGroup
	running   sync.WaitGroup // connections between Accept and Closed

	// mu guards what follows.
	mu   sync.Mutex
	down bool
	// slots is every connection at its Conn.slot. Places stay put, so that the
	// ping sweep can walk it in strides; nil ones are on the free list.
	slots []*Conn
	free  []int32
	open  int

	// timedMu guards timed, the connections with a deadline. It may be taken
	// with a Conn.mu held.
	timedMu sync.Mutex
	timed   map[*Conn]struct{}
}

// backend makes transports.
type backend interface {
	// adopt takes over a hijacked connection.
	adopt(nc net.Conn) (transport, error)
	// stop ends the backend's goroutines after the last connection is gone.
	stop()
}

// New starts an engine. Shutdown ends it.
func New(opts Options) (*Engine, error) {
	opts.setDefaults()
	e := &Engine{
		opts:      opts,
		start:     time.Now(),
		stopSweep: make(chan struct{}),
		timed:     make(map[*Conn]struct{}),
	}
	var err error
	switch opts.Backend {
	case BackendPortable:
		e.backend = portable{}
	case BackendEpoll:
		e.backend, err = newEpoll(opts.Pollers)
	default:
		if e.backend, err = newEpoll(opts.Pollers); err == ErrBackend {
			e.backend, err = portable{}, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start the poller: %w", err)
	}
	e.swept.Add(1)
	go e.sweep()
	return e, nil
}

// now is the engine's clock: nanoseconds since it started.
func (e *Engine) now() int64 { return int64(time.Since(e.start)) }

// Accept takes the connection out of net/http's hands. Nothing is written and
// nothing read until Open; what is written meanwhile waits. So a caller can
// subscribe first and greet with what it learned. When Accept fails, w is spent
// if the error came after the hijack; otherwise an error can still be answered.
func (e *Engine) Accept(w http.ResponseWriter, hs *Handshake, h Handler) (*Conn, error) {
	e.mu.Lock()
	if e.down {
		e.mu.Unlock()
		return nil, ErrShutdown
	}
	e.running.Add(1)
	e.mu.Unlock()

	c, err := e.adopt(w, hs, h)
	if err != nil {
		e.running.Done()
		return nil, err
	}
	e.add(c)
	return c, nil
}

func (e *Engine) adopt(w http.ResponseWriter, hs *Handshake, h Handler) (*Conn, error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		p, _ := rw.Reader.Peek(n)
		early = append(early, p...)
	}
	tr, err := e.backend.adopt(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("take over the socket: %w", err)
	}
	c := &Conn{
		engine:  e,
		handler: h,
		tr:      tr,
		opening: &opening{hs, early},
		held:    true,
		bits:    uint8(hs.WindowBits()),
	}
	c.in.limit = e.opts.MaxMessageBytes
	c.in.deflate = c.bits != 0
	c.heard.Store(true)
	return c, nil
}

func (e *Engine) add(c *Conn) {
	e.mu.Lock()
	e.open++
	if n := len(e.free); n > 0 {
		c.slot = e.free[n-1]
		e.free = e.free[:n-1]
		e.slots[c.slot] = c
	} else {
		c.slot = int32(len(e.slots))
		e.slots = append(e.slots, c)
	}
	down := e.down
	e.mu.Unlock()
	if down {
		c.Abort() // Shutdown has walked the table already
	}
}

func (e *Engine) remove(c *Conn) {
	e.mu.Lock()
	e.slots[c.slot] = nil
	e.free = append(e.free, c.slot)
	e.open--
	e.mu.Unlock()

	c.mu.Lock()
	if c.timed {
		c.timed = false
		e.removeTimed(c)
	}
	c.mu.Unlock()
}

// Len is the number of connections, those in their close handshake included.
func (e *Engine) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.open
}

// Conns lists the connections there are now.
func (e *Engine) Conns() []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*Conn, 0, e.open)
	for _, c := range e.slots {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// Shutdown drops the connections that are left, waits for their Closed calls
// and stops the engine. Close them first, and wait, to be polite.
func (e *Engine) Shutdown() {
	e.mu.Lock()
	first := !e.down
	e.down = true
	e.mu.Unlock()
	if !first {
		return
	}
	for _, c := range e.Conns() {
		c.Abort()
	}
	e.running.Wait()
	close(e.stopSweep)
	e.swept.Wait()
	e.backend.stop()
}

// Stats are an engine's counters since it started, and its gauges.
type Stats struct {
	Open        int   // connections, those in their close handshake included
	MessagesIn  int64 // complete data messages
	FramesOut   int64 // data frames given to connections; control frames do not count
	BytesIn     int64 // on the wire, handshakes excluded
	BytesOut    int64 // on the wire, the handshake response included
	QueuedBytes int64 // waiting in connection queues; shared frames count once a connection
}

type stats struct {
	messagesIn, framesOut, bytesIn, bytesOut, queueBytes atomic.Int64
}

// Stats reads the counters.
func (e *Engine) Stats() Stats {
	return Stats{
		Open:        e.Len(),
		MessagesIn:  e.stats.messagesIn.Load(),
		FramesOut:   e.stats.framesOut.Load(),
		BytesIn:     e.stats.bytesIn.Load(),
		BytesOut:    e.stats.bytesOut.Load(),
		QueuedBytes: e.stats.queueBytes.Load(),
	}
}
