package hub

import (
	"context"
	"errors"
	"fmt"
)

// fakeBroker is a broker across a network as a script: streams that are trimmed and flushed, and for this task a wire that lags,
// loses and reorders, whose gaps it fills from the stream as far as it can.
type fakeBroker struct {
	streams map[string]*fakeStream
	epochs  int
	cut     bool   // this task does not reach the broker
	during  func() // called amid History
	page    int    // History returns so many at most; 0 is all
	asked   int    // History calls
	truth   map[Position]string
}

type fakeStream struct {
	broker  *fakeBroker
	epoch   string
	log     []string // by offset - 1, never cut
	trimmed uint64   // offsets up to this one are gone
	sub     *fakeSub // nil while this task is not subscribed
}

// fakeSub is one subscription of this task.
type fakeSub struct {
	stream *fakeStream
	sink   Sink
	at     Position // where Receive has got to
	wire   []Message
	taken  []Position // all that Receive took, in order
}

var errCut = errors.New("connection cut")

func newFakeBroker() *fakeBroker {
	return &fakeBroker{streams: make(map[string]*fakeStream), truth: make(map[Position]string)}
}

func (b *fakeBroker) stream(channel string) *fakeStream {
	s := b.streams[channel]
	if s == nil {
		s = &fakeStream{broker: b}
		b.streams[channel] = s
		s.flush()
	}
	return s
}

// flush forgets the stream, as a server that lost its memory.
func (s *fakeStream) flush() {
	s.broker.epochs++
	s.epoch, s.log, s.trimmed = fmt.Sprintf("e%d", s.broker.epochs), nil, 0
}

func (s *fakeStream) head() Position { return Position{s.epoch, uint64(len(s.log))} }

func (s *fakeStream) message(offset uint64) Message {
	return Message{Payload: []byte(s.log[offset-1]), Position: Position{s.epoch, offset}}
}

// append takes a message from anywhere; lost if this task is not to hear of it by the wire.
func (s *fakeStream) append(payload string, lost bool) Position {
	s.log = append(s.log, payload)
	s.broker.truth[s.head()] = payload
	if s.sub != nil && !s.broker.cut && !lost {
		s.sub.wire = append(s.sub.wire, s.message(s.head().Offset))
	}
	return s.head()
}

func (b *fakeBroker) Publish(channel string, payload []byte, _ string, done func(Position, error)) {
	if b.cut {
		done(Position{}, fmt.Errorf("%w: %w", ErrUnavailable, errCut))
		return
	}
	done(b.stream(channel).append(string(payload), false), nil)
}

func (b *fakeBroker) Subscribe(channel string, sink Sink) {
	s := b.stream(channel)
	s.sub = &fakeSub{stream: s, sink: sink}
	if b.cut {
		sink.Down(errCut)
	} else {
		s.sub.live(s.head())
	}
}

func (b *fakeBroker) Unsubscribe(channel string) { b.stream(channel).sub = nil }

func (b *fakeBroker) History(_ context.Context, channel string, after Position) (History, error) {
	b.asked++
	if b.during != nil {
		b.during()
	}
	if b.cut {
		return History{}, errCut
	}
	s := b.stream(channel)
	h := History{Head: s.head()}
	if after.Epoch != s.epoch || after.Offset < s.trimmed || after.Offset > s.head().Offset {
		return h, nil
	}
	h.Complete = true
	for o := after.Offset + 1; o <= s.head().Offset && (b.page == 0 || len(h.Messages) < b.page); o++ {
		h.Messages = append(h.Messages, s.message(o))
	}
	return h, nil
}

func (s *fakeSub) live(head Position) {
	s.at = head
	s.sink.Live(head)
}

func (s *fakeSub) receive(m Message) {
	if err := s.sink.Receive(m); err != nil {
		panic(err)
	}
	s.at = m.Position
	s.taken = append(s.taken, m.Position)
}

// fill receives what the stream has up to an offset, and reports whether it had everything.
func (s *fakeSub) fill(to uint64) bool {
	if s.at.Epoch != s.stream.epoch || s.at.Offset < s.stream.trimmed {
		return false
	}
	for s.at.Offset < to {
		s.receive(s.stream.message(s.at.Offset + 1))
	}
	return true
}

// arrive takes the i-th message off the wire.
func (s *fakeSub) arrive(i int) {
	m := s.wire[i]
	s.wire = append(s.wire[:i], s.wire[i+1:]...)
	if m.Position.Epoch != s.stream.epoch { // from before a flush
		return
	}
	if m.Position.Epoch == s.at.Epoch && m.Position.Offset <= s.at.Offset {
		return
	}
	if !s.fill(m.Position.Offset - 1) {
		s.live(Position{m.Position.Epoch, m.Position.Offset - 1})
	}
	s.receive(m)
}

// interrupt cuts this task's connection.
func (b *fakeBroker) interrupt() {
	b.cut = true
	for _, s := range b.streams {
		if s.sub != nil {
			s.sub.wire = nil
			s.sub.sink.Down(errCut)
		}
	}
}

// heal mends it: each gap is filled if the stream has it.
func (b *fakeBroker) heal() {
	b.cut = false
	for _, s := range b.streams {
		if s.sub == nil {
			continue
		}
		if s.sub.at.Epoch != "" {
			s.sub.fill(s.head().Offset)
		}
		s.sub.live(s.head())
	}
}
