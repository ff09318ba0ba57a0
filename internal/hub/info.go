package hub

import (
	"context"
	"fmt"
	"time"
)

// Info is what the hub knows of one channel.
type Info struct {
	Subscribers int           // in this task
	Position    Position      // of the last message; zero if the channel is not known, or not yet
	Messages    int           // in this task's window
	Bytes       int           // their payload and 64 for each
	Oldest      time.Duration // how long ago the oldest message of the window arrived; 0 if there is none
}

// Info tells of a channel. If nobody here is in it, the broker is asked for its head, which may block; the error wraps
// ErrUnavailable or that of ctx, and the rest of the Info is good all the same.
func (h *Hub) Info(ctx context.Context, channel string) (Info, error) {
	var i Info
	known := false
	h.mu.Lock()
	c := h.channels[channel]
	h.mu.Unlock()
	if c != nil {
		i, known = c.info()
	}
	if known {
		return i, nil
	}
	got, err := h.broker.History(ctx, channel, Position{})
	if err != nil {
		if ctx.Err() == nil {
			err = unavailable(err)
		}
		return i, fmt.Errorf("asking for the last position of channel %s: %w", channel, err)
	}
	i.Position = got.Head
	return i, nil
}

// info reports also whether the position is up to date.
func (c *channel) info() (i Info, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.Position = c.head
	i.Subscribers = len(c.members)
	if w := c.work; w != nil {
		i.Subscribers += len(w.joining) - len(w.leaving)
		for _, j := range w.late {
			if j.m.where == late {
				i.Subscribers++
			}
		}
	}
	if p := c.past; p != nil {
		i.Subscribers += len(p.ahead)
		i.Messages, i.Bytes = p.window.count, p.window.bytes
		if p.window.count > 0 {
			b := p.window.blocks[0]
			i.Oldest = time.Duration(c.hub.store.clock.Load() - b.entries[c.first()-b.first].at)
		}
	}
	return i, c.state == live && !c.dead
}
