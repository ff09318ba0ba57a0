package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPass(t *testing.T) {
	t.Run("hands everything that waits to a subscriber in one call", func(t *testing.T) {
		h := newByHand(Options{})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		for i := range 10 {
			say(t, h.Hub, "c", fmt.Sprint(i))
		}
		h.settle()
		if a.passes() != 1 {
			t.Errorf("%d Deliver calls, want 1", a.passes())
		}
		if got := a.got(); len(got) != 10 || got[0] != "0/1:0" || got[9] != "0/10:9" {
			t.Errorf("was handed %q", got)
		}
	})
	t.Run("encodes a form once and shares the batch", func(t *testing.T) {
		h := newByHand(Options{})
		subscribers := make([]recorder, 9)
		for i := range subscribers {
			h.Join("c", &subscribers[i].Member, &subscribers[i], Form(i%2*7))
		}
		say(t, h.Hub, "c", "x")
		h.settle()
		for i := range subscribers {
			r := &subscribers[i]
			r.expect(t, fmt.Sprintf("%d/1:x", i%2*7))
			if r.batches[0] != subscribers[i%2].batches[0] {
				t.Errorf("subscriber %d has a batch of its own", i)
			}
		}
	})
	t.Run("encodes no form that nobody takes", func(t *testing.T) {
		e := &countingEncoder{}
		h := newByHand(Options{Encoder: e})
		var a recorder
		h.Join("c", &a.Member, &a, 3)
		say(t, h.Hub, "c", "x")
		h.settle()
		say(t, h.Hub, "c", "y")
		h.settle()
		if !slices.Equal(e.forms, []Form{3, 3}) {
			t.Errorf("encoded the forms %v, want form 3 twice", e.forms)
		}
		a.expect(t, "3/1:x", "3/2:y")
	})
	t.Run("lets forms of a message share what the encoder found out", func(t *testing.T) {
		e := &countingEncoder{}
		h := newByHand(Options{Encoder: e})
		var a, b recorder
		h.Join("c", &a.Member, &a, 1)
		h.Join("c", &b.Member, &b, 2)
		say(t, h.Hub, "c", "x")
		h.settle()
		if e.cached != 1 {
			t.Errorf("found the cache filled %d times, want once", e.cached)
		}
	})
	t.Run("takes no more than its share and leaves the rest for the next", func(t *testing.T) {
		h := newByHand(Options{MaxPassBytes: 100})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		var want []string
		for i, size := range []int{40, 60, 1, 150, 99, 1, 100} {
			say(t, h.Hub, "c", strings.Repeat("x", size))
			want = append(want, fmt.Sprintf("0/%d:%s", i+1, strings.Repeat("x", size)))
		}
		h.settle()
		a.expect(t, want...)
		var frames []int
		for _, b := range a.batches {
			frames = append(frames, len(b.Ends))
		}
		if !slices.Equal(frames, []int{2, 1, 1, 2, 1}) {
			t.Errorf("the passes had %v messages, want 2 1 1 2 1", frames)
		}
	})
	t.Run("hands a subscriber that joined amid its messages the rest only", func(t *testing.T) {
		h := newByHand(Options{})
		var first, amid, after recorder
		h.Join("c", &first.Member, &first, 0)
		say(t, h.Hub, "c", "1")
		say(t, h.Hub, "c", "2")
		h.Join("c", &amid.Member, &amid, 0)
		say(t, h.Hub, "c", "3")
		say(t, h.Hub, "c", "4")
		h.Join("c", &after.Member, &after, 0)
		h.settle()
		first.expect(t, "0/1:1", "0/2:2", "0/3:3", "0/4:4")
		amid.expect(t, "0/3:3", "0/4:4")
		after.expect(t)
		say(t, h.Hub, "c", "5")
		h.settle()
		first.expect(t, "0/1:1", "0/2:2", "0/3:3", "0/4:4", "0/5:5")
		amid.expect(t, "0/3:3", "0/4:4", "0/5:5")
		after.expect(t, "0/5:5")
	})
	t.Run("hands a subscriber that joined during it nothing of it", func(t *testing.T) {
		h := newByHand(Options{})
		h.turnSize = 1
		var a, b, joins recorder
		h.Join("c", &a.Member, &a, 0)
		h.Join("c", &b.Member, &b, 0)
		say(t, h.Hub, "c", "1")
		h.turn()
		say(t, h.Hub, "c", "2")
		h.Join("c", &joins.Member, &joins, 0)
		say(t, h.Hub, "c", "3")
		h.settle()
		a.expect(t, "0/1:1", "0/2:2", "0/3:3")
		b.expect(t, "0/1:1", "0/2:2", "0/3:3")
		joins.expect(t, "0/3:3")
	})
	t.Run("of many turns reaches everybody once, helpers or not", func(t *testing.T) {
		for _, tickets := range []int{1, 2, 7, 100} {
			h := newByHand(Options{})
			h.turnSize = 2
			h.queue.limit = tickets
			h.queue.workers = tickets // none is started; the test works the tickets off
			subscribers := make([]recorder, 25)
			for i := range subscribers {
				h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
			}
			for _, m := range []string{"1", "2", "3"} {
				say(t, h.Hub, "c", m)
				h.settle()
			}
			for i := range subscribers {
				subscribers[i].expect(t, "0/1:1", "0/2:2", "0/3:3")
			}
		}
	})
	t.Run("does not keep a small channel waiting for a large one", func(t *testing.T) {
		h := newByHand(Options{})
		h.turnSize = 10
		large := make([]recorder, 100)
		for i := range large {
			h.Join("large", &large[i].Member, &large[i], 0)
		}
		var small recorder
		h.Join("small", &small.Member, &small, 0)
		say(t, h.Hub, "large", "x")
		h.turn()
		say(t, h.Hub, "small", "y")
		h.turn()
		h.turn()
		small.expect(t, "0/1:y")
		if got := large[99].passes(); got != 0 {
			t.Error("the large pass was through before the small one")
		}
		h.settle()
		large[99].expect(t, "0/1:x")
	})
	t.Run("of a busy channel is followed by those of the channels that wait", func(t *testing.T) {
		h := newByHand(Options{MaxPassBytes: 1})
		var a, b recorder
		h.Join("a", &a.Member, &a, 0)
		h.Join("b", &b.Member, &b, 0)
		for range 3 {
			say(t, h.Hub, "a", "x")
		}
		say(t, h.Hub, "b", "y")
		h.turn()
		h.turn()
		b.expect(t, "0/1:y")
		a.expect(t, "0/1:x")
		h.settle()
		a.expect(t, "0/1:x", "0/2:x", "0/3:x")
	})
}

// countingEncoder notes what it was asked for.
type countingEncoder struct {
	lines
	forms  []Form
	cached int
}

func (e *countingEncoder) AppendMessage(dst []byte, f Form, m *Message) []byte {
	e.forms = append(e.forms, f)
	if m.Cache != nil {
		e.cached++
	}
	m.Cache = e
	return e.lines.AppendMessage(dst, f, m)
}

func TestABatchStaysAsItWasWhileOthersFollow(t *testing.T) {
	h := newByHand(Options{})
	var a recorder
	h.Join("c", &a.Member, &a, 0)
	for i := range 100 {
		say(t, h.Hub, "c", fmt.Sprint(i))
		h.settle()
	}
	for i, b := range a.batches {
		if want := fmt.Sprintf("0/%d:%d\n", i+1, i); string(b.Data) != want {
			t.Fatalf("batch %d is now %q, want %q", i, b.Data, want)
		}
		if cap(b.Data)-len(b.Data) > 32 {
			t.Fatalf("batch %d keeps %d bytes for %d", i, cap(b.Data), len(b.Data))
		}
	}
}

func TestOnPassToldSizesAndTimes(t *testing.T) {
	now := time.Unix(0, 0)
	var infos []PassInfo
	h := newByHand(Options{
		Now:    func() time.Time { return now },
		OnPass: func(i PassInfo) { infos = append(infos, i) },
	})
	h.turnSize = 1
	var a, b recorder
	h.Join("c", &a.Member, &a, 0)
	h.Join("c", &b.Member, &b, 0)
	say(t, h.Hub, "c", "abc")
	say(t, h.Hub, "c", "de")
	now = now.Add(3 * time.Millisecond)
	h.turn()
	now = now.Add(5 * time.Millisecond)
	h.settle()
	want := PassInfo{Channel: "c", Messages: 2, Bytes: 5, Members: 2, Waited: 3 * time.Millisecond, Took: 5 * time.Millisecond}
	if len(infos) != 1 || infos[0] != want {
		t.Errorf("told %+v, want %+v", infos, want)
	}
}

func TestStatsCount(t *testing.T) {
	h := newByHand(Options{})
	var a, b, lateOne recorder
	h.Join("c", &a.Member, &a, 0)
	h.Join("d", &b.Member, &b, 0)
	say(t, h.Hub, "c", "1")
	h.Join("c", &lateOne.Member, &lateOne, 0)
	say(t, h.Hub, "c", "2")
	say(t, h.Hub, "d", "1")
	say(t, h.Hub, "nobody", "1")
	h.settle()
	want := Stats{Channels: 2, Members: 3, Received: 3, Passes: 2, Batches: 3, Delivered: 4}
	if got := h.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
