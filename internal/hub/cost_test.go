package hub

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// channelCosts are what channels cost in the hub and the memory broker together, members and payloads apart.
func channelCosts(n int, each func(h *Hub, i int, name string)) float64 {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("user:%08d", i)
	}
	h := newByHand(Options{Encoder: placed{}, Linger: true, History: HistoryOptions{Messages: 1000, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 1 << 40}})
	before := heap()
	for i, name := range names {
		each(h.Hub, i, name)
	}
	h.settle()
	cost := float64(heap()-before) / float64(n)
	h.Close()
	return cost
}

func TestWhatAChannelCosts(t *testing.T) {
	const n = 1 << 14
	members := make([]noop, n)
	payload := make([]byte, 0)
	enter := func(h *Hub, i int, name string) *Entry {
		e, err := h.Enter(context.Background(), name, Since{Mode: SinceNow})
		if err != nil {
			t.Fatal(err)
		}
		e.Join(&members[i].Member, &members[i], 0)
		return e
	}
	for _, c := range []struct {
		name string
		most float64
		each func(h *Hub, i int, name string)
	}{
		{"with one idle member", 480, func(h *Hub, i int, name string) { enter(h, i, name) }},
		{"with a window of one message as well", 480 + 480, func(h *Hub, i int, name string) {
			enter(h, i, name)
			h.Publish(name, payload, "", nil)
		}},
		{"without members or messages", idleOverhead, func(h *Hub, i int, name string) {
			enter(h, i, name)
			h.Leave(&members[i].Member)
		}},
		{"without members, with a window of ten messages", idleOverhead + blockOverhead + 10*messageOverhead, func(h *Hub, _ int, name string) {
			for range 10 {
				h.Publish(name, payload, "", nil)
			}
		}},
	} {
		clear(members)
		got := channelCosts(n, c.each)
		t.Logf("a channel %s costs %.0f bytes", c.name, got)
		if got > c.most {
			t.Errorf("a channel %s costs %.0f bytes, want %.0f at most", c.name, got, c.most)
		}
	}
}
