package hub

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// resumeModel says what a hub with the memory broker should do for clients that resume.
type resumeModel struct {
	hub       byHand
	options   HistoryOptions
	pressure  bool // TotalBytes is small: windows may be shorter than the model says
	now       time.Time
	channels  map[string]*life
	truth     map[Position]string // every message ever published
	positions []Position          // every one ever told
	entries   []*entering
	clients   []*resuming
	left      []*resuming
}

// life is a channel from its making to its end.
type life struct {
	epoch  string
	said   []string    // by offset - 1
	at     []time.Time // when
	keys   map[string]Position
	active time.Time // when somebody was last in, or something published
}

type entering struct {
	channel string
	since   Since
	entry   *Entry
}

type resuming struct {
	client
	channel string
	since   Since
	joined  Joined
	first   Position // it is owed what follows this
}

// first is the offset of the oldest message that the window holds.
func (m *resumeModel) first(l *life) uint64 {
	first := uint64(len(l.said)) + 1
	count, bytes := 0, 0
	for first > 1 {
		i := first - 2
		count++
		bytes += cost([]byte(l.said[i]))
		if count > m.options.Messages || bytes > m.options.Bytes || m.now.Sub(l.at[i]) >= m.options.Age {
			break
		}
		first--
	}
	return first
}

// observe compares the lives of the channels with the hub's.
func (m *resumeModel) observe(t *rapid.T) {
	in := make(map[string]bool)
	for _, e := range m.entries {
		in[e.channel] = true
	}
	for _, c := range m.clients {
		in[c.channel] = true
	}
	for name := range in {
		if m.hub.channels[name] == nil {
			t.Fatalf("channel %s has members or entries and is gone", name)
		}
	}
	for name, c := range m.hub.channels {
		l := m.channels[name]
		if l == nil || l.epoch != c.head.Epoch {
			m.ended(t, name)
			m.channels[name] = &life{epoch: c.head.Epoch, keys: make(map[string]Position), active: m.now}
			l = m.channels[name]
		}
		if in[name] || c.work != nil {
			l.active = m.now
		}
		if int(c.head.Offset) != len(l.said) {
			t.Fatalf("channel %s is at %d, want %d", name, c.head.Offset, len(l.said))
		}
	}
	for name := range m.channels {
		if m.hub.channels[name] == nil {
			m.ended(t, name)
		}
	}
}

// ended checks that the life of a channel may have ended.
func (m *resumeModel) ended(t *rapid.T, name string) {
	l := m.channels[name]
	if l == nil {
		return
	}
	delete(m.channels, name)
	known := len(l.said) > 0
	for _, p := range m.positions {
		known = known || p.Epoch == l.epoch
	}
	if known && !m.pressure && m.now.Sub(l.active) < m.options.Age {
		t.Fatalf("channel %s was forgotten %v after it was used last", name, m.now.Sub(l.active))
	}
}

// joins checks what Join found.
func (m *resumeModel) joins(t *rapid.T, e *entering, r *resuming) {
	l := m.channels[e.channel]
	head := Position{l.epoch, uint64(len(l.said))}
	j := r.joined
	r.first = head
	switch e.since.Mode {
	case SincePlain:
		if !j.Position.Zero() || j.Recovered || j.Replay != nil {
			t.Fatalf("a plain client was told %+v", j)
		}
	case SinceNow:
		if j.Position != head || j.Recovered || j.Replay != nil {
			t.Fatalf("since now was told %+v, want %v", j, head)
		}
	case SincePosition:
		p := e.since.Position
		can := p.Epoch == l.epoch && p.Offset <= head.Offset && p.Offset+1 >= m.first(l)
		if j.Recovered && !can || !j.Recovered && can && !m.pressure {
			t.Fatalf("since %v was told recovered %v; head %v, window from %d", p, j.Recovered, head, m.first(l))
		}
		want := head
		if j.Recovered {
			want = p
			r.first = p
		}
		if j.Position != want {
			t.Fatalf("since %v was told %v, want %v", p, j.Position, want)
		}
	}
	if j.Recovered || e.since.Mode == SinceNow {
		m.positions = append(m.positions, j.Position)
	}
}

// check compares what a client has with what it is owed. whole is set when it must have everything.
func (m *resumeModel) check(t *rapid.T, r *resuming, whole bool) {
	if r.lost != 0 {
		t.Fatalf("a client of %s was lost", r.channel)
	}
	for i, s := range r.got {
		want := Position{r.first.Epoch, r.first.Offset + 1 + uint64(i)}
		if s.at != want {
			t.Fatalf("a client of %s since %+v: message %d is %v, want %v", r.channel, r.since, i, s.at, want)
		}
		if m.truth[s.at] != s.payload {
			t.Fatalf("message %v is %q, want %q", s.at, s.payload, m.truth[s.at])
		}
	}
	if r.joined.Recovered && len(r.got) < r.joined.replayed() {
		t.Fatalf("a replay of %d frames, got %d", r.joined.replayed(), len(r.got))
	}
	if l := m.channels[r.channel]; whole && int(r.first.Offset)+len(r.got) != len(l.said) {
		t.Fatalf("a client of %s has %d messages after %v, and there are %d", r.channel, len(r.got), r.first, len(l.said))
	}
}

func (j *Joined) replayed() (n int) {
	for _, b := range j.Replay {
		n += len(b.Ends)
	}
	return n
}

func (m *resumeModel) join(t *rapid.T, e *entering) {
	r := &resuming{channel: e.channel, since: e.since}
	r.joined = r.client.join(e.entry, Form(rapid.IntRange(0, 2).Draw(t, "form")))
	m.joins(t, e, r)
	m.clients = append(m.clients, r)
}

func (m *resumeModel) enter(t *rapid.T, channel string, since Since) *entering {
	entry, err := m.hub.Enter(t.Context(), channel, since)
	if err != nil {
		t.Fatal(err)
	}
	m.observe(t)
	return &entering{channel, since, entry}
}

func (m *resumeModel) since(t *rapid.T) Since {
	switch rapid.IntRange(0, 5).Draw(t, "since") {
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

func take[T any](t *rapid.T, s *[]T) (v T, ok bool) {
	if len(*s) == 0 {
		return v, false
	}
	i := rapid.IntRange(0, len(*s)-1).Draw(t, "which")
	v = (*s)[i]
	*s = append((*s)[:i], (*s)[i+1:]...)
	return v, true
}

func (m *resumeModel) leave(t *rapid.T) *resuming {
	r, ok := take(t, &m.clients)
	if !ok {
		return nil
	}
	m.hub.Leave(&r.Member)
	m.left = append(m.left, r)
	return r
}

func TestClientsResumeAsTheModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		epochs := 0
		m := &resumeModel{
			options: HistoryOptions{
				Messages: rapid.IntRange(1, 40).Draw(t, "messages"),
				Bytes:    rapid.SampledFrom([]int{100, 1000, 1 << 20}).Draw(t, "bytes"),
				Age:      time.Duration(rapid.IntRange(1, 20).Draw(t, "age")) * time.Second,
			},
			now:      time.Unix(1000, 0),
			channels: make(map[string]*life),
			truth:    make(map[Position]string),
		}
		m.options.TotalBytes = 1 << 30
		if m.pressure = rapid.Bool().Draw(t, "pressure"); m.pressure {
			m.options.TotalBytes = rapid.IntRange(1000, 10000).Draw(t, "total")
		}
		m.hub = newByHand(Options{
			Encoder:      placed{},
			MaxPassBytes: rapid.IntRange(1, 60).Draw(t, "pass bytes"),
			History:      m.options,
			Linger:       true,
			Now:          func() time.Time { return m.now },
			Broker:       &Memory{NewEpoch: func() string { epochs++; return fmt.Sprintf("e%d", epochs) }},
		})
		m.hub.turnSize = rapid.IntRange(1, 4).Draw(t, "turn size")
		limit := rapid.IntRange(1, 3).Draw(t, "tickets")
		m.hub.queue.limit, m.hub.queue.workers = limit, limit
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		count := 0
		publish := func(t *rapid.T) {
			n := name.Draw(t, "channel")
			key := rapid.SampledFrom([]string{"", "", "", "k1", "k2"}).Draw(t, "key")
			count++
			payload := fmt.Sprintf("%d%0*d", count, rapid.IntRange(1, 30).Draw(t, "padding"), 0)
			var at Position
			m.observe(t)
			m.hub.Publish(n, []byte(payload), key, func(p Position, err error) {
				if err != nil {
					t.Fatal(err)
				}
				at = p
			})
			l := m.channels[n]
			if l == nil || l.epoch != at.Epoch {
				m.ended(t, n)
				l = &life{epoch: at.Epoch, keys: make(map[string]Position)}
				m.channels[n] = l
			}
			if old, ok := l.keys[key]; key != "" && ok && old == at {
				if old.Offset < m.first(l) {
					t.Fatalf("key %s gives %v, which is before the window", key, old)
				}
				return
			} else if key != "" && ok && old.Offset >= m.first(l) && !m.pressure {
				t.Fatalf("key %s gives %v, and was published as %v", key, at, old)
			}
			l.active = m.now
			if at.Offset != uint64(len(l.said))+1 {
				t.Fatalf("published as %v, after %d messages", at, len(l.said))
			}
			l.said, l.at = append(l.said, payload), append(l.at, m.now)
			m.truth[at] = payload
			if key != "" {
				l.keys[key] = at
			}
			m.positions = append(m.positions, at)
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				m.entries = append(m.entries, m.enter(t, name.Draw(t, "channel"), m.since(t)))
			},
			"join": func(t *rapid.T) {
				if e, ok := take(t, &m.entries); ok {
					m.join(t, e)
				}
			},
			"release": func(t *rapid.T) {
				if e, ok := take(t, &m.entries); ok {
					e.entry.Release()
					e.entry.Release()
				}
			},
			"come":  func(t *rapid.T) { m.join(t, m.enter(t, name.Draw(t, "channel"), m.since(t))) },
			"leave": func(t *rapid.T) { m.leave(t) },
			"reconnect": func(t *rapid.T) {
				r := m.leave(t)
				if r == nil || r.last().Zero() {
					return
				}
				m.join(t, m.enter(t, r.channel, Since{Mode: SincePosition, Position: r.last()}))
			},
			"publish":       publish,
			"publish again": publish,
			"turn":          func(*rapid.T) { m.hub.turn() },
			"sweep": func(t *rapid.T) {
				m.observe(t)
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
				m.hub.Sweep(m.now)
				if !m.pressure {
					return
				}
				if s := m.hub.Stats(); s.HistoryBytes > m.hub.store.maxMessages && len(m.clients)+len(m.entries) == 0 && len(m.hub.queue.items) == 0 {
					t.Fatalf("keeps %d bytes, allowed %d", s.HistoryBytes, m.hub.store.maxMessages)
				}
			},
			"": func(t *rapid.T) {
				m.observe(t)
				for _, r := range m.clients {
					m.check(t, r, false)
				}
				for _, r := range m.left {
					m.check(t, r, false)
				}
				expectAccounts(t, m.hub.Hub)
			},
		})
		m.hub.settle()
		m.observe(t)
		for _, r := range m.clients {
			m.check(t, r, true)
		}
		for _, e := range m.entries {
			m.join(t, e)
			m.check(t, m.clients[len(m.clients)-1], true)
		}
		m.entries = nil
		for len(m.clients) > 0 {
			m.leave(t)
		}
		m.observe(t)
		m.now = m.now.Add(m.options.Age)
		m.hub.Sweep(m.now)
		expectNothing(t, m.hub.Hub)
	})
}

// expectAccounts checks that the hub's totals are those of its channels.
func expectAccounts(t interface{ Fatalf(string, ...any) }, h *Hub) {
	messages, frames, idle := 0, 0, 0
	for i, c := range h.order {
		if int(c.index) != i || h.channels[c.name] != c {
			t.Fatalf("channel %s is not at its index", c.name)
		}
		p := c.past
		if p == nil {
			continue
		}
		blocks, bytes, count, cached := 0, 0, 0, 0
		for _, b := range p.window.blocks {
			blocks += blockOverhead
			for i, e := range b.entries {
				blocks += cost(e.payload)
				if b.first+uint64(i) >= c.first() {
					bytes += cost(e.payload)
					count++
				}
			}
			cached += b.framesCost()
		}
		if p.window.cost != blocks || p.window.bytes != bytes || p.window.count != count || p.window.frames != cached {
			t.Fatalf("the window counts %d %d %d %d, and has %d %d %d %d", p.window.cost, p.window.bytes, p.window.count, p.window.frames, blocks, bytes, count, cached)
		}
		messages += blocks
		if p.keys != nil {
			messages += p.keys.cost
		}
		if p.idle.listed && !p.idle.evicted {
			messages += idleOverhead
			idle++
		}
		frames += cached
	}
	for c := h.store.first; c != nil; c = c.past.idle.next {
		idle--
		if next := c.past.idle.next; !c.past.idle.listed || c.past.idle.evicted || next == nil && h.store.last != c || next != nil && next.past.idle.prev != c {
			t.Fatalf("channel %s is amiss in the list of the idle", c.name)
		}
	}
	if idle != 0 {
		t.Fatalf("%d channels too few in the list of the idle", idle)
	}
	if s := h.Stats(); s.HistoryBytes != int64(messages) || s.FrameBytes != int64(frames) {
		t.Fatalf("the hub counts %d and %d bytes, and has %d and %d", s.HistoryBytes, s.FrameBytes, messages, frames)
	}
}

// expectNothing checks that h holds nothing.
func expectNothing(t interface{ Fatalf(string, ...any) }, h *Hub) {
	s := h.Stats()
	if s.Channels != 0 || s.Members != 0 || s.HistoryBytes != 0 || s.FrameBytes != 0 || h.store.first != nil || h.store.last != nil {
		t.Fatalf("something is left: %+v", s)
	}
	if m, ok := h.broker.(*Memory); ok && len(m.streams) != 0 {
		t.Fatalf("the broker holds %d streams", len(m.streams))
	}
}
