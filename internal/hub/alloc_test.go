//go:build !race

package hub

import "testing"

// These run without the race detector only, which makes sync.Pool forget at random.

// blind is a subscriber that does nothing.
type blind struct{ Member }

func (*blind) Deliver(*Batch) {}
func (*blind) Lost()          {}

// crowd is a hub by hand with n blind subscribers in channel c, taking the first few forms in turn.
func crowd(n, forms int) byHand {
	h := newByHand(Options{})
	for i := range n {
		b := new(blind)
		h.Join("c", &b.Member, b, Form(i%forms))
	}
	return h
}

func TestADeliveryAllocatesNothing(t *testing.T) {
	payload := []byte("payload")
	perPass := func(members, forms int) float64 {
		h := crowd(members, forms)
		return testing.AllocsPerRun(50, func() {
			h.Publish("c", payload, "", nil)
			h.settle()
		})
	}
	one := perPass(1, 1)
	if one > 2 { // the batch and its data
		t.Errorf("a pass with one subscriber allocates %v times, want 2 at most", one)
	}
	if many := perPass(5000, 1); many > one {
		t.Errorf("a pass with 5,000 subscribers allocates %v times, with one %v times", many, one)
	}
	if many := perPass(5000, 4); many > 4*one {
		t.Errorf("a pass with 5,000 subscribers in 4 forms allocates %v times, want 4 × %v at most", many, one)
	}
}

func TestJoinAndLeaveAllocateOnlyTheEntry(t *testing.T) {
	h := crowd(100, 1)
	b := new(blind)
	if got := testing.AllocsPerRun(1000, func() {
		h.Join("c", &b.Member, b, 0)
		h.Leave(&b.Member)
	}); got > 1 {
		t.Errorf("joining and leaving allocates %v times, want 1 at most", got)
	}
}

func TestPublishAllocatesNothingWhilePassesGoOn(t *testing.T) {
	h := crowd(1, 1)
	payload := []byte("payload")
	for range 100 { // the pending list grows to what it needs
		h.Publish("c", payload, "", nil)
	}
	h.turn()
	for range 100 {
		h.Publish("c", payload, "", nil)
	}
	h.turn()
	h.Publish("c", payload, "", nil)
	if got := testing.AllocsPerRun(50, func() { h.Publish("c", payload, "", nil) }); got != 0 {
		t.Errorf("publishing into a busy channel allocates %v times, want 0", got)
	}
}
