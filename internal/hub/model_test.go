package hub

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model says what the hub should do, as simply as possible: a channel is a list of messages, and a member is owed a run of it.
type model struct {
	hub      byHand
	channels map[string]*modelChannel
	members  []*modelMember // still in
	left     []*modelMember
}

type modelChannel struct {
	said  []string // everything ever published
	began int      // so many of them are in passes that have begun, or were dropped for want of members
	ended int      // so many of them are in passes that have ended, or were dropped
	in    int      // members now
}

type modelMember struct {
	recorder
	channel *modelChannel
	name    string
	first   int // it is owed channel.said from here
	least   int // at least up to here
	most    int // and at most up to here
}

func (m *model) channel(name string) *modelChannel {
	c := m.channels[name]
	if c == nil {
		c = new(modelChannel)
		m.channels[name] = c
	}
	return c
}

// observe reads off the hub how far the passes of each channel are; what a pass may take is not the model's business.
func (m *model) observe() {
	for name, c := range m.channels {
		hc := m.hub.channels[name]
		if hc == nil || hc.work == nil {
			c.began, c.ended = len(c.said), len(c.said)
			continue
		}
		w := hc.work
		c.began = len(c.said) - len(w.pending)
		c.ended = c.began
		if w.begun {
			c.ended -= len(w.messages)
		}
	}
}

func (m *model) check(t *rapid.T, r *modelMember) {
	got := r.got()
	if least := max(0, r.least-r.first); len(got) < least {
		t.Fatalf("%s has %d messages from %d on, owed at least %d", r.name, len(got), r.first, least)
	}
	if most := max(0, r.most-r.first); len(got) > most {
		t.Fatalf("%s has %d messages from %d on, owed at most %d", r.name, len(got), r.first, most)
	}
	previous := 0
	for i, frame := range got {
		head, payload, _ := strings.Cut(frame, ":")
		var form, seq int
		if _, err := fmt.Sscanf(head, "%d/%d", &form, &seq); err != nil {
			t.Fatal(err)
		}
		if want := r.channel.said[r.first+i]; payload != want {
			t.Fatalf("%s: message %d is %q, want %q", r.name, i, payload, want)
		}
		if form != int(r.form) {
			t.Fatalf("%s: message %d has form %d, want %d", r.name, i, form, r.form)
		}
		if previous != 0 && seq != previous+1 {
			t.Fatalf("%s: number %d follows %d", r.name, seq, previous)
		}
		previous = seq
	}
}

func TestTheHubDoesAsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(t, "tickets")
		m := &model{
			hub:      newByHand(Options{MaxPassBytes: rapid.IntRange(1, 60).Draw(t, "pass bytes")}),
			channels: make(map[string]*modelChannel),
		}
		m.hub.turnSize = rapid.IntRange(1, 4).Draw(t, "turn size")
		m.hub.queue.limit, m.hub.queue.workers = limit, limit // none is started; the test works their tickets off
		name := rapid.SampledFrom([]string{"a", "b"})
		said := 0
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				n := name.Draw(t, "channel")
				c := m.channel(n)
				r := &modelMember{channel: c, name: fmt.Sprintf("member %d of %s", len(m.members)+len(m.left), n), first: len(c.said)}
				m.hub.Join(n, &r.Member, r, Form(rapid.IntRange(0, 2).Draw(t, "form")))
				c.in++
				m.members = append(m.members, r)
			},
			"leave": func(t *rapid.T) {
				if len(m.members) == 0 {
					return
				}
				i := rapid.IntRange(0, len(m.members)-1).Draw(t, "member")
				r := m.members[i]
				m.observe()
				m.hub.Leave(&r.Member)
				m.hub.Leave(&r.Member)
				r.channel.in--
				r.least, r.most = r.channel.ended, r.channel.began
				m.members = append(m.members[:i], m.members[i+1:]...)
				m.left = append(m.left, r)
			},
			"publish": func(t *rapid.T) {
				n := name.Draw(t, "channel")
				payload := fmt.Sprint(said)
				for range rapid.IntRange(0, 20).Draw(t, "padding") {
					payload += "."
				}
				said++
				m.hub.Publish(n, []byte(payload), "", func(_ Position, err error) {
					if err != nil {
						t.Fatal(err)
					}
				})
				m.channel(n).said = append(m.channel(n).said, payload)
			},
			"turn": func(*rapid.T) { m.hub.turn() },
			"": func(t *rapid.T) {
				m.observe()
				in := 0
				for _, r := range m.members {
					r.least, r.most = r.channel.ended, r.channel.began
					m.check(t, r)
				}
				for _, r := range m.left {
					m.check(t, r)
				}
				for name, c := range m.channels {
					in += c.in
					hc := m.hub.channels[name]
					if hc == nil && c.in > 0 {
						t.Fatalf("channel %s has %d members and is gone", name, c.in)
					}
					if hc != nil && c.in == 0 && hc.work == nil {
						t.Fatalf("channel %s has nobody, nothing to do, and is still there", name)
					}
				}
				if got := m.hub.Stats().Members; got != in {
					t.Fatalf("the hub counts %d members, want %d", got, in)
				}
			},
		})
		m.hub.settle()
		for _, r := range m.members {
			r.least, r.most = len(r.channel.said), len(r.channel.said)
			m.check(t, r)
			m.hub.Leave(&r.Member)
		}
		for _, r := range m.left {
			m.check(t, r)
		}
		if n := len(m.hub.channels); n != 0 {
			t.Fatalf("%d channels are left", n)
		}
	})
}
