package hub

import (
	"testing"
	"unsafe"
)

// What an idle connection costs is the product's first number.
func TestAMemberHas32BytesAndAnIdleChannel112(t *testing.T) {
	if got := unsafe.Sizeof(Member{}); got > 32 {
		t.Errorf("a Member has %d bytes, want 32 at most", got)
	}
	if got := unsafe.Sizeof(channel{}); got > 112 {
		t.Errorf("a channel has %d bytes, want 112 at most", got)
	}
}

func TestLeave(t *testing.T) {
	t.Run("of a member that never joined does nothing", func(t *testing.T) {
		h := newByHand(Options{})
		h.Leave(new(Member))
		expectEmpty(t, h.Hub)
	})
	t.Run("twice is leaving once", func(t *testing.T) {
		h := newByHand(Options{})
		var a, b recorder
		h.Join("c", &a.Member, &a, 0)
		h.Join("c", &b.Member, &b, 0)
		h.Leave(&a.Member)
		h.Leave(&a.Member)
		if got := h.Stats().Members; got != 1 {
			t.Errorf("%d members, want 1", got)
		}
		say(t, h.Hub, "c", "x")
		h.settle()
		a.expect(t)
		b.expect(t, "0/1:x")
	})
	t.Run("while waiting for a pass hands over nothing", func(t *testing.T) {
		h := newByHand(Options{})
		var stays, a, b, c recorder
		h.Join("c", &stays.Member, &stays, 0)
		say(t, h.Hub, "c", "1")
		for _, r := range []*recorder{&a, &b, &c} {
			h.Join("c", &r.Member, r, 0)
		}
		h.Leave(&a.Member)
		say(t, h.Hub, "c", "2")
		h.Leave(&c.Member)
		h.settle()
		a.expect(t)
		b.expect(t, "0/2:2")
		c.expect(t)
		stays.expect(t, "0/1:1", "0/2:2")
	})
	t.Run("before the pass of what was published hands over nothing", func(t *testing.T) {
		h := newByHand(Options{})
		var a, b recorder
		h.Join("c", &a.Member, &a, 0)
		h.Join("c", &b.Member, &b, 0)
		say(t, h.Hub, "c", "x")
		h.Leave(&a.Member)
		h.settle()
		a.expect(t)
		b.expect(t, "0/1:x")
	})
	t.Run("in Deliver is fine, and the channel vanishes when everybody does it", func(t *testing.T) {
		h := newByHand(Options{})
		subscribers := make([]recorder, 5)
		for i := range subscribers {
			r := &subscribers[i]
			r.during = func() { h.Leave(&r.Member) }
			h.Join("c", &r.Member, r, 0)
		}
		say(t, h.Hub, "c", "x")
		h.settle()
		for i := range subscribers {
			subscribers[i].expect(t, "0/1:x")
		}
		expectEmpty(t, h.Hub)
	})
	t.Run("of everybody between a message and its pass drops the message and the channel", func(t *testing.T) {
		h := newByHand(Options{})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		say(t, h.Hub, "c", "x")
		h.Leave(&a.Member)
		h.settle()
		a.expect(t)
		expectEmpty(t, h.Hub)
	})
}

func TestJoinPanics(t *testing.T) {
	expectPanic := func(t *testing.T, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		f()
	}
	t.Run("if the member is in a channel", func(t *testing.T) {
		h := newByHand(Options{})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		expectPanic(t, func() { h.Join("d", &a.Member, &a, 0) })
		h.Leave(&a.Member)
		expectEmpty(t, h.Hub)
	})
	t.Run("if the pass under way when the member left has not ended", func(t *testing.T) {
		h := newByHand(Options{})
		h.turnSize = 1
		var a, b recorder
		h.Join("c", &a.Member, &a, 0)
		h.Join("c", &b.Member, &b, 0)
		say(t, h.Hub, "c", "x")
		h.turn()
		h.Leave(&a.Member)
		expectPanic(t, func() { h.Join("c", &a.Member, &a, 0) })
		h.settle()
		h.Join("c", &a.Member, &a, 0)
		say(t, h.Hub, "c", "y")
		h.settle()
		a.expect(t, "0/1:x", "0/2:y")
	})
	t.Run("if the form is not below MaxForms", func(t *testing.T) {
		h := newByHand(Options{})
		var a recorder
		expectPanic(t, func() { h.Join("c", &a.Member, &a, MaxForms) })
		expectEmpty(t, h.Hub)
	})
}

func TestNewPanicsWithoutAnEncoder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{})
}

func TestAChannelThatEmptiedGivesItsMemoryBack(t *testing.T) {
	h := newByHand(Options{})
	subscribers := make([]recorder, 2000)
	for i := range subscribers {
		h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
	}
	for i := range subscribers[1:] {
		h.Leave(&subscribers[i+1].Member)
	}
	if got := cap(h.channels["c"].members); got > shrinkAbove {
		t.Errorf("room for %d members is left for one, want %d at most", got, shrinkAbove)
	}
	say(t, h.Hub, "c", "x")
	h.settle()
	subscribers[0].expect(t, "0/1:x")
	h.Leave(&subscribers[0].Member)
	expectEmpty(t, h.Hub)
}

func TestAChannelIsNotRemovedIfSomeoneJoinedMeanwhile(t *testing.T) {
	h := newByHand(Options{})
	var a, b recorder
	h.Join("c", &a.Member, &a, 0)
	c := h.channels["c"]
	c.mu.Lock()
	if _, empty := c.leave(&a.Member); !empty {
		t.Error("the channel is not empty")
	}
	c.mu.Unlock()
	h.counters.members.Add(-1)
	h.Join("c", &b.Member, &b, 0) // between the two halves of Leave
	h.remove(c)
	say(t, h.Hub, "c", "x")
	h.settle()
	b.expect(t, "0/1:x")
	h.Leave(&b.Member)
	h.remove(c) // twice is once
	expectEmpty(t, h.Hub)
}

func TestAMemberKnowsItsChannel(t *testing.T) {
	h := newByHand(Options{})
	var a recorder
	if got := a.Channel(); got != "" {
		t.Errorf("before it joined: %q, want none", got)
	}
	h.Join("c", &a.Member, &a, 0)
	h.Leave(&a.Member)
	if got := a.Channel(); got != "c" {
		t.Errorf("after it left: %q, want c", got)
	}
}
