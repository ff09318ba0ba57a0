package hub

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// gate is a subscriber whose Deliver waits until it is let go.
type gate struct {
	began, open chan struct{}
	got         atomic.Int32
}

func (g *gate) Deliver(b *Batch) {
	select {
	case g.began <- struct{}{}:
	default:
	}
	<-g.open
	g.got.Add(int32(len(b.Ends)))
}

func (g *gate) Lost() {}

func TestAfterComesBehindWhatHadArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Encoder: plain{}})
		defer h.Close()
		g := &gate{began: make(chan struct{}, 1), open: make(chan struct{})}
		var m Member
		h.Join("c", &m, g, 0)

		called := false
		h.After(&m, func() { called = true })
		if !called {
			t.Fatal("not called at once, though nothing waits")
		}

		h.Publish("c", []byte("1"), "", nil)
		<-g.began // the pass is under way
		h.Publish("c", []byte("2"), "", nil)
		var seen atomic.Int32
		h.After(&m, func() { seen.Store(g.got.Load()) })
		h.Publish("c", []byte("3"), "", nil)
		synctest.Wait()
		if n := seen.Load(); n != 0 {
			t.Fatalf("called after %d messages of 2", n)
		}
		close(g.open)
		synctest.Wait()
		if n := seen.Load(); n < 2 {
			t.Fatalf("called after %d messages; want at least the 2 that had arrived", n)
		}
		h.Leave(&m)
		called = false
		h.After(&m, func() { called = true })
		if !called {
			t.Fatal("not called for a member that left")
		}
	})
}

// plain is an encoder that frames nothing.
type plain struct{}

func (plain) AppendMessage(dst []byte, _ Form, m *Message) []byte { return append(dst, m.Payload...) }
