package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// expectContinuous checks what a client that came by since was handed, on top of what it had.
func expectContinuous(t *testing.T, c *client, since Since) {
	t.Helper()
	at := c.joined.Position
	if since.Mode == SincePosition && c.joined.Recovered && at != since.Position {
		t.Errorf("resumed from %v and told %v", since.Position, at)
	}
	for _, s := range c.seen() {
		at.Offset++
		if s.at != at {
			t.Errorf("a client since %+v was handed %v where %v was due", since, s.at, at)
			return
		}
	}
}

// script is a broker whose only channel is driven by one goroutine. It is safe for concurrent use.
type script struct {
	mu      sync.Mutex
	sink    Sink
	epoch   int
	head    uint64
	trimmed uint64
}

func (b *script) at(offset uint64) Position { return Position{fmt.Sprintf("e%d", b.epoch), offset} }

func (b *script) message(offset uint64) Message {
	return Message{Payload: []byte(b.at(offset).String()), Position: b.at(offset)}
}

func (b *script) Publish(_ string, _ []byte, _ string, done func(Position, error)) {
	done(Position{}, ErrUnavailable)
}

func (b *script) Subscribe(_ string, s Sink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sink = s
	s.Live(b.at(b.head))
}

func (b *script) Unsubscribe(string) {}

func (b *script) History(_ context.Context, _ string, after Position) (History, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := History{Head: b.at(b.head)}
	if after.Epoch != h.Head.Epoch || after.Offset < b.trimmed || after.Offset > b.head {
		return h, nil
	}
	h.Complete = true
	for o := after.Offset + 1; o <= b.head; o++ {
		h.Messages = append(h.Messages, b.message(o))
	}
	return h, nil
}

// step is one message, or now and then some trouble.
func (b *script) step(r *rand.Rand) {
	b.mu.Lock()
	sink, trouble := b.sink, r.IntN(60)
	switch trouble {
	case 0:
		b.epoch, b.head, b.trimmed = b.epoch+1, 0, 0
	case 1:
		b.head += 2 // and the sink will not hear of them
	case 2:
		b.trimmed = b.head - b.head/3
	default:
		b.head++
	}
	m, head := b.message(max(b.head, 1)), b.at(b.head)
	b.mu.Unlock()
	switch trouble {
	case 0, 1:
		sink.Down(errCut)
		sink.Live(head)
	case 2:
	default:
		if err := sink.Receive(m); err != nil {
			panic(err)
		}
	}
}

// Channels that nobody is in push one another out.
func TestAStormOfPublishersKeepsTheAccounts(t *testing.T) {
	const publishers, each, channels = 4, 2000, 40
	h := New(Options{Encoder: placed{}, Linger: true,
		History: HistoryOptions{Messages: 100, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 8 * idleOverhead}})
	defer h.Close()
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(p), 1))
			for i := range each {
				name := fmt.Sprint(r.IntN(channels))
				at := publish(t, h, name, "x", fmt.Sprint(r.IntN(10)))
				switch {
				case i%50 == 0:
					h.Sweep(time.Now())
				case i%7 == 0:
					var c client
					if _, err := c.enter(h, name, Since{SincePosition, at}, 0); err != nil {
						t.Error(err)
					}
					h.Leave(&c.Member)
				}
			}
		})
	}
	all.Wait()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectAccounts(t, h)
	h.Sweep(time.Now().Add(time.Hour))
	expectNothing(t, h)
}

// Clients come back again and again while messages, sweeps and breaks go on, on real workers.
func TestAStormOfReturningClientsLosesAndRepeatsNothing(t *testing.T) {
	const clients, rounds = 8, 40
	storm := func(t *testing.T, h *Hub) (recovered int, seen map[said]bool) {
		var all sync.WaitGroup
		var mu sync.Mutex
		seen = make(map[said]bool)
		for i := range clients {
			all.Go(func() {
				since := Since{Mode: SinceNow}
				for range rounds {
					var c client
					j, err := c.enter(h, "c", since, Form(i%3))
					if errors.Is(err, ErrUnavailable) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					// Stay for a few messages or until sent away.
					for n := 0; ; n++ {
						c.mu.Lock()
						enough := len(c.got) > j.replayed()+i || c.lost > 0 || n > 20
						c.mu.Unlock()
						if enough {
							break
						}
						if err := h.Flush(t.Context()); err != nil {
							t.Error(err)
						}
					}
					h.Leave(&c.Member)
					expectContinuous(t, &c, since)
					mu.Lock()
					if j.Recovered {
						recovered++
					}
					for _, s := range c.seen() {
						seen[s] = true
					}
					mu.Unlock()
					since = Since{SincePosition, c.last()}
				}
			})
		}
		all.Wait()
		return recovered, seen
	}
	t.Run("with the memory broker", func(t *testing.T) {
		h := New(Options{Encoder: placed{}, Workers: 3, MaxPassBytes: 200, MaxPendingBytes: 2000, Linger: true,
			History: HistoryOptions{Messages: 2000, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 200_000}})
		h.turnSize = 2
		stop := make(chan struct{})
		var all sync.WaitGroup
		var mu sync.Mutex
		truth := make(map[said]bool)
		for p := range 3 {
			all.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if p < 2 {
						payload := fmt.Sprintf("%d of %d", i, p)
						h.Publish("c", []byte(payload), "", func(at Position, err error) {
							mu.Lock()
							defer mu.Unlock()
							truth[said{at, payload}] = err == nil
						})
					} else {
						h.Publish(fmt.Sprint(i%20), []byte("something else"), "", nil)
						h.Sweep(time.Now())
					}
				}
			})
		}
		recovered, seen := storm(t, h)
		close(stop)
		all.Wait()
		h.Close()
		for s := range seen {
			if !truth[s] {
				t.Errorf("a client was handed %v %q, which nobody published", s.at, s.payload)
			}
		}
		if recovered == 0 {
			t.Error("none recovered")
		}
	})
	t.Run("with a broker that breaks", func(t *testing.T) {
		b := new(script)
		h := New(Options{Encoder: placed{}, Workers: 3, MaxPassBytes: 200, MaxPendingBytes: 2000, Broker: b,
			History: HistoryOptions{Messages: 20, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 1 << 20}})
		h.turnSize = 2
		var stays client
		if _, err := stays.enter(h, "c", Since{}, 0); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, 2))
			for {
				select {
				case <-stop:
					return
				default:
					b.step(r)
				}
			}
		})
		recovered, seen := storm(t, h)
		close(stop)
		all.Wait()
		for s := range seen {
			if s.payload != s.at.String() {
				t.Errorf("a client was handed %v as %q", s.at, s.payload)
			}
		}
		h.Leave(&stays.Member)
		h.Close()
		h.Sweep(time.Now())
		expectNothing(t, h)
		if recovered == 0 {
			t.Error("none recovered")
		}
	})
}
