//go:build integration

package valkey

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between broker and server and does what networks do.
type proxy struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup

	deaf atomic.Int64 // so many pub/sub messages more are swallowed
	cut  atomic.Int64 // after so many bytes more from the server, every connection is cut

	mu      sync.Mutex
	conns   map[net.Conn]bool
	stalled chan struct{} // closed when bytes may pass again; nil: they may
	refuse  bool
}

func startProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: server, conns: make(map[net.Conn]bool)}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.stall(false)
		p.cutAll()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		up, err := net.Dial("tcp", p.server)
		if err != nil || refuse {
			down.Close()
			if err == nil {
				up.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns[up], p.conns[down] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(up, down, false) })
		p.wg.Go(func() { p.copy(down, up, true) })
	}
}

func (p *proxy) copy(dst, src net.Conn, fromServer bool) {
	defer p.drop(dst, src)
	buf := make([]byte, 4096) // small, so that a cut lands within a burst
	for {
		n, err := src.Read(buf)
		if n > 0 {
			p.mu.Lock()
			stalled := p.stalled
			p.mu.Unlock()
			if stalled != nil {
				<-stalled
			}
			out := buf[:n]
			if fromServer {
				out = p.swallow(out)
				if left := p.cut.Load(); left > 0 && p.cut.Add(-int64(n)) <= 0 {
					_, _ = dst.Write(out[:len(out)/2])
					p.cutAll()
					return
				}
			}
			if _, err := dst.Write(out); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return
			}
			return
		}
	}
}

// swallow takes whole pub/sub messages out of what the server sends, as a server does whose output buffer overflowed. It needs a
// message to come in one read, which short messages do that come one at a time.
func (p *proxy) swallow(out []byte) []byte {
	for _, kind := range [][]byte{[]byte(">3\r\n$7\r\nmessage\r\n"), []byte(">3\r\n$8\r\nsmessage\r\n")} {
		if bytes.HasPrefix(out, kind) && p.deaf.Load() > 0 {
			p.deaf.Add(-1)
			return nil
		}
	}
	return out
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

// cutAll breaks every connection, with a reset.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// stall holds all bytes back, or lets them pass again.
func (p *proxy) stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.stalled == nil:
		p.stalled = make(chan struct{})
	case !on && p.stalled != nil:
		close(p.stalled)
		p.stalled = nil
	}
}

// refuseAll ends every new connection at once, or lets them in again.
func (p *proxy) refuseAll(on bool) {
	p.mu.Lock()
	p.refuse = on
	p.mu.Unlock()
}

// cutAgainAndAgain cuts in the middle of bursts until stop is closed.
func (p *proxy) cutAgainAndAgain(stop <-chan struct{}, after func() int64) {
	for {
		select {
		case <-stop:
			p.cut.Store(0)
			return
		case <-time.After(5 * time.Millisecond):
			if p.cut.Load() <= 0 {
				p.cut.Store(after())
			}
		}
	}
}
