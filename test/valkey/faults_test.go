//go:build integration

package valkey

import (
	"context"
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

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	expect := func(t *testing.T, err error, words ...string) {
		t.Helper()
		if err == nil || !errors.Is(err, hub.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q shows the password", err)
		}
	}
	failed := func(b *valkey.Broker, cause valkey.Cause) uint64 { return b.Stats().Failed[cause] }

	t.Run("nobody answers", func(t *testing.T) {
		b := open(t, quick(fmt.Sprintf("127.0.0.1:%d", freePort(t))))
		in := subscribe(t, b, "lobby")
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "connection refused")
		eventually(t, "the sink hears", func() bool { return in.lastDown() != nil })
		expect(t, in.lastDown(), "connection refused")
		late := subscribe(t, b, "later")
		eventually(t, "a later sink hears", func() bool { return late.lastDown() != nil })
		if failed(b, valkey.CauseRefused) == 0 {
			t.Errorf("%+v", b.Stats())
		}
	})
	t.Run("a replica", func(t *testing.T) {
		primary := start(t)
		s := start(t)
		b := open(t, quick(s.addr))
		in := follow(t, b, "lobby")
		host, port, _ := strings.Cut(primary.addr, ":")
		s.do("REPLICAOF", host, port)
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "read-only replica")
		eventually(t, "the sink hears", func() bool { return !in.live() })
		_, err = publish(t, b, "lobby", "x", "")
		expect(t, err, "read-only replica")
		s.do("REPLICAOF", "NO", "ONE")
		at := publishes(t, b, "lobby", "promoted")
		eventually(t, "and delivers again", func() bool { return in.live() && in.position() == at })
		if failed(b, valkey.CauseReadonly) < 2 {
			t.Errorf("%+v", b.Stats())
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		s := start(t)
		b := open(t, quick(s.addr))
		in := follow(t, b, "lobby")
		mustPublish(t, b, "lobby", "1")
		s.do("CONFIG", "SET", "maxmemory", "1")
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "out of memory")
		fresh := subscribe(t, b, "fresh")
		eventually(t, "a channel that cannot be begun hears", func() bool { return fresh.lastDown() != nil })
		if !in.live() {
			t.Error("the other channel was taken down")
		}
		s.do("CONFIG", "SET", "maxmemory", "0")
		at := publishes(t, b, "lobby", "2")
		if at.Offset != 2 {
			t.Errorf("the refused message left a trace: %v follows offset 1", at)
		}
		eventually(t, "both work", func() bool { return fresh.live() && in.count() == 2 })
		if failed(b, valkey.CauseMemory) != 1 {
			t.Errorf("%+v", b.Stats())
		}
	})
	t.Run("no password", func(t *testing.T) {
		s := start(t, "--requirepass", "s3cret")
		b := open(t, quick(s.addr))
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "wants a user and password")
	})
	t.Run("a wrong password", func(t *testing.T) {
		s := start(t, "--requirepass", "right")
		o := quick(s.addr)
		o.Password = "s3cret"
		b := open(t, o)
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "does not accept this user and password")
	})
	t.Run("no permission for the channel", func(t *testing.T) {
		s := start(t)
		s.do("ACL", "SETUSER", "app", "on", ">s3cret", "~fairlead:*", "+@all", "resetchannels")
		o := quick(s.addr)
		o.User, o.Password = "app", "s3cret"
		b := open(t, o)
		in := subscribe(t, b, "lobby")
		eventually(t, "the sink hears", func() bool { return in.lastDown() != nil })
		expect(t, in.lastDown(), "lacks a permission")
		s.do("ACL", "SETUSER", "app", "&fairlead:*")
		eventually(t, "it works once the permission is there", in.live)
	})
	t.Run("stopped, hence slow", func(t *testing.T) {
		s := start(t)
		o := quick(s.addr)
		o.Timeout = 300 * time.Millisecond
		b := open(t, o)
		in := follow(t, b, "lobby")
		s.signal(syscall.SIGSTOP)
		began := time.Now()
		_, err := publish(t, b, "lobby", "x", "")
		expect(t, err, "no answer in time")
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := b.History(ctx, "lobby", in.position()); !errors.Is(err, hub.ErrUnavailable) {
			t.Errorf("history: %v", err)
		}
		eventually(t, "the sink hears", func() bool { return !in.live() })
		s.signal(syscall.SIGCONT)
		at := publishes(t, b, "lobby", "awake")
		eventually(t, "and delivers again, all there is", func() bool { return in.live() && in.position() == at })
		if in.broken() != 0 {
			t.Error("continuity was broken")
		}
	})
}

func TestAFullQueueMakesPublishWaitAndThenFail(t *testing.T) {
	s := start(t)
	o := quick(s.addr)
	o.Timeout = 300 * time.Millisecond
	o.MaxWaiting = 64 << 10
	b := open(t, o)
	follow(t, b, "lobby")
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	var answered sync.WaitGroup
	text := []byte(strings.Repeat("x", 1024))
	for range 200 { // three times what may wait
		answered.Add(1)
		began := time.Now()
		b.Publish("lobby", text, "", func(_ hub.Position, err error) {
			if !errors.Is(err, hub.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			answered.Done()
		})
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Publish waited %v", took)
		}
	}
	answered.Wait()
}

func TestAServerThatForgetsItsScriptsIsTaughtAgain(t *testing.T) {
	s := start(t)
	b := open(t, quick(s.addr))
	in := follow(t, b, "lobby")
	var answered sync.WaitGroup
	const n = 3000
	for i := range n {
		if i%500 == 0 {
			s.do("SCRIPT", "FLUSH")
		}
		answered.Add(1)
		b.Publish("lobby", []byte(fmt.Sprint(i)), "", func(_ hub.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			answered.Done()
		})
	}
	answered.Wait()
	eventually(t, "all came", func() bool { return in.count() == n })
	for i, text := range in.got() {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
	s.do("SCRIPT", "FLUSH")
	follow(t, b, "another")
	s.do("SCRIPT", "FLUSH")
	if h := past(t, b, "lobby", hub.Position{Epoch: in.position().Epoch, Offset: n - 1}); !h.Complete || len(h.Messages) != 1 {
		t.Errorf("history: %+v", h)
	}
}

func TestClosingAnswersEverything(t *testing.T) {
	s := start(t)
	b, err := valkey.New(quick(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	follow(t, b, "lobby")
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	var answers atomic.Int32
	for range 1000 {
		b.Publish("lobby", []byte("x"), "", func(_ hub.Position, err error) {
			if err == nil {
				t.Error("a stopped server took a message")
			}
			answers.Add(1)
		})
	}
	began := time.Now()
	b.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	if n := answers.Load(); n != 1000 {
		t.Errorf("%d of 1000 were answered", n)
	}
	if _, err := publish(t, b, "lobby", "x", ""); err == nil {
		t.Error("a closed broker took a message")
	}
	if _, err := b.History(context.Background(), "lobby", hub.Position{}); !errors.Is(err, hub.ErrUnavailable) {
		t.Errorf("history of a closed broker: %v", err)
	}
}
