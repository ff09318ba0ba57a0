package hub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// silentBroker says nothing until the test does.
type silentBroker struct {
	sinks   map[string]Sink
	history func(ctx context.Context, after Position) (History, error)
}

func (b *silentBroker) Publish(_ string, _ []byte, _ string, done func(Position, error)) {
	done(Position{}, ErrUnavailable)
}
func (b *silentBroker) Subscribe(channel string, s Sink) {
	if b.sinks == nil {
		b.sinks = make(map[string]Sink)
	}
	b.sinks[channel] = s
}
func (b *silentBroker) Unsubscribe(channel string) { delete(b.sinks, channel) }
func (b *silentBroker) History(ctx context.Context, _ string, after Position) (History, error) {
	return b.history(ctx, after)
}

type entered struct {
	entry *Entry
	err   error
}

// startEnter starts Enter.
func startEnter(ctx context.Context, h *Hub, since Since) <-chan entered {
	result := make(chan entered, 1)
	go func() {
		e, err := h.Enter(ctx, "c", since)
		result <- entered{e, err}
	}()
	synctest.Wait()
	return result
}

// messages are those of an epoch from one offset to another.
func messages(epoch string, from, to uint64) (m []Message) {
	for o := from; o <= to; o++ {
		m = append(m, Message{Payload: []byte("x"), Position: Position{epoch, o}})
	}
	return m
}

func TestEnter(t *testing.T) {
	resumable := Since{Mode: SinceNow}
	t.Run("waits until the subscription has taken effect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := new(silentBroker)
			h := newByHand(Options{Broker: b})
			for _, since := range []Since{{}, resumable} {
				result := startEnter(t.Context(), h.Hub, since)
				again := startEnter(t.Context(), h.Hub, since)
				if len(result)+len(again) != 0 {
					t.Fatal("it did not wait")
				}
				b.sinks["c"].Live(Position{"e", 7})
				for _, r := range []<-chan entered{result, again} {
					got := <-r
					if got.err != nil {
						t.Fatal(got.err)
					}
					got.entry.Release()
				}
				if len(b.sinks) != 0 {
					t.Error("the channel was not removed")
				}
			}
		})
	})
	t.Run("without a broker fails for those who resume, and lets the others in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := new(silentBroker)
			h := newByHand(Options{Broker: b})
			plain, result := startEnter(t.Context(), h.Hub, Since{}), startEnter(t.Context(), h.Hub, resumable)
			cause := errors.New("no route")
			b.sinks["c"].Down(cause)
			got := <-result
			if !errors.Is(got.err, ErrUnavailable) || !errors.Is(got.err, cause) {
				t.Errorf("failed with %v", got.err)
			}
			var p client
			if j := p.join((<-plain).entry, 0); j.Position != (Position{}) {
				t.Errorf("joined %+v", j)
			}
			if _, err := h.Enter(t.Context(), "c", resumable); !errors.Is(err, cause) {
				t.Errorf("failed with %v", err)
			}
			b.sinks["c"].Live(Position{"e", 7})
			var r client
			if j, err := r.enter(h.Hub, "c", resumable, 0); err != nil || j.Position != (Position{"e", 7}) {
				t.Errorf("joined %+v, %v", j, err)
			}
			if p.lost != 0 {
				t.Error("a plain subscriber was told of a loss")
			}
		})
	})
	t.Run("gives up with its context and leaves nothing behind", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := new(silentBroker)
			h := newByHand(Options{Broker: b})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := <-startEnter(ctx, h.Hub, resumable)
			if !errors.Is(got.err, context.DeadlineExceeded) {
				t.Errorf("failed with %v", got.err)
			}
			expectNothing(t, h.Hub)
		})
	})
	t.Run("gives up when the hub closes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{Broker: new(silentBroker)})
			result := startEnter(t.Context(), h.Hub, Since{})
			h.Close()
			if got := <-result; !errors.Is(got.err, ErrClosed) {
				t.Errorf("failed with %v", got.err)
			}
			expectNothing(t, h.Hub)
		})
	})
	t.Run("asks the broker once for all that wait for the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			asked, answer := 0, make(chan struct{})
			b := &silentBroker{history: func(_ context.Context, after Position) (History, error) {
				asked++
				<-answer
				return History{Head: Position{"e", 9}, Messages: messages("e", after.Offset+1, 9), Complete: true}, nil
			}}
			h := newByHand(Options{Broker: b, Encoder: placed{}, History: HistoryOptions{Messages: 10, Bytes: 1 << 20, Age: time.Minute, TotalBytes: 1 << 20}})
			var results []<-chan entered
			for range 5 {
				results = append(results, startEnter(t.Context(), h.Hub, Since{SincePosition, Position{"e", 3}}))
			}
			b.sinks["c"].Live(Position{"e", 9})
			synctest.Wait()
			impatient, cancel := context.WithCancel(t.Context())
			gone := startEnter(impatient, h.Hub, Since{SincePosition, Position{"e", 3}})
			cancel()
			if got := <-gone; !errors.Is(got.err, context.Canceled) {
				t.Errorf("failed with %v", got.err)
			}
			close(answer)
			for _, r := range results {
				var c client
				if j := c.join((<-r).entry, 0); !j.Recovered || j.Position.Offset != 3 || len(c.got) != 6 {
					t.Errorf("joined %+v with %d messages", j, len(c.got))
				}
				defer h.Leave(&c.Member)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	})
	t.Run("does not take a broker's word for a run that is none", func(t *testing.T) {
		for name, m := range map[string][]Message{
			"a gap":         append(messages("e", 4, 5), messages("e", 7, 9)...),
			"late":          messages("e", 5, 9),
			"another epoch": messages("f", 4, 9),
		} {
			b := &silentBroker{history: func(context.Context, Position) (History, error) {
				return History{Head: Position{"e", 9}, Messages: m, Complete: true}, nil
			}}
			h := newByHand(Options{Broker: liveAt{b, Position{"e", 9}}, Encoder: placed{}})
			var c client
			if j, err := c.enter(h.Hub, "c", Since{SincePosition, Position{"e", 3}}, 0); err != nil || j.Recovered || j.Replay != nil || j.Position.Offset != 9 {
				t.Errorf("%s: joined %+v, %v", name, j, err)
			}
		}
	})
	t.Run("asks a broker that says nothing new only a few times", func(t *testing.T) {
		asked := 0
		b := &silentBroker{history: func(_ context.Context, after Position) (History, error) {
			asked++
			return History{Head: after, Complete: true}, nil
		}}
		h := newByHand(Options{Broker: liveAt{b, Position{"e", 9}}, Encoder: placed{}})
		var c client
		if j, err := c.enter(h.Hub, "c", Since{SincePosition, Position{"e", 3}}, 0); err != nil || j.Recovered {
			t.Errorf("joined %+v, %v", j, err)
		}
		if asked != maxFruitless+1 {
			t.Errorf("asked %d times", asked)
		}
	})
	t.Run("is an error when the broker fails", func(t *testing.T) {
		cause := errors.New("broken pipe")
		b := &silentBroker{history: func(context.Context, Position) (History, error) { return History{}, cause }}
		h := newByHand(Options{Broker: liveAt{b, Position{"e", 9}}})
		if _, err := h.Enter(t.Context(), "c", Since{SincePosition, Position{"e", 3}}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, cause) {
			t.Errorf("failed with %v", err)
		}
		expectNothing(t, h.Hub)
	})
}

// liveAt is a silentBroker whose subscriptions take effect at once.
type liveAt struct {
	*silentBroker
	head Position
}

func (b liveAt) Subscribe(channel string, s Sink) {
	b.silentBroker.Subscribe(channel, s)
	s.Live(b.head)
}

func TestABrokenPast(t *testing.T) {
	start := func() (byHand, *silentBroker) {
		b := new(silentBroker)
		return newByHand(Options{Broker: liveAt{b, Position{"e", 9}}, Encoder: placed{}, History: roomy}), b
	}
	t.Run("sends those away who resume, after what a pass has begun to hand them", func(t *testing.T) {
		h, b := start()
		h.turnSize = 1
		var plain, r, s client
		for c, mode := range map[*client]SinceMode{&plain: SincePlain, &r: SinceNow, &s: SinceNow} {
			if _, err := c.enter(h.Hub, "c", Since{Mode: mode}, 0); err != nil {
				t.Fatal(err)
			}
		}
		sink := b.sinks["c"]
		for _, m := range messages("e", 10, 10) {
			_ = sink.Receive(m)
		}
		h.turn()
		for _, m := range messages("e", 11, 11) {
			_ = sink.Receive(m)
		}
		sink.Live(Position{"f", 3})
		for _, m := range messages("f", 4, 4) {
			_ = sink.Receive(m)
		}
		if got := h.Stats(); got.Members != 1 || got.Lost != 2 {
			t.Errorf("stats are %+v", got)
		}
		h.settle()
		if len(plain.got) != 3 || plain.got[2].at != (Position{"f", 4}) || plain.lost != 0 {
			t.Errorf("the plain one has %v", plain.got)
		}
		for _, c := range []*client{&r, &s} {
			if len(c.got) != 1 || c.got[0].at != (Position{"e", 10}) || c.lost != 1 {
				t.Errorf("one who resumes has %v and was told %d times", c.got, c.lost)
			}
			h.Leave(&c.Member)
		}
		if got := h.Stats().Members; got != 1 {
			t.Errorf("%d members", got)
		}
	})
	t.Run("is noticed by a message that does not follow, and one that was received is passed over", func(t *testing.T) {
		h, b := start()
		var plain, r client
		_, _ = plain.enter(h.Hub, "c", Since{}, 0)
		_, _ = r.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
		sink := b.sinks["c"]
		for _, m := range []Message{messages("e", 10, 10)[0], messages("e", 9, 9)[0], messages("e", 10, 10)[0]} {
			_ = sink.Receive(m)
		}
		h.settle()
		_ = sink.Receive(messages("e", 12, 12)[0])
		h.settle()
		if len(plain.got) != 2 || len(r.got) != 1 || r.lost != 1 {
			t.Errorf("the plain one has %v, the other %v and %d", plain.got, r.got, r.lost)
		}
		if i, err := h.Info(t.Context(), "c"); err != nil || i.Messages != 1 || i.Position != (Position{"e", 12}) || i.Subscribers != 1 {
			t.Errorf("info is %+v, %v", i, err)
		}
	})
	t.Run("is none if the broker is back where it was", func(t *testing.T) {
		h, b := start()
		var r client
		_, _ = r.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
		sink := b.sinks["c"]
		_ = sink.Receive(messages("e", 10, 10)[0])
		sink.Down(errCut)
		_ = sink.Receive(messages("e", 11, 11)[0])
		sink.Live(Position{"e", 11})
		h.settle()
		if len(r.got) != 2 || r.lost != 0 {
			t.Errorf("has %v, and was told %d times", r.got, r.lost)
		}
		if h.channels["c"].past.why != nil {
			t.Error("the channel remembers what is over")
		}
	})
	t.Run("with nobody left in it is removed by the next Sweep", func(t *testing.T) {
		h, b := start()
		var r client
		_, _ = r.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
		b.sinks["c"].Live(Position{"f", 0})
		h.Sweep(time.Now())
		expectNothing(t, h.Hub)
	})
	t.Run("of a channel that lingers leaves it among the idle", func(t *testing.T) {
		b := new(silentBroker)
		now := time.Now()
		h := newByHand(Options{Broker: liveAt{b, Position{"e", 9}}, Encoder: placed{}, History: roomy, Linger: true, Now: func() time.Time { return now }})
		var r client
		_, _ = r.enter(h.Hub, "c", Since{Mode: SinceNow}, 0)
		b.sinks["c"].Live(Position{"f", 0})
		h.Sweep(now.Add(roomy.Age - 1))
		if len(h.channels) != 1 {
			t.Error("the channel was removed early")
		}
		h.Sweep(now.Add(roomy.Age))
		expectNothing(t, h.Hub)
	})
}

func TestAMessageBeforeTheSubscriptionTookEffectIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(silentBroker)
		h := newByHand(Options{Broker: b, Encoder: placed{}})
		result := startEnter(t.Context(), h.Hub, Since{Mode: SinceNow})
		_ = b.sinks["c"].Receive(messages("e", 5, 5)[0])
		b.sinks["c"].Live(Position{"e", 5})
		var c client
		if j := c.join((<-result).entry, 0); j.Position != (Position{"e", 5}) {
			t.Errorf("joined %+v", j)
		}
		if h.Stats().Lost != 0 {
			t.Error("that was taken for a loss")
		}
	})
}

// roomy is a history that holds whatever a test says.
var roomy = HistoryOptions{Messages: 10_000, Bytes: 1 << 24, Age: time.Minute, TotalBytes: 1 << 26}
