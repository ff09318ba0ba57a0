package hub

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// placed encodes a message as "form/position payload\n".
type placed struct{}

func (placed) AppendMessage(dst []byte, f Form, m *Message) []byte {
	dst = append(dst, byte('0'+f), '/')
	dst = m.Position.Append(dst)
	dst = append(dst, ' ')
	dst = append(dst, m.Payload...)
	return append(dst, '\n')
}

// said is a message as a client sees it.
type said struct {
	at      Position
	payload string
}

// client is a subscriber that reads what placed wrote: first the replay, then what is delivered.
type client struct {
	Member
	joined Joined

	mu   sync.Mutex
	got  []said
	held []*Batch // delivered before the replay was known
	open bool
	lost int
}

func (c *client) Deliver(b *Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		c.held = append(c.held, b)
		return
	}
	c.read(b)
}

func (c *client) Lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost++
}

// read takes a batch apart. mu is held.
func (c *client) read(b *Batch) {
	start := uint32(0)
	for _, end := range b.Ends {
		frame := string(b.Data[start:end])
		start = end
		form, rest, _ := strings.Cut(frame, "/")
		at, payload, _ := strings.Cut(rest, " ")
		p, err := ParsePosition(at)
		if err != nil || form != string(rune('0'+c.form)) || !strings.HasSuffix(payload, "\n") {
			panic(fmt.Sprintf("frame %q (form %d): %v", frame, c.form, err))
		}
		c.got = append(c.got, said{p, strings.TrimSuffix(payload, "\n")})
	}
	if len(b.Ends) == 0 || int(start) != len(b.Data) {
		panic("a batch without a frame, or with data after its last frame")
	}
}

// join joins c by an entry and reads the replay.
func (c *client) join(e *Entry, f Form) Joined {
	joined := e.Join(&c.Member, c, f)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = joined
	for _, b := range append(joined.Replay, c.held...) {
		c.read(b)
	}
	c.held, c.open = nil, true
	return joined
}

// enter is Enter and join in one.
func (c *client) enter(h *Hub, channel string, since Since, f Form) (Joined, error) {
	e, err := h.Enter(context.Background(), channel, since)
	if err != nil {
		return Joined{}, err
	}
	return c.join(e, f), nil
}

func (c *client) seen() []said {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]said(nil), c.got...)
}

// last is the position up to which a resumable client has everything.
func (c *client) last() Position {
	if got := c.seen(); len(got) > 0 {
		return got[len(got)-1].at
	}
	return c.joined.Position
}
