package hub

import "sync"

// Memory is the embedded broker, for a single task: it numbers messages and hands them straight to the hub, in the goroutine
// that publishes. A message to a channel without subscribers is taken and gone, since nobody could ever ask for it. The zero value
// is ready to use. It serves one hub.
type Memory struct {
	// mu guards the following. One lock and not shards: it is held for a look-up, and the deliveries that follow cost a
	// thousand times as much.
	mu      sync.RWMutex
	streams map[string]*stream // by channel; only channels that are subscribed to
}

// stream is one subscription to one channel.
type stream struct {
	sink Sink

	// mu guards the following, and is held across Sink.Receive: that makes the order of numbers the order of arrival. While
	// Receive waits for room the channel's other publishers wait here.
	mu  sync.Mutex
	seq uint64 // of the last message taken
}

// Publish implements Broker. It calls done before it returns. The error is nil or ErrClosed: memory is always available.
func (b *Memory) Publish(channel string, payload []byte, done func(error)) {
	b.mu.RLock()
	s := b.streams[channel]
	b.mu.RUnlock()
	if s == nil {
		done(nil)
		return
	}
	done(s.publish(payload))
}

func (s *stream) publish(payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.sink.Receive(Message{Payload: payload, Seq: s.seq + 1})
	if err == nil {
		s.seq++
	}
	return err
}

// Subscribe implements Broker.
func (b *Memory) Subscribe(channel string, s Sink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == nil {
		b.streams = make(map[string]*stream)
	}
	b.streams[channel] = &stream{sink: s}
}

// Unsubscribe implements Broker. It does not wait for a Publish that already found the stream; the old sink ignores its message.
func (b *Memory) Unsubscribe(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, channel)
}
