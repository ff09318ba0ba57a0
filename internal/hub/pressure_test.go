package hub

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// publishing starts a Publish in a goroutine and returns where its answer will be.
func publishing(h *Hub, channel, payload string) <-chan error {
	answer := make(chan error, 1)
	go h.Publish(channel, []byte(payload), "", func(_ Position, err error) { answer <- err })
	return answer
}

// answered reports whether a Publish was answered, once everything in the bubble has settled.
func answered(t *testing.T, answer <-chan error) bool {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-answer:
		if err != nil {
			t.Errorf("publishing: %v", err)
		}
		return true
	default:
		return false
	}
}

func TestAFullChannel(t *testing.T) {
	t.Run("makes a publisher wait until a pass takes something", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 2 * (10 + messageOverhead), MaxPassBytes: 10})
			var a recorder
			h.Join("c", &a.Member, &a, 0)
			say(t, h.Hub, "c", "0123456789")
			say(t, h.Hub, "c", "0123456789")
			waits := publishing(h.Hub, "c", "third")
			if answered(t, waits) {
				t.Fatal("a message was taken beyond the limit")
			}
			h.turn()
			if !answered(t, waits) {
				t.Fatal("the publisher still waits")
			}
			waits = publishing(h.Hub, "c", "fourth")
			if answered(t, waits) {
				t.Fatal("a message was taken beyond the limit")
			}
			h.settle()
			if !answered(t, waits) {
				t.Fatal("the publisher still waits")
			}
			h.settle()
			a.expect(t, "0/1:0123456789", "0/2:0123456789", "0/3:third", "0/4:fourth")
			if got := h.Stats().Waits; got != 2 {
				t.Errorf("counted %d waits, want 2", got)
			}
		})
	})
	t.Run("does not hold up the other channels", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 1})
			var a, b recorder
			h.Join("full", &a.Member, &a, 0)
			h.Join("free", &b.Member, &b, 0)
			say(t, h.Hub, "full", "x")
			waits := publishing(h.Hub, "full", "y")
			if answered(t, waits) {
				t.Fatal("a message was taken beyond the limit")
			}
			say(t, h.Hub, "free", "x")
			var late recorder
			h.Join("full", &late.Member, &late, 0)
			h.Leave(&late.Member)
			h.settle()
			if !answered(t, waits) {
				t.Error("the publisher still waits")
			}
			h.settle()
			a.expect(t, "0/1:x", "0/2:y")
			b.expect(t, "0/1:x")
		})
	})
	t.Run("takes a message larger than the limit when nothing else waits", func(t *testing.T) {
		h := newByHand(Options{MaxPendingBytes: 10})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		big := strings.Repeat("x", 1000)
		say(t, h.Hub, "c", big)
		h.settle()
		a.expect(t, "0/1:"+big)
	})
	t.Run("takes such a message during a pass as well, or nothing would ever take it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 10})
			h.turnSize = 1
			var a, b recorder
			h.Join("c", &a.Member, &a, 0)
			h.Join("c", &b.Member, &b, 0)
			say(t, h.Hub, "c", "1")
			h.turn()
			if !answered(t, publishing(h.Hub, "c", "larger than the limit")) {
				t.Fatal("the publisher waits")
			}
			h.settle()
			b.expect(t, "0/1:1", "0/2:larger than the limit")
		})
	})
	t.Run("that everybody leaves during a pass lets its publishers go", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 2 * (5 + messageOverhead), MaxPassBytes: 1})
			h.turnSize = 1
			var a, b recorder
			h.Join("c", &a.Member, &a, 0)
			h.Join("c", &b.Member, &b, 0)
			for _, m := range []string{"first", "secnd"} {
				say(t, h.Hub, "c", m)
			}
			h.turn() // takes the first message; the pass goes on
			say(t, h.Hub, "c", "third")
			waits := publishing(h.Hub, "c", "fourth")
			if answered(t, waits) {
				t.Fatal("a message was taken beyond the limit")
			}
			h.Leave(&a.Member)
			h.Leave(&b.Member)
			h.turn()
			if !answered(t, waits) {
				t.Fatal("the publisher still waits")
			}
			expectEmpty(t, h.Hub)
		})
	})
	t.Run("that everybody leaves lets its publishers go", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 1})
			var a recorder
			h.Join("c", &a.Member, &a, 0)
			say(t, h.Hub, "c", "x")
			waits := publishing(h.Hub, "c", "y")
			if answered(t, waits) {
				t.Fatal("a message was taken beyond the limit")
			}
			h.Leave(&a.Member)
			h.settle()
			if !answered(t, waits) {
				t.Error("the publisher still waits")
			}
			h.settle()
			expectEmpty(t, h.Hub)
		})
	})
	t.Run("answers its publishers when the hub closes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPendingBytes: 1})
			var a recorder
			h.Join("c", &a.Member, &a, 0)
			say(t, h.Hub, "c", "x")
			answer := publishing(h.Hub, "c", "y")
			synctest.Wait()
			h.Close()
			if err := <-answer; !errors.Is(err, ErrClosed) {
				t.Errorf("answered %v, want ErrClosed", err)
			}
		})
	})
}
