package hub

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// brokerModel checks a hub whose broker is far away and does what such brokers do.
type brokerModel struct {
	hub       byHand
	broker    *fakeBroker
	positions []Position
	entries   []*entering
	clients   []*remote
	left      []*remote
	now       time.Time
}

type remote struct {
	client
	since Since
	sub   *fakeSub
	taken int      // so many messages the subscription had taken when it joined
	first Position // it is owed what follows this
}

// check looks at all that a client has. whole is set when it must have everything.
func (m *brokerModel) check(t *rapid.T, r *remote, whole bool) {
	if r.since.Mode == SincePlain {
		taken := r.sub.taken[r.taken:]
		if len(r.got) > len(taken) || whole && len(r.got) != len(taken) {
			t.Fatalf("a plain client has %d messages of %d", len(r.got), len(taken))
		}
		for i, s := range r.got {
			if s.at != taken[i] || s.payload != m.broker.truth[s.at] {
				t.Fatalf("a plain client's message %d is %v %q, want %v %q", i, s.at, s.payload, taken[i], m.broker.truth[taken[i]])
			}
		}
		if r.lost != 0 {
			t.Fatal("a plain client was told that it lost something")
		}
		return
	}
	for i, s := range r.got {
		want := Position{r.first.Epoch, r.first.Offset + 1 + uint64(i)}
		if s.at != want || s.payload != m.broker.truth[want] {
			t.Fatalf("a client since %+v: message %d is %v %q, want %v %q", r.since, i, s.at, s.payload, want, m.broker.truth[want])
		}
	}
	if r.lost > 1 {
		t.Fatalf("a client was lost %d times", r.lost)
	}
	if head := r.sub.stream.head(); whole && r.lost == 0 && r.last() != head {
		t.Fatalf("a client since %+v, resumed from %v, has everything up to %v, and there is %v", r.since, r.first, r.last(), head)
	}
}

// enter is nil if the broker cannot be reached.
func (m *brokerModel) enter(t *rapid.T, channel string, since Since) *entering {
	entry, err := m.hub.Enter(t.Context(), channel, since)
	if m.broker.cut && since.Mode != SincePlain {
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errCut) {
			t.Fatalf("entering without a broker: %v", err)
		}
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return &entering{channel, since, entry}
}

func (m *brokerModel) join(t *rapid.T, e *entering) *remote {
	sub := m.broker.streams[e.channel].sub
	r := &remote{since: e.since, sub: sub, taken: len(sub.taken)}
	head := m.hub.channels[e.channel].head
	j := r.client.join(e.entry, Form(rapid.IntRange(0, 2).Draw(t, "form")))
	r.first = j.Position
	if e.since.Mode == SincePosition && j.Recovered {
		if j.Position != e.since.Position {
			t.Fatalf("resumed from %v and told %v", e.since.Position, j.Position)
		}
		if _, ok := m.broker.truth[j.Position]; !ok && j.Position.Offset > 0 {
			t.Fatalf("recovered from %v, which never was", j.Position)
		}
	} else if e.since.Mode != SincePlain && (j.Position != head || j.Recovered) {
		t.Fatalf("since %+v: told %+v, want %v", e.since, j, head)
	}
	if j.Recovered || e.since.Mode == SinceNow {
		m.positions = append(m.positions, j.Position)
	}
	m.clients = append(m.clients, r)
	return r
}

// come enters and joins at once, in which case the hub must find whatever can be found.
func (m *brokerModel) come(t *rapid.T, channel string, since Since) {
	m.broker.during = nil
	e := m.enter(t, channel, since)
	if e == nil {
		return
	}
	r := m.join(t, e)
	s := r.sub.stream
	p := since.Position
	can := since.Mode == SincePosition && p.Epoch == s.epoch && p.Epoch == r.sub.at.Epoch && p.Offset >= s.trimmed && p.Offset <= s.head().Offset
	if can && !r.joined.Recovered {
		t.Fatalf("since %v: not recovered; the task is at %v, the broker at %v, trimmed up to %d", p, r.sub.at, s.head(), s.trimmed)
	}
}

func (m *brokerModel) since(t *rapid.T) Since {
	switch rapid.IntRange(0, 6).Draw(t, "since") {
	case 0:
		return Since{}
	case 1:
		return Since{Mode: SinceNow}
	}
	if len(m.positions) == 0 {
		return Since{Mode: SincePosition, Position: Position{"never", 3}}
	}
	p := rapid.SampledFrom(m.positions).Draw(t, "position")
	if rapid.IntRange(0, 9).Draw(t, "bogus") == 0 {
		p.Offset += 5
	}
	return Since{Mode: SincePosition, Position: p}
}

// wire lets something arrive on some subscription.
func (m *brokerModel) wire(t *rapid.T, channel string) {
	s := m.broker.streams[channel]
	if s == nil || s.sub == nil || len(s.sub.wire) == 0 || m.broker.cut {
		return
	}
	i := 0
	if rapid.IntRange(0, 4).Draw(t, "reorder") == 0 {
		i = len(s.sub.wire) - 1
	}
	s.sub.arrive(i)
}

func TestClientsResumeFromABrokerFarAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newFakeBroker()
		b.page = rapid.IntRange(0, 3).Draw(t, "page")
		m := &brokerModel{broker: b, now: time.Unix(1000, 0)}
		history := HistoryOptions{
			Messages:   rapid.IntRange(0, 12).Draw(t, "messages"),
			Bytes:      rapid.SampledFrom([]int{100, 500, 1 << 20}).Draw(t, "bytes"),
			Age:        10 * time.Second,
			TotalBytes: rapid.SampledFrom([]int{1000, 1 << 20}).Draw(t, "total"),
		}
		m.hub = newByHand(Options{
			Encoder: placed{}, Broker: b, History: history,
			MaxPassBytes: rapid.IntRange(1, 60).Draw(t, "pass bytes"),
			Now:          func() time.Time { return m.now },
		})
		m.hub.turnSize = rapid.IntRange(1, 4).Draw(t, "turn size")
		limit := rapid.IntRange(1, 3).Draw(t, "tickets")
		m.hub.queue.limit, m.hub.queue.workers = limit, limit
		channel := rapid.SampledFrom([]string{"a", "b"})
		count := 0
		payload := func() string { count++; return fmt.Sprint(count) }
		shake := func(t *rapid.T, n string) {
			switch rapid.IntRange(0, 5).Draw(t, "shake") {
			case 0:
				s := b.stream(n)
				s.trimmed += uint64(rapid.IntRange(0, int(s.head().Offset-s.trimmed)).Draw(t, "trim"))
			case 1:
				m.positions = append(m.positions, b.stream(n).append(payload(), false))
			case 2:
				m.hub.turn()
			default:
				m.wire(t, n)
			}
		}
		leave := func(t *rapid.T) *remote {
			r, ok := take(t, &m.clients)
			if ok {
				m.hub.Leave(&r.Member)
				m.left = append(m.left, r)
			}
			return r
		}
		elsewhere := func(t *rapid.T) {
			p := b.stream(channel.Draw(t, "channel")).append(payload(), rapid.IntRange(0, 3).Draw(t, "lost") == 0)
			m.positions = append(m.positions, p)
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				n := channel.Draw(t, "channel")
				since := m.since(t)
				b.during = func() {
					for range rapid.IntRange(0, 5).Draw(t, "during") {
						shake(t, n)
					}
				}
				if e := m.enter(t, n, since); e != nil {
					m.entries = append(m.entries, e)
				}
				b.during = nil
			},
			"join": func(t *rapid.T) {
				if e, ok := take(t, &m.entries); ok {
					m.join(t, e)
				}
			},
			"release": func(t *rapid.T) {
				if e, ok := take(t, &m.entries); ok {
					e.entry.Release()
				}
			},
			"come":  func(t *rapid.T) { m.come(t, channel.Draw(t, "channel"), m.since(t)) },
			"leave": func(t *rapid.T) { leave(t) },
			"reconnect": func(t *rapid.T) {
				if r := leave(t); r != nil && !r.last().Zero() {
					m.come(t, r.Channel(), Since{Mode: SincePosition, Position: r.last()})
				}
			},
			"publish": func(t *rapid.T) {
				m.hub.Publish(channel.Draw(t, "channel"), []byte(payload()), "", func(p Position, err error) {
					if (err != nil) != b.cut {
						t.Fatalf("publishing: %v", err)
					}
					if err == nil {
						m.positions = append(m.positions, p)
					}
				})
			},
			"elsewhere":       elsewhere,
			"elsewhere again": elsewhere,
			"wire":            func(t *rapid.T) { m.wire(t, channel.Draw(t, "channel")) },
			"wire again":      func(t *rapid.T) { m.wire(t, channel.Draw(t, "channel")) },
			"turn":            func(*rapid.T) { m.hub.turn() },
			"shake":           func(t *rapid.T) { shake(t, channel.Draw(t, "channel")) },
			"flush": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					b.stream(channel.Draw(t, "channel")).flush()
				}
			},
			"cut or heal": func(*rapid.T) {
				if b.cut {
					b.heal()
				} else {
					b.interrupt()
				}
			},
			"sweep": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
				m.hub.Sweep(m.now)
			},
			"": func(t *rapid.T) {
				for _, r := range m.clients {
					m.check(t, r, false)
				}
				for _, r := range m.left {
					m.check(t, r, false)
				}
				expectAccounts(t, m.hub.Hub)
			},
		})
		b.during = nil
		b.interrupt()
		b.heal()
		for _, e := range m.entries {
			m.join(t, e)
		}
		for _, s := range b.streams {
			s.append("the end", false)
			for s.sub != nil && len(s.sub.wire) > 0 {
				s.sub.arrive(0)
			}
		}
		m.hub.settle()
		in := 0
		for _, r := range m.clients {
			m.check(t, r, true)
			if r.lost == 0 {
				in++
			}
		}
		if got := m.hub.Stats().Members; got != in {
			t.Fatalf("%d members, want %d", got, in)
		}
		for len(m.clients) > 0 {
			leave(t)
		}
		m.hub.Sweep(m.now)
		expectNothing(t, m.hub.Hub)
	})
}
