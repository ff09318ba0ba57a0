package hub

import (
	"context"
	"errors"
	"fmt"
)

// Since says from where on a subscriber wants a channel's messages.
type Since struct {
	Mode     SinceMode
	Position Position // the last one the subscriber has, for SincePosition
}

// SinceMode is a kind of Since.
type SinceMode uint8

const (
	// SincePlain is from now on, without positions: if continuity breaks the subscriber hears nothing of it.
	SincePlain SinceMode = iota
	// SinceNow is from now on, resumable.
	SinceNow
	// SincePosition is from after a position on, resumable.
	SincePosition
)

// Entry is a place held in a channel for a subscriber about to join. Enter does what may have to wait, before the subscriber's
// connection is accepted; Join does not wait. An Entry is for one goroutine. Either Join or Release must be called, or the channel
// is never removed; Release after Join does nothing.
type Entry struct {
	channel  *channel
	since    Since
	messages []Message // after since.Position, from the broker: what the window does not have
	asked    bool      // the broker knows since.Position, or where messages end
	over     bool      // joined or released
}

// Joined is what Join found.
type Joined struct {
	// Position is where a resumable subscriber stands: with Recovered the one it resumes from, and every message after it follows,
	// by Replay and then by Deliver; otherwise that of the last message it will not be handed, and everything after it follows by
	// Deliver. It is zero for a plain subscriber.
	Position Position

	// Recovered says that continuity with Since.Position is proved. It is false for the other modes.
	Recovered bool

	// Replay is what the subscriber missed, in order, to be written before anything that Deliver gives: Deliver may be called
	// before Join returns. The batches are shared, and as a rule there is one for every 64 messages or 32 KiB.
	Replay []*Batch
}

// Enter prepares for Join: it waits until the subscription to the channel has taken effect, so that a subscriber hears its own first
// message, and gets what the window does not have from the broker. The name must be a ValidChannel.
//
// The error wraps that of ctx; or ErrUnavailable, if the broker is not reachable: not for a plain subscriber, who may wait in the
// channel; or ErrClosed. It is no error if the position cannot be resumed from: Joined.Recovered tells.
func (h *Hub) Enter(ctx context.Context, channel string, since Since) (*Entry, error) {
	h.mu.Lock()
	c := h.channel(channel)
	c.mu.Lock()
	c.pin()
	c.mu.Unlock()
	h.mu.Unlock()
	e := &Entry{channel: c, since: since}
	err := e.settle(ctx)
	if err == nil && since.Mode == SincePosition {
		err = e.reach(ctx)
	}
	if err != nil {
		e.Release()
		return nil, fmt.Errorf("entering channel %s: %w", c.name, err)
	}
	return e, nil
}

// settle waits until the broker said how things are.
func (e *Entry) settle(ctx context.Context) error {
	c := e.channel
	c.mu.Lock()
	for c.state == subscribing {
		p := c.somePast()
		if p.ready == nil {
			p.ready = make(chan struct{})
		}
		ready := p.ready
		c.mu.Unlock()
		select {
		case <-ready:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the subscription: %w", context.Cause(ctx))
		case <-c.hub.done:
			return ErrClosed
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if c.state == live || e.since.Mode == SincePlain {
		return nil
	}
	return unavailable(c.past.why)
}

// unavailable is err, wrapped in ErrUnavailable unless it is already.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// maxFruitless bounds how often the broker is asked again when what it says does not meet the window.
const maxFruitless = 3

// reach gets messages from the broker until they meet the window, or it is clear that they cannot.
func (e *Entry) reach(ctx context.Context) error {
	c := e.channel
	var turn chan struct{}
	defer func() {
		if turn != nil {
			<-turn
		}
	}()
	for fruitless := 0; fruitless <= maxFruitless; {
		c.mu.Lock()
		if e.settled() {
			c.mu.Unlock()
			return nil
		}
		if turn == nil {
			p := c.somePast()
			if p.fill == nil {
				p.fill = make(chan struct{}, 1)
			}
			turn = p.fill
			c.mu.Unlock()
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				turn = nil
				return fmt.Errorf("waiting for the channel's history: %w", context.Cause(ctx))
			}
			continue // who had its turn before may have got what is needed
		}
		c.mu.Unlock()
		after := e.reached()
		got, err := c.hub.broker.History(ctx, c.name, after)
		if err != nil {
			if ctx.Err() == nil {
				err = unavailable(err)
			}
			return fmt.Errorf("asking for the channel's history: %w", err)
		}
		if !got.Complete || !follows(after, got.Messages) {
			return nil // Join finds that it does not reach
		}
		e.asked = true
		e.messages = append(e.messages, got.Messages...)
		if len(got.Messages) == 0 {
			fruitless++
		}
	}
	return nil
}

// follows reports whether messages are a run after a position. A broker's word is not enough: what is claimed here is proof.
func follows(after Position, messages []Message) bool {
	for i := range messages {
		if messages[i].Position.Epoch != after.Epoch || messages[i].Position.Offset != after.Offset+1+uint64(i) {
			return false
		}
	}
	return true
}

// reached is the position up to which e needs nothing more.
func (e *Entry) reached() Position {
	p := e.since.Position
	p.Offset += uint64(len(e.messages))
	return p
}

// meets reports whether the subscriber's position, with the messages got from the broker, is in the window, at its end or, if the
// broker knows the position, ahead of it. channel.mu is held.
func (e *Entry) meets() bool {
	c := e.channel
	p := e.reached()
	return p.Epoch == c.head.Epoch && p.Offset+1 >= c.first() && (p.Offset <= c.head.Offset || e.asked)
}

// settled reports whether there is nothing more to ask. Messages that fit go into the window, for the others that return.
// channel.mu is held.
func (e *Entry) settled() bool {
	c := e.channel
	if !e.meets() {
		return e.since.Position.Epoch != c.head.Epoch
	}
	e.messages = c.backfill(e.messages)
	return true
}

// first is the offset of the oldest message in the window, or that of the next message if there is none. mu is held.
func (c *channel) first() uint64 {
	if c.past == nil {
		return c.head.Offset + 1
	}
	return c.past.window.first(c.head.Offset)
}

// backfill puts as many of the messages, which meet the window, in front of it as its bounds allow, and returns the rest, which
// meets it still. mu is held.
func (c *channel) backfill(messages []Message) (rest []Message) {
	s := &c.hub.store
	if !s.on() || len(messages) == 0 {
		return messages
	}
	first := c.first()
	end := len(messages)
	for end > 0 && messages[end-1].Position.Offset >= first {
		end--
	}
	w := &c.somePast().window
	defer c.prune()
	start, count, bytes, total := end, w.count, w.bytes, s.messages.Load()
	for start > 0 {
		need := cost(messages[start-1].Payload)
		count, bytes, total = count+1, bytes+need, total+int64(need+blockOverhead)
		if count > s.Messages || bytes > s.Bytes || total > s.maxMessages {
			break
		}
		start--
	}
	if start < end {
		// How old they are is not known. That they are kept here longer than Age does no harm; messages are not claimed to be
		// gone.
		at := s.clock.Load()
		w.prepend(messages[start:end], at, s.limit)
		c.account()
	}
	clear(messages[start:])
	return messages[:start]
}

// Join makes s a subscriber of the channel in form f, with m as its place there. Join panics if m is in a channel or has not quite
// left one, if f is not below MaxForms, and if e was used before.
//
// m and s belong to the hub until Leave or Lost, and further until a pass that had begun by then has ended. Join must not be called
// while another goroutine calls Join or Leave with the same m; but as soon as s is handed something, Leave may be called.
func (e *Entry) Join(m *Member, s Subscriber, f Form) Joined {
	if f >= MaxForms {
		panic("hub: Join with a form that is not below MaxForms")
	}
	if !m.free() {
		panic("hub: Join with a Member in use: it has not left its channel, or the pass under way when it left has not ended")
	}
	if e.over {
		panic("hub: Join with an Entry that was used before")
	}
	e.over = true
	c := e.channel
	m.in, m.to, m.form, m.resumable = c, s, f, e.since.Mode != SincePlain
	c.mu.Lock()
	c.pins--
	joined, r := e.place(m)
	c.mu.Unlock()
	c.hub.counters.members.Add(1)
	if r != nil {
		joined.Replay = r.batches()
	}
	return joined
}

// place puts m into the channel. channel.mu is held.
func (e *Entry) place(m *Member) (Joined, *replay) {
	c := e.channel
	if e.since.Mode == SincePlain {
		c.join(m)
		return Joined{}, nil
	}
	c.told = true
	if e.since.Mode == SinceNow {
		c.join(m)
		return Joined{Position: c.head}, nil
	}
	if !e.meets() {
		c.hub.counters.unrecovered.Add(1)
		c.join(m)
		return Joined{Position: c.head}, nil
	}
	c.hub.counters.recovered.Add(1)
	p := e.since.Position
	joined := Joined{Position: Position{c.head.Epoch, p.Offset}, Recovered: true}
	if p.Offset >= c.head.Offset {
		// Another task has served the client more than this one has received yet.
		if p.Offset > c.head.Offset {
			c.joinAhead(m, p.Offset)
		} else {
			c.join(m)
		}
		return joined, nil
	}
	c.join(m)
	return joined, c.replay(m.form, p.Offset, e.messages)
}

// Release gives the place up.
func (e *Entry) Release() {
	if e.over {
		return
	}
	e.over = true
	c := e.channel
	c.mu.Lock()
	c.pins--
	empty := c.quiet()
	c.mu.Unlock()
	if empty {
		c.hub.remove(c)
	}
}
