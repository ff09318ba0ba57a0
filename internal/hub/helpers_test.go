package hub

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// lines encodes a message as "form/offset:payload\n".
type lines struct{}

func (lines) AppendMessage(dst []byte, f Form, m *Message) []byte {
	dst = strconv.AppendUint(dst, uint64(f), 10)
	dst = append(dst, '/')
	dst = strconv.AppendUint(dst, m.Position.Offset, 10)
	dst = append(dst, ':')
	dst = append(dst, m.Payload...)
	return append(dst, '\n')
}

// recorder is a subscriber that keeps what it is handed.
type recorder struct {
	Member
	during func() // called in each Deliver, if set

	mu      sync.Mutex
	batches []*Batch
	frames  []string
	lost    int
}

func (r *recorder) Lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost++
}

func (r *recorder) Deliver(b *Batch) {
	if r.during != nil {
		r.during()
	}
	if len(b.Ends) == 0 {
		panic("a batch without a frame")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, b)
	start := uint32(0)
	for _, end := range b.Ends {
		r.frames = append(r.frames, strings.TrimSuffix(string(b.Data[start:end]), "\n"))
		start = end
	}
	if int(start) != len(b.Data) {
		panic("a batch with data after its last frame")
	}
}

func (r *recorder) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.frames)
}

func (r *recorder) passes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.batches)
}

// expect compares what r was handed so far; none is given as no frames.
func (r *recorder) expect(t *testing.T, frames ...string) {
	t.Helper()
	if got := r.got(); !slices.Equal(got, frames) {
		t.Errorf("was handed %q, want %q", got, frames)
	}
}

// Join enters and joins a plain subscriber.
func (h *Hub) Join(channel string, m *Member, s Subscriber, f Form) {
	e, err := h.Enter(context.Background(), channel, Since{})
	if err != nil {
		panic(err)
	}
	defer e.Release()
	e.Join(m, s, f)
}

// byHand is a hub without workers: the test takes the turns, so that it decides what happens between any two of them.
type byHand struct{ *Hub }

func newByHand(o Options) byHand {
	if o.Encoder == nil {
		o.Encoder = lines{}
	}
	h := New(o)
	h.queue.limit = 0
	return byHand{h}
}

// turn takes the next turn in the queue and reports whether there was one.
func (h byHand) turn() bool {
	h.queue.mu.Lock()
	w := h.queue.pop()
	h.queue.mu.Unlock()
	if w == nil {
		return false
	}
	var p pace
	if w.turn(&p) {
		h.queue.mu.Lock()
		h.queue.items = append(h.queue.items, w)
		h.queue.mu.Unlock()
	}
	return true
}

// settle takes turns until nothing is left to do.
func (h byHand) settle() {
	for h.turn() {
	}
}

// say publishes one message and fails the test if it is refused or not answered at once.
func say(t *testing.T, h *Hub, channel, payload string) {
	t.Helper()
	answered := false
	h.Publish(channel, []byte(payload), "", func(_ Position, err error) {
		answered = true
		if err != nil {
			t.Errorf("publishing %q: %v", payload, err)
		}
	})
	if !answered {
		t.Errorf("publishing %q: not answered", payload)
	}
}

// expectEmpty checks that neither the hub nor its memory broker holds anything for any channel.
func expectEmpty(t *testing.T, h *Hub) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.channels); n != 0 {
		t.Errorf("the hub holds %d channels, want none", n)
	}
	b := h.broker.(*Memory)
	b.mu.RLock()
	defer b.mu.RUnlock()
	if n := len(b.streams); n != 0 {
		t.Errorf("the broker holds %d streams, want none", n)
	}
	if n := h.counters.members.Load(); n != 0 {
		t.Errorf("the hub counts %d members, want none", n)
	}
}

// heap is how many bytes are in use after a collection; the second one empties the pools.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
