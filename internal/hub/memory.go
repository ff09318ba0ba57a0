package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
)

// Memory is the embedded broker, for a single task: it gives messages their positions and hands them straight to the hub, in the
// goroutine that publishes. It keeps no messages: the hub's window is all the history there is, so it goes with Options.Linger.
// Each subscription is an epoch of its own: the hub unsubscribes when it forgets a channel, and what comes later is no continuation
// of what was before. The zero value is ready to use. It serves one hub.
type Memory struct {
	// NewEpoch makes the epochs. Default: 8 random bytes of 0-9 a-z, so that a client that returns after its channel was
	// forgotten is taken for one of the new life once in 10^12 times.
	NewEpoch func() string

	// mu guards the following. One lock and not shards: it is held for a look-up, and the deliveries that follow cost a
	// thousand times as much.
	mu      sync.RWMutex
	streams map[string]*stream // by channel; only channels that are subscribed to
}

// stream is one subscription to one channel.
type stream struct {
	sink Sink

	// mu guards the following, and is held across Sink.Receive: that makes the order of positions the order of arrival. While
	// Receive waits for room the channel's other publishers wait here.
	mu   sync.Mutex
	head Position // of the last message taken
}

// Publish implements Broker. It calls done before it returns. The error is nil or ErrClosed: memory is always available. A message
// to a channel that nobody subscribed to is the only one of an epoch of its own, which ended with it.
func (b *Memory) Publish(channel string, payload []byte, key string, done func(Position, error)) {
	p, err := b.publish(channel, payload, key)
	if errors.Is(err, errGone) {
		p, err = Position{b.epoch(), 1}, nil
	}
	done(p, err)
}

// publish is Publish; but the error is errGone if nobody subscribed to the channel, or not any more.
func (b *Memory) publish(channel string, payload []byte, key string) (Position, error) {
	b.mu.RLock()
	s := b.streams[channel]
	b.mu.RUnlock()
	if s == nil {
		return Position{}, errGone
	}
	return s.publish(payload, key)
}

func (s *stream) publish(payload []byte, key string) (Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := Position{s.head.Epoch, s.head.Offset + 1}
	m := Message{Payload: payload, Position: next}
	var err error
	if c, ok := s.sink.(*channel); ok {
		// Keys are kept beside the messages, so that they are forgotten with them.
		if key != "" {
			if p, found := c.published(key); found {
				return p, nil
			}
		}
		err = c.receive(m, key)
	} else {
		err = s.sink.Receive(m)
	}
	if err != nil {
		return Position{}, err
	}
	s.head = next
	return next, nil
}

// Subscribe implements Broker. It calls Live before it returns.
func (b *Memory) Subscribe(channel string, s Sink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == nil {
		b.streams = make(map[string]*stream)
	}
	head := Position{Epoch: b.epoch()}
	s.Live(head) // before a publisher can find the stream
	b.streams[channel] = &stream{sink: s, head: head}
}

// Unsubscribe implements Broker. It does not wait for a Publish that already found the stream; the old sink ignores its message.
func (b *Memory) Unsubscribe(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, channel)
}

// History implements Broker: only the head is known, so only who is there is complete.
func (b *Memory) History(_ context.Context, channel string, after Position) (History, error) {
	b.mu.RLock()
	s := b.streams[channel]
	b.mu.RUnlock()
	if s == nil {
		return History{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return History{Head: s.head, Complete: after == s.head}, nil
}

func (b *Memory) epoch() string {
	if b.NewEpoch != nil {
		return b.NewEpoch()
	}
	var e [8]byte
	_, _ = rand.Read(e[:]) // never fails: it ends the program rather
	for i := range e {
		// 256 is no multiple of 36; that some characters are a little more likely than others does no harm.
		e[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[e[i]%36]
	}
	return string(e[:])
}
