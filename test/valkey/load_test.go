//go:build integration

package valkey

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/hub"
	"fairlead/internal/valkey"
)

func TestAServerThatCrashesUnderLoadLosesNothingItAccepted(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	o := quick(s.addr)
	o.History = valkey.History{Messages: 1 << 20, Bytes: 1 << 30}
	a, b := open(t, o), open(t, o)
	in, other := follow(t, a, "lobby"), follow(t, b, "lobby")
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	var mu sync.Mutex
	accepted := make(map[string]hub.Position)
	for name, broker := range map[string]*valkey.Broker{"a": a, "b": b} {
		publishing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var answered sync.WaitGroup
				for j := range 20 {
					text := fmt.Sprint(name, i*20+j)
					answered.Add(1)
					broker.Publish("lobby", []byte(text), "", func(at hub.Position, err error) {
						if err == nil {
							mu.Lock()
							accepted[text] = at
							mu.Unlock()
						}
						answered.Done()
					})
				}
				answered.Wait()
			}
		})
	}
	for range 3 {
		n := in.count()
		eventually(t, "messages flow", func() bool { return in.count() > n+200 })
		s.kill()
		s.run()
	}
	n := in.count()
	eventually(t, "messages flow to the end", func() bool { return in.count() > n+200 })
	close(stop)
	publishing.Wait()
	head := past(t, a, "lobby", hub.Position{}).Head
	for name, sink := range map[string]*sink{"a": in, "b": other} {
		eventually(t, name+" is at the head", func() bool { return sink.position() == head })
		seen := make(map[string]int)
		for i, text := range sink.got() {
			seen[text]++
			if at, ok := accepted[text]; ok && at.Offset != uint64(i)+1 {
				t.Errorf("%s: %s was accepted at %v and came as message %d", name, text, at, i+1)
			}
		}
		for text := range accepted {
			if seen[text] != 1 {
				t.Errorf("%s: %s was accepted and came %d times", name, text, seen[text])
			}
		}
		if sink.broken() != 0 || uint64(sink.count()) != head.Offset {
			t.Errorf("%s: %d breaks, %d messages up to %v", name, sink.broken(), sink.count(), head)
		}
	}
}

func TestANetworkThatStallsIsNoticedAndLosesNothing(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	o := quick(p.addr())
	o.Timeout = 300 * time.Millisecond
	stalled, b := open(t, o), open(t, quick(s.addr))
	in := follow(t, stalled, "lobby")
	p.stall(true)
	for i := range 50 {
		mustPublish(t, b, "lobby", fmt.Sprint(i))
	}
	if _, err := publish(t, stalled, "lobby", "x", ""); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %v", err)
	}
	eventually(t, "the sink hears", func() bool { return !in.live() })
	p.stall(false)
	eventually(t, "the sink is live and has all", func() bool { return in.live() && in.position() == past(t, b, "lobby", hub.Position{}).Head })
	if in.count() < 50 || in.broken() != 0 {
		t.Errorf("%d messages, %d breaks", in.count(), in.broken())
	}
}

// slowSink takes its time, as a hub does whose channel is full.
type slowSink struct {
	sink
	hold chan struct{}
}

func (s *slowSink) Receive(m hub.Message) error {
	<-s.hold
	return s.sink.Receive(m)
}

func TestASlowChannelStopsTheReadingAndLosesNothing(t *testing.T) {
	s := start(t)
	o := quick(s.addr)
	o.MaxInbox = 64 << 10
	o.History = valkey.History{Messages: 1 << 20, Bytes: 1 << 30}
	reader, writer := open(t, o), open(t, o)
	in := &slowSink{sink: sink{t: t}, hold: make(chan struct{})}
	reader.Subscribe("lobby", in)
	eventually(t, "the channel is live", in.live)
	const n = 2000
	var answered sync.WaitGroup
	text := strings.Repeat("x", 1000)
	for range n {
		answered.Add(1)
		writer.Publish("lobby", []byte(text), "", func(_ hub.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			answered.Done()
		})
	}
	answered.Wait()
	if in.count() != 0 {
		t.Error("something was delivered to a channel that is full")
	}
	close(in.hold)
	eventually(t, "all came", func() bool { return in.count() == n })
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, fault := range in.faults {
		t.Error(fault)
	}
}

func TestClosingIsQuickWhateverTheServerDoes(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	p.stall(true)
	for name, addr := range map[string]string{"a stopped server": s.addr, "a stalled network": p.addr(), "nobody": fmt.Sprintf("127.0.0.1:%d", freePort(t))} {
		b, err := valkey.New(valkey.Options{Hosts: []string{addr}})
		if err != nil {
			t.Fatal(err)
		}
		b.Subscribe("lobby", &sink{t: t})
		var answers atomic.Int32
		go b.Publish("lobby", []byte("x"), "", func(_ hub.Position, err error) {
			if !errors.Is(err, hub.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			answers.Add(1)
		})
		began := time.Now()
		b.Close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: Close took %v", name, took)
		}
		eventually(t, "the message is answered", func() bool { return answers.Load() == 1 })
	}
}
