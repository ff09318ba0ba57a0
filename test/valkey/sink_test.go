//go:build integration

package valkey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"fairlead/internal/hub"
	"fairlead/internal/valkey"
)

// sink notes what a broker tells, and whether it may be told so.
type sink struct {
	t testing.TB

	mu       sync.Mutex
	at       hub.Position
	lives    []hub.Position
	breaks   int // Live with another head than what was reached
	downs    []error
	isLive   bool
	messages []string
	faults   []string
	inside   bool
}

func (s *sink) enter(what string) {
	if s.inside {
		s.faults = append(s.faults, what+" while another call is under way")
	}
	s.inside = true
}

func (s *sink) Live(head hub.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter("Live")
	defer func() { s.inside = false }()
	if !hub.ValidEpoch(head.Epoch) {
		s.faults = append(s.faults, fmt.Sprintf("Live(%q)", head))
	}
	if len(s.lives) > 0 && head != s.at {
		s.breaks++
	}
	s.lives = append(s.lives, head)
	s.at, s.isLive = head, true
}

func (s *sink) Receive(m hub.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter("Receive")
	defer func() { s.inside = false }()
	if len(s.lives) == 0 {
		s.faults = append(s.faults, "Receive before Live")
	}
	if m.Position.Epoch != s.at.Epoch || m.Position.Offset != s.at.Offset+1 {
		s.faults = append(s.faults, fmt.Sprintf("received %v after %v", m.Position, s.at))
	}
	s.at = m.Position
	s.messages = append(s.messages, string(m.Payload))
	return nil
}

func (s *sink) Down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter("Down")
	defer func() { s.inside = false }()
	if !errors.Is(err, hub.ErrUnavailable) {
		s.faults = append(s.faults, fmt.Sprintf("Down(%v) does not wrap ErrUnavailable", err))
	}
	s.downs = append(s.downs, err)
	s.isLive = false
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}

func (s *sink) live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isLive
}

func (s *sink) position() hub.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.messages...)
}

func (s *sink) broken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.breaks
}

func (s *sink) lastDown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.downs) == 0 {
		return nil
	}
	return s.downs[len(s.downs)-1]
}

// quick are options for servers on the same machine.
func quick(hosts ...string) valkey.Options {
	return valkey.Options{Hosts: hosts, Check: 100 * time.Millisecond, MaxBackoff: 100 * time.Millisecond}
}

func open(t testing.TB, o valkey.Options) *valkey.Broker {
	t.Helper()
	b, err := valkey.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// follow subscribes and waits until it has taken effect.
func follow(t testing.TB, b *valkey.Broker, channel string) *sink {
	t.Helper()
	s := subscribe(t, b, channel)
	eventually(t, channel+" is live", s.live)
	return s
}

func subscribe(t testing.TB, b *valkey.Broker, channel string) *sink {
	s := &sink{t: t}
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, fault := range s.faults {
			t.Errorf("the sink of %s: %s", channel, fault)
		}
	})
	b.Subscribe(channel, s)
	return s
}

type answer struct {
	at  hub.Position
	err error
}

// publish publishes and waits for the answer.
func publish(t testing.TB, b *valkey.Broker, channel, text, key string) (hub.Position, error) {
	t.Helper()
	done := make(chan answer, 1)
	b.Publish(channel, []byte(text), key, func(at hub.Position, err error) { done <- answer{at, err} })
	select {
	case a := <-done:
		if a.err != nil && !errors.Is(a.err, hub.ErrUnavailable) {
			t.Errorf("publishing: %v does not wrap ErrUnavailable", a.err)
		}
		return a.at, a.err
	case <-time.After(20 * time.Second):
		t.Fatal("publishing: no answer within 20 s")
		return hub.Position{}, errTest
	}
}

// mustPublish publishes what the broker has to take.
func mustPublish(t testing.TB, b *valkey.Broker, channel, text string) hub.Position {
	t.Helper()
	at, err := publish(t, b, channel, text, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// publishes waits until the broker takes a message.
func publishes(t testing.TB, b *valkey.Broker, channel, text string) (at hub.Position) {
	t.Helper()
	eventually(t, "the broker takes a message", func() bool {
		var err error
		at, err = publish(t, b, channel, text, "")
		return err == nil
	})
	return at
}

func past(t testing.TB, b *valkey.Broker, channel string, after hub.Position) hub.History {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h, err := b.History(ctx, channel, after)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
