//go:build integration

package valkey

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/hub"
	"fairlead/internal/valkey"
)

func TestConnectionsCutInTheMiddleOfBurstsLoseAndRepeatNothing(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	o := quick(p.addr())
	o.History = valkey.History{Messages: 1 << 20, Bytes: 1 << 30}
	reader := open(t, o)
	o.Hosts = []string{s.addr} // not through the proxy: everything it publishes is taken
	writer := open(t, o)
	channels := []string{"a", "b", "c"}
	sinks := make(map[string]*sink)
	for _, c := range channels {
		sinks[c] = follow(t, reader, c)
	}
	stop := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() { p.cutAgainAndAgain(stop, func() int64 { return 2000 + rand.Int64N(60000) }) })
	each := 0
	var answered sync.WaitGroup
	for i := 0; i < 6000 || reader.Stats().Lost < 20; i++ {
		each++
		for _, c := range channels {
			answered.Add(1)
			writer.Publish(c, []byte(fmt.Sprint(i, strings.Repeat(" ", rand.IntN(200)))), "", func(_ hub.Position, err error) {
				if err != nil {
					t.Error(err)
				}
				answered.Done()
			})
		}
		if i%100 == 0 {
			answered.Wait()
		}
	}
	answered.Wait()
	close(stop)
	cutting.Wait()
	for _, c := range channels {
		eventually(t, c+" has all messages or was broken", func() bool {
			return sinks[c].count() >= each || sinks[c].broken() > 0
		})
		for i, text := range sinks[c].got() {
			var n int
			if fmt.Sscan(text, &n); n != i {
				t.Fatalf("%s: message %d is %q", c, i, text)
			}
		}
		if sinks[c].broken() != 0 || sinks[c].count() != each {
			t.Errorf("%s: %d breaks, %d messages", c, sinks[c].broken(), sinks[c].count())
		}
	}
	if stats := reader.Stats(); t.Failed() || stats.Lost < 20 || stats.Filled == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestAPublisherThatIsCutOffHearsOfEachMessageOnce(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	o := quick(p.addr())
	o.History = valkey.History{Messages: 1 << 20, Bytes: 1 << 30}
	writer := open(t, o)
	o.Hosts = []string{s.addr}
	reader := open(t, o)
	in := follow(t, reader, "lobby")
	stop := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() { p.cutAgainAndAgain(stop, func() int64 { return 200 + rand.Int64N(2000) }) })
	var answered sync.WaitGroup
	var mu sync.Mutex
	answers, accepted := make(map[int]int), make(map[int]bool)
	n := 0
	for i := 0; i < 5000 || writer.Stats().Lost < 5; i++ {
		n++
		answered.Add(1)
		writer.Publish("lobby", []byte(fmt.Sprint(i)), "", func(_ hub.Position, err error) {
			mu.Lock()
			defer mu.Unlock()
			answers[i]++
			accepted[i] = err == nil
			answered.Done()
		})
		if i%50 == 0 {
			answered.Wait()
		}
	}
	answered.Wait()
	close(stop)
	cutting.Wait()
	head := past(t, reader, "lobby", hub.Position{}).Head
	eventually(t, "the reader is at the head", func() bool { return in.position() == head })
	seen, last := make(map[int]int), -1
	for _, text := range in.got() {
		var i int
		fmt.Sscan(text, &i)
		if i <= last {
			t.Errorf("%d came after %d", i, last)
		}
		last = i
		seen[i]++
	}
	for i := range n {
		if answers[i] != 1 {
			t.Errorf("message %d was answered %d times", i, answers[i])
		}
		if accepted[i] && seen[i] != 1 {
			t.Errorf("message %d was accepted and came %d times", i, seen[i])
		}
	}
}

func TestAServerThatRestartsWithItsDataKeepsTheEpoch(t *testing.T) {
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := open(t, quick(s.addr)), open(t, quick(s.addr))
	in, other := follow(t, a, "lobby"), follow(t, b, "lobby")
	before := mustPublish(t, a, "lobby", "before")
	eventually(t, "the message came", func() bool { return in.count() == 1 && other.count() == 1 })
	s.kill()
	eventually(t, "the sinks hear that it is down", func() bool { return !in.live() && !other.live() })
	if _, err := publish(t, a, "lobby", "while it is down", ""); err == nil || !strings.Contains(err.Error(), s.addr) {
		t.Errorf("got %v, want an error that names the server", err)
	}
	s.run()
	after := publishes(t, a, "lobby", "after")
	if after.Epoch != before.Epoch || after.Offset != before.Offset+1 {
		t.Errorf("%v follows %v", after, before)
	}
	eventually(t, "all are live and have both", func() bool {
		return in.live() && other.live() && in.count() == 2 && other.count() == 2
	})
	if in.broken() != 0 || other.broken() != 0 {
		t.Error("continuity was broken without a reason")
	}
}

func TestAServerThatLostItsDataBreaksContinuity(t *testing.T) {
	for name, lose := range map[string]func(*server){
		"restarted without its data": func(s *server) { s.kill(); s.run() },
		"flushed":                    func(s *server) { s.do("FLUSHALL") },
		"one channel was deleted":    func(s *server) { s.do("DEL", "fairlead:{lobby}", "fairlead:{lobby}:s") },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			b := open(t, quick(s.addr))
			in := follow(t, b, "lobby")
			before := mustPublish(t, b, "lobby", "before")
			eventually(t, "the message came", func() bool { return in.count() == 1 })
			lose(s)
			// Nothing is published: the break is found by comparing heads.
			eventually(t, "continuity is broken", func() bool { return in.broken() == 1 && in.live() })
			if h := past(t, b, "lobby", before); h.Complete {
				t.Errorf("history after %v is complete", before)
			}
			after := publishes(t, b, "lobby", "after")
			if after.Epoch == before.Epoch {
				t.Errorf("the epoch of %v is still that of %v", after, before)
			}
			eventually(t, "the next message comes", func() bool { return in.count() == 2 && in.position() == after })
		})
	}
}

func TestAServerRestoredFromAnOldBackupBreaksContinuityForAll(t *testing.T) {
	s := start(t, "--appendonly", "no")
	b := open(t, quick(s.addr))
	in := follow(t, b, "lobby")
	mustPublish(t, b, "lobby", "1")
	mustPublish(t, b, "lobby", "2")
	s.do("SAVE")
	mustPublish(t, b, "lobby", "3")
	last := mustPublish(t, b, "lobby", "4")
	eventually(t, "all came", func() bool { return in.count() == 4 })
	s.kill()
	s.run() // with what SAVE wrote: offset 2
	eventually(t, "continuity is broken", func() bool { return in.broken() == 1 && in.live() })
	for offset := uint64(1); offset <= last.Offset; offset++ {
		if h := past(t, b, "lobby", hub.Position{Epoch: last.Epoch, Offset: offset}); h.Complete {
			t.Errorf("history after offset %d of the lost epoch is complete", offset)
		}
	}
}

func TestOffsetsGivenAgainWhileATaskWasAwayAreFound(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	away, b := open(t, quick(p.addr())), open(t, quick(s.addr))
	in := follow(t, away, "lobby")
	mustPublish(t, b, "lobby", "1")
	s.do("SAVE")
	mustPublish(t, b, "lobby", "2")
	eventually(t, "both came", func() bool { return in.count() == 2 })
	p.refuseAll(true)
	p.cutAll()
	eventually(t, "the task is cut off", func() bool { return !in.live() })
	s.kill()
	s.run()
	publishes(t, b, "lobby", "another 2") // the same offset as 2, and further than the task has got
	mustPublish(t, b, "lobby", "3")
	mustPublish(t, b, "lobby", "4")
	p.refuseAll(false)
	eventually(t, "continuity is broken", func() bool { return in.live() && in.broken() == 1 })
	if got := in.got(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("delivered %q as if nothing had happened", got)
	}
	at := mustPublish(t, b, "lobby", "after")
	eventually(t, "the next message comes", func() bool { return in.position() == at })
}

func TestALostLastMessageIsFoundWithoutAFollowingOne(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	reader, writer := open(t, quick(p.addr())), open(t, quick(s.addr))
	in := follow(t, reader, "lobby")
	mustPublish(t, writer, "lobby", "1")
	eventually(t, "a message comes", func() bool { return in.count() == 1 })
	p.deaf.Store(1)
	mustPublish(t, writer, "lobby", "2")
	eventually(t, "the lost message comes", func() bool { return in.count() == 2 })
	if p.deaf.Load() != 0 {
		t.Error("the proxy swallowed nothing")
	}
	stats := reader.Stats()
	if stats.Filled != 1 || in.broken() != 0 {
		t.Errorf("%d breaks, %+v", in.broken(), stats)
	}
}

func TestALostMessageIsFilledInBeforeTheNext(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	o := quick(p.addr())
	o.Check = time.Hour
	reader, writer := open(t, o), open(t, quick(s.addr))
	in := follow(t, reader, "lobby")
	p.deaf.Store(3)
	for i := range 4 {
		mustPublish(t, writer, "lobby", fmt.Sprint(i))
		eventually(t, "the proxy swallowed it", func() bool { return p.deaf.Load() <= int64(2-i) || i == 3 })
	}
	eventually(t, "all came", func() bool { return in.count() == 4 })
	if got := in.got(); !slices.Equal(got, []string{"0", "1", "2", "3"}) || in.broken() != 0 {
		t.Errorf("got %q, %d breaks", got, in.broken())
	}
}

func TestAGapThatWasTrimmedBreaksContinuityWithinTheEpoch(t *testing.T) {
	s := start(t)
	p := startProxy(t, s.addr)
	o := quick(p.addr())
	o.History.Messages = 10
	reader := open(t, o)
	o.Hosts = []string{s.addr}
	writer := open(t, o)
	in := follow(t, reader, "lobby")
	first := mustPublish(t, writer, "lobby", "first")
	eventually(t, "the first came", func() bool { return in.count() == 1 })
	p.refuseAll(true)
	p.cutAll()
	eventually(t, "the reader is cut off", func() bool { return !in.live() })
	var last hub.Position
	for range 500 { // XADD trims by whole nodes of a hundred
		last = mustPublish(t, writer, "lobby", "x")
	}
	p.refuseAll(false)
	eventually(t, "the reader is live again", func() bool { return in.live() })
	if in.broken() != 1 || in.position() != last || last.Epoch != first.Epoch || in.count() != 1 {
		t.Errorf("%d breaks, at %v of %v, %d messages", in.broken(), in.position(), last, in.count())
	}
}
