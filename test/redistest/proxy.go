package redistest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy stands between a task and its broker.
type Proxy struct {
	Addr string // host:port

	listener net.Listener
	server   string
	wg       sync.WaitGroup

	mu     sync.Mutex // guards the following
	conns  map[net.Conn]bool
	left   int64 // bytes from the server until every connection is cut; 0: none is
	cuts   int
	closed bool
	held   chan struct{} // closed when what is published may pass again; nil: it may
}

// StartProxy starts a proxy in front of a server.
func StartProxy(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, server: server, conns: make(map[net.Conn]bool)}
	p.wg.Go(p.accept)
	return p, nil
}

// Close ends the proxy and what passes through it.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.hold(false)
	p.cut()
	p.mu.Unlock()
	p.wg.Wait()
}

// CutAfter cuts every connection once so many more bytes came from the server: in the middle of whatever that is. It does nothing while
// an earlier cut is still to come.
func (p *Proxy) CutAfter(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		p.left = bytes
	}
}

// Cuts is how often connections were cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) accept() {
	for {
		task, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			task.Close()
			continue
		}
		p.mu.Lock()
		closed := p.closed
		if !closed {
			p.conns[task], p.conns[server] = true, true
		}
		p.mu.Unlock()
		if closed {
			task.Close()
			server.Close()
			return
		}
		var subscribed atomic.Bool
		p.wg.Go(func() { p.copy(server, task, &subscribed, false) })
		p.wg.Go(func() { p.copy(task, server, &subscribed, true) })
	}
}

// Hold keeps back what the server sends on connections that have subscribed to something, or lets it pass again: a task that lags
// behind. Other connections are as before.
func (p *Proxy) Hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold(on)
}

func (p *Proxy) hold(on bool) {
	switch {
	case on && p.held == nil:
		p.held = make(chan struct{})
	case !on && p.held != nil:
		close(p.held)
		p.held = nil
	}
}

// pass waits while what is published is held.
func (p *Proxy) pass() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (p *Proxy) copy(to, from net.Conn, subscribed *atomic.Bool, fromServer bool) {
	defer p.drop(to, from)
	buf := make([]byte, 4096) // short, so that a cut lands within a burst
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass := n
			if fromServer {
				pass = p.allow(n)
				if subscribed.Load() {
					p.pass()
				}
			} else if bytes.Contains(bytes.ToUpper(buf[:n]), []byte("\r\nSUBSCRIBE\r\n")) {
				subscribed.Store(true)
			}
			if _, err := to.Write(buf[:pass]); err != nil {
				return
			}
			if pass < n {
				p.mu.Lock()
				p.cuts++
				p.cut()
				p.mu.Unlock()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// allow is how many of n bytes may pass; fewer than n is a cut.
func (p *Proxy) allow(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return n
	}
	if p.left >= int64(n) {
		p.left -= int64(n)
		if p.left == 0 {
			p.left = 1
		}
		return n
	}
	n = int(p.left)
	p.left = 0
	return n
}

// cut breaks every connection with a reset. mu is held.
func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}
