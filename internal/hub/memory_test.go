package hub

import (
	"errors"
	"testing"
)

// refusing is a sink that refuses while err is set.
type refusing struct {
	err error
	got []uint64
}

func (*refusing) Live(Position) {}
func (*refusing) Down(error)    {}

func (r *refusing) Receive(m Message) error {
	if r.err == nil {
		r.got = append(r.got, m.Position.Offset)
	}
	return r.err
}

func TestMemoryUsesNoNumberForAMessageThatWasNotTaken(t *testing.T) {
	var b Memory
	var s refusing
	b.Subscribe("c", &s)
	var answers []error
	publish := func() { b.Publish("c", nil, "", func(_ Position, err error) { answers = append(answers, err) }) }
	publish()
	s.err = ErrClosed
	publish()
	s.err = nil
	publish()
	if len(answers) != 3 || answers[0] != nil || !errors.Is(answers[1], ErrClosed) || answers[2] != nil {
		t.Errorf("answered %v", answers)
	}
	if len(s.got) != 2 || s.got[0] != 1 || s.got[1] != 2 {
		t.Errorf("numbered %v, want 1 2", s.got)
	}
}

func TestMemoryTakesMessagesNobodySubscribedTo(t *testing.T) {
	var b Memory
	err := ErrClosed
	b.Publish("c", nil, "", func(_ Position, e error) { err = e })
	if err != nil {
		t.Errorf("answered %v, want nil", err)
	}
	b.Unsubscribe("c")
}

func TestAStaleSubscriptionDoesNotGetInAmongTheNext(t *testing.T) {
	h := newByHand(Options{})
	var a, b recorder
	h.Join("c", &a.Member, &a, 0)
	stale := h.broker.(*Memory).streams["c"]
	h.Leave(&a.Member)
	h.Join("c", &b.Member, &b, 0)
	// A publisher that found the stream before the Leave gets to it only now.
	if _, err := stale.publish([]byte("stale"), ""); !errors.Is(err, errGone) {
		t.Errorf("the stale publish: %v, want errGone", err)
	}
	if stale.sink.(*channel).work != nil {
		t.Error("a channel that was removed prepares a pass")
	}
	say(t, h.Hub, "c", "fresh")
	h.settle()
	b.expect(t, "0/1:fresh")
}
