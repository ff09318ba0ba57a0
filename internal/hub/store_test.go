package hub

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// clocked is a hub by hand with a clock that the test moves.
type clocked struct {
	byHand
	now time.Time
}

func newClocked(history HistoryOptions) *clocked {
	c := &clocked{now: time.Unix(1000, 0)}
	c.byHand = newByHand(Options{Encoder: placed{}, History: history, Linger: true, Now: func() time.Time { return c.now }})
	return c
}

func (c *clocked) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.Sweep(c.now)
}

// publish publishes and returns the position.
func publish(t *testing.T, h *Hub, channel, payload, key string) (at Position) {
	t.Helper()
	h.Publish(channel, []byte(payload), key, func(p Position, err error) {
		if err != nil {
			t.Errorf("publishing %q: %v", payload, err)
		}
		at = p
	})
	return at
}

// resume comes back to a position and returns the payloads it missed; nil if it was not recovered.
func resume(t *testing.T, h *Hub, channel string, p Position) []string {
	t.Helper()
	var c client
	j, err := c.enter(h, channel, Since{SincePosition, p}, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.Leave(&c.Member)
	if !j.Recovered {
		if len(c.got) != 0 || j.Replay != nil {
			t.Errorf("not recovered, and handed %v", c.got)
		}
		return nil
	}
	missed := []string{}
	for _, s := range c.got {
		missed = append(missed, s.payload)
	}
	return missed
}

func expectResume(t *testing.T, h *Hub, channel string, p Position, want ...string) {
	t.Helper()
	if got := resume(t, h, channel, p); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("since %v missed %q, want %q", p, got, want)
	}
}

func TestAChannelThatLingers(t *testing.T) {
	t.Run("keeps what is published to nobody", func(t *testing.T) {
		h := newClocked(roomy)
		first := publish(t, h.Hub, "c", "1", "")
		publish(t, h.Hub, "c", "2", "")
		h.pass(roomy.Age - 1)
		expectResume(t, h.Hub, "c", first, "2")
		expectResume(t, h.Hub, "c", Position{first.Epoch, 0}, "1", "2")
		expectResume(t, h.Hub, "c", Position{first.Epoch, 3})
		expectResume(t, h.Hub, "c", Position{"other", 1})
	})
	t.Run("is forgotten when its window has expired, and begins anew", func(t *testing.T) {
		h := newClocked(roomy)
		first := publish(t, h.Hub, "c", "1", "")
		h.pass(roomy.Age / 2)
		publish(t, h.Hub, "c", "2", "")
		h.pass(roomy.Age / 2)
		if i, err := h.Info(t.Context(), "c"); err != nil || i.Messages != 1 || i.Bytes != 1+messageOverhead || i.Oldest != roomy.Age/2 {
			t.Errorf("info is %+v, %v", i, err)
		}
		h.pass(roomy.Age / 2)
		expectNothing(t, h.Hub)
		if i, err := h.Info(t.Context(), "c"); err != nil || i != (Info{}) {
			t.Errorf("info is %+v, %v", i, err)
		}
		if again := publish(t, h.Hub, "c", "3", ""); again.Epoch == first.Epoch || again.Offset != 1 {
			t.Errorf("goes on at %v after %v", again, first)
		}
	})
	t.Run("lives on while somebody is in it", func(t *testing.T) {
		h := newClocked(roomy)
		var c client
		j, _ := c.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
		h.pass(2 * roomy.Age)
		h.Leave(&c.Member)
		h.pass(roomy.Age - 1)
		expectResume(t, h.Hub, "c", j.Position, []string{}...)
	})
	t.Run("that nobody knows a position of is removed at once", func(t *testing.T) {
		h := newClocked(roomy)
		var c client
		_, _ = c.enter(h.Hub, "c", Since{}, 0)
		h.Leave(&c.Member)
		expectNothing(t, h.Hub)
	})
	t.Run("without history is removed at once", func(t *testing.T) {
		for _, o := range []HistoryOptions{{}, {Messages: 1, Bytes: 1, Age: 1}, {Messages: 1, Bytes: 1, TotalBytes: 1}, {Messages: 1, Age: 1, TotalBytes: 1}, {Bytes: 1, Age: 1, TotalBytes: 1}} {
			h := newClocked(o)
			if p := publish(t, h.Hub, "c", "1", ""); p.Epoch == "" || p.Offset != 1 {
				t.Errorf("published as %v", p)
			}
			expectNothing(t, h.Hub)
		}
	})
}

func TestAKeyGivesTheFirstPositionWhileTheWindowHoldsIt(t *testing.T) {
	h := newClocked(HistoryOptions{Messages: 2, Bytes: 1 << 20, Age: time.Minute, TotalBytes: 1 << 20})
	var c client
	_, _ = c.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
	first := publish(t, h.Hub, "c", "1", "k")
	if again := publish(t, h.Hub, "c", "again", "k"); again != first {
		t.Errorf("published as %v, and then as %v", first, again)
	}
	if other := publish(t, h.Hub, "d", "1", "k"); other.Epoch == first.Epoch {
		t.Errorf("another channel has %v", other)
	}
	publish(t, h.Hub, "c", "2", "l")
	publish(t, h.Hub, "c", "3", "")
	if again := publish(t, h.Hub, "c", "4", "k"); again.Offset != 4 {
		t.Errorf("the key still gives %v, which the window has not", again)
	}
	h.settle()
	if len(c.got) != 4 {
		t.Errorf("handed %v", c.got)
	}
}

func TestTotalBytes(t *testing.T) {
	size := 10*messageOverhead + blockOverhead + idleOverhead // a channel without members and with ten messages of no length
	history := func(total int) HistoryOptions {
		return HistoryOptions{Messages: 1000, Bytes: 1 << 20, Age: time.Minute, TotalBytes: total * 4 / 3}
	}
	fill := func(t *testing.T, h *clocked, channel string) (first Position) {
		for i := range 10 {
			if p := publish(t, h.Hub, channel, "", ""); i == 0 {
				first = p
			}
		}
		return first
	}
	nine := make([]string, 9)
	t.Run("drops windows without members, longest idle first", func(t *testing.T) {
		h := newClocked(history(3*size + size/2))
		var at []Position
		for i := range 3 {
			at = append(at, fill(t, h, fmt.Sprint(i)))
		}
		var c client
		_, _ = c.enter(h.Hub, "0", Since{Mode: SinceNow}, 0)
		h.Leave(&c.Member) // now it is 1 that was idle longest
		fill(t, h, "3")
		h.pass(0)
		expectResume(t, h.Hub, "1", at[1])
		expectResume(t, h.Hub, "2", at[2], nine...)
		expectResume(t, h.Hub, "0", at[0], nine...)
	})
	t.Run("drops those before any of a channel that has members", func(t *testing.T) {
		h := newClocked(history(3 * size))
		var c client
		j, _ := c.enter(h.Hub, "busy", Since{Mode: SinceNow}, 0)
		idle := fill(t, h, "idle")
		for range 3 {
			fill(t, h, "busy")
		}
		expectResume(t, h.Hub, "busy", j.Position, make([]string, 30)...)
		for range 3 {
			fill(t, h, "busy")
			h.settle()
		}
		if i, _ := h.Info(t.Context(), "idle"); i.Messages != 0 {
			t.Errorf("the idle one has %+v", i)
		}
		expectResume(t, h.Hub, "idle", idle)
		for range 100 {
			fill(t, h, "busy")
			h.settle()
		}
		if got := h.Stats().HistoryBytes; got > int64(3*size) || got < int64(size) {
			t.Errorf("keeps %d bytes, allowed %d", got, 3*size)
		}
		expectResume(t, h.Hub, "busy", j.Position)
		if i, _ := h.Info(t.Context(), "busy"); i.Messages == 0 {
			t.Error("the busy one keeps nothing")
		}
	})
	t.Run("takes the oldest messages of a channel that grows without members, before it goes itself", func(t *testing.T) {
		h := newClocked(history(3*size + 500*messageOverhead))
		publish(t, h.Hub, "c", "", "") // idle longest
		others := fill(t, h, "other")
		var last Position
		for range 5000 {
			last = publish(t, h.Hub, "c", "", "")
		}
		last.Offset--
		expectResume(t, h.Hub, "c", last, "")
		if i, _ := h.Info(t.Context(), "c"); i.Messages < 400 || i.Messages > 540 {
			t.Errorf("keeps %+v", i)
		}
		expectResume(t, h.Hub, "other", others, nine...)
	})
	t.Run("evicts a window once, however many want to", func(t *testing.T) {
		h := newClocked(roomy)
		for _, name := range []string{"a", "b", "c"} {
			fill(t, h, name)
		}
		c := h.channels["b"]
		c.mu.Lock()
		c.evict()
		c.evict()
		c.mu.Unlock()
		expectAccounts(t, h.Hub)
		h.pass(roomy.Age)
		expectNothing(t, h.Hub)
	})
	t.Run("bounds channels that were only looked into", func(t *testing.T) {
		h := newClocked(history(100 * idleOverhead))
		for i := range 1000 {
			var c client
			_, _ = c.enter(h.Hub, fmt.Sprint(i), Since{Mode: SinceNow}, 0)
			h.Leave(&c.Member)
		}
		h.pass(0)
		if got := h.Stats(); got.Channels != 100 || got.HistoryBytes != 100*idleOverhead {
			t.Errorf("keeps %+v", got)
		}
	})
	t.Run("lets a channel live on that lost its window and is published to again", func(t *testing.T) {
		h := newClocked(history(size + size/2))
		a := fill(t, h, "a")
		fill(t, h, "b")
		if i, _ := h.Info(t.Context(), "a"); i.Messages != 0 {
			t.Fatalf("it has its window: %+v", i)
		}
		next := publish(t, h.Hub, "a", "next", "")
		publish(t, h.Hub, "a", "and another", "")
		if next.Epoch != a.Epoch {
			t.Errorf("goes on at %v after %v", next, a)
		}
		h.pass(0)
		expectResume(t, h.Hub, "a", a)
		expectResume(t, h.Hub, "a", next, "and another")
	})
}

func TestFramesOfReplays(t *testing.T) {
	history := HistoryOptions{Messages: 1000, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 1 << 20}
	t.Run("are encoded once, and once more after nobody wanted them for a while", func(t *testing.T) {
		e := &countingEncoder{}
		now := time.Unix(1000, 0)
		h := newByHand(Options{Encoder: e, History: history, Linger: true, Now: func() time.Time { return now }})
		var at Position
		for range 100 {
			at = publish(t, h.Hub, "c", "x", "")
		}
		back := func(after uint64, f Form) (n int) {
			entry, err := h.Enter(t.Context(), "c", Since{SincePosition, Position{at.Epoch, after}})
			if err != nil {
				t.Fatal(err)
			}
			var r recorder
			j := entry.Join(&r.Member, &r, f)
			h.Leave(&r.Member)
			return j.replayed()
		}
		for i := range uint64(50) {
			if n := back(i, 1); n != 100-int(i) {
				t.Fatalf("%d frames after %d", n, i)
			}
		}
		if len(e.forms) != 100 {
			t.Errorf("encoded %d, want 100", len(e.forms))
		}
		publish(t, h.Hub, "c", "x", "")
		back(0, 1)
		if len(e.forms) != 101 {
			t.Errorf("encoded %d, want 101", len(e.forms))
		}
		back(99, 2) // in the second block
		if len(e.forms) != 101+101-64 {
			t.Errorf("encoded %d, want %d", len(e.forms), 101+101-64)
		}
		if got := h.Stats(); got.FrameBytes == 0 || got.Replayed == 0 {
			t.Errorf("stats are %+v", got)
		}
		for _, f := range h.channels["c"].past.window.blocks[0].frames {
			if spare := cap(f.batch.Data) - len(f.batch.Data); spare > len(f.batch.Data)/4 {
				t.Errorf("a full block has %d bytes of frames and %d to spare", len(f.batch.Data), spare)
			}
		}
		h.Sweep(now.Add(keepFrames - 1))
		back(0, 1)
		back(0, 2)
		if len(e.forms) != 101+101 {
			t.Errorf("encoded %d, want %d", len(e.forms), 101+101)
		}
		h.Sweep(now.Add(2 * (keepFrames - 1)))
		if got := h.Stats().FrameBytes; got == 0 {
			t.Error("frames that were wanted again are gone")
		}
		h.Sweep(now.Add(2*keepFrames - 1))
		if got := h.Stats().FrameBytes; got != 0 {
			t.Errorf("keeps %d bytes of frames", got)
		}
		back(0, 1)
		if len(e.forms) != 3*101 {
			t.Errorf("encoded %d", len(e.forms))
		}
	})
	t.Run("are not kept beyond their share", func(t *testing.T) {
		history := history
		history.TotalBytes = 4 * 1000
		h := newClocked(history)
		at := publish(t, h.Hub, "c", "", "")
		for range 9 {
			publish(t, h.Hub, "c", "", "")
		}
		for f := range Form(5) {
			e, err := h.Enter(context.Background(), "c", Since{SincePosition, at})
			if err != nil {
				t.Fatal(err)
			}
			var c client
			if j := c.join(e, f); j.replayed() != 9 || len(c.got) != 9 {
				t.Errorf("form %d: %d frames", f, j.replayed())
			}
			if got := h.Stats().FrameBytes; got > 1000 {
				t.Errorf("keeps %d bytes of frames", got)
			}
		}
	})
	t.Run("of a block that has gone are not kept", func(t *testing.T) {
		h := newClocked(HistoryOptions{Messages: 8, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 1 << 20})
		var at Position
		for range 8 {
			at = publish(t, h.Hub, "c", "x", "")
		}
		c := h.channels["c"]
		c.mu.Lock()
		r := c.replay(0, 0, nil)
		c.mu.Unlock()
		for range 8 {
			publish(t, h.Hub, "c", "y", "")
		}
		n := 0
		for _, b := range r.batches() {
			n += len(b.Ends)
		}
		if got := h.Stats().FrameBytes; n != 8 || got != 0 {
			t.Errorf("%d frames, and %d bytes of frames are kept", n, got)
		}
		expectResume(t, h.Hub, "c", Position{at.Epoch, 15}, "y")
	})
	t.Run("that another replay made longer meanwhile are cut", func(t *testing.T) {
		h := newClocked(history)
		at := publish(t, h.Hub, "c", "1", "")
		publish(t, h.Hub, "c", "2", "")
		c := h.channels["c"]
		c.mu.Lock()
		r := c.replay(0, 1, nil)
		c.mu.Unlock()
		publish(t, h.Hub, "c", "3", "")
		expectResume(t, h.Hub, "c", at, "2", "3")
		batches := r.batches()
		if len(batches) != 1 || len(batches[0].Ends) != 1 || string(batches[0].Data) != "0/"+at.Epoch+":2 2\n" {
			t.Errorf("replays %q", batches[0].Data)
		}
	})
}
