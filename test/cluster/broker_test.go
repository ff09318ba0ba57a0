//go:build integration

package cluster

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
	"fairlead/test/redistest"
)

// everyWay starts what most tests of the broker have: resumable and plain clients on both tasks, publishers over both ways through both.
func everyWay(cr *crowd) {
	cr.t.Helper()
	tasks := cr.tasks()
	cr.join(40, func(i int, c *client) { c.home, c.plain = tasks[i%2], i%8 > 5 })
	cr.backends(3, 5*time.Millisecond, nil)
	cr.senders(tasks, 5*time.Millisecond)
	cr.accepted(50)
}

func TestABrokerThatRestartsWithItsDataLosesNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{redis: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	cr := c.crowd("lobby")
	everyWay(cr)
	for range 2 {
		c.redis.Kill()
		cr.refused(6)
		if err := c.redis.Run(); err != nil {
			t.Fatal(err)
		}
		cr.accepted(100)
	}
	cr.settle()
	cr.stayed()
}

func TestBrokerConnectionsCutInTheMiddleOfBurstsLoseNothing(t *testing.T) {
	t.Parallel()
	c, proxy := start(t, setup{proxied: true})
	cr := c.crowd("lobby")
	everyWay(cr)
	const cuts = 15
	cr.eventually(func() error {
		proxy.CutAfter(500 + rand.Int64N(20_000))
		if n := proxy.Cuts(); n < cuts {
			return fmt.Errorf("%d of %d cuts", n, cuts)
		}
		return nil
	})
	cr.accepted(50)
	cr.settle()
	cr.stayed()
}

func TestAFlushedBrokerIsNeverTakenForContinuity(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	cr := c.crowd("lobby")
	cr.flaky = true // plain clients are not told
	tasks := c.tasks()
	cr.join(40, func(i int, c *client) { c.home, c.plain = tasks[i%2], i%8 > 5 })
	// A key, too, is forgotten with the rest: sent again, its message may come twice, as the guarantees say.
	once := func(p *publisher) { p.once = true }
	// No publishers over WebSockets either: they are plain clients, and may wait in vain for the message that a break took from them.
	cr.backends(5, 5*time.Millisecond, once)
	for flushes := 1; flushes <= 3; flushes++ {
		cr.accepted(100)
		if flushes == 3 {
			cr.quiet() // with no message to show the break
		}
		c.do("FLUSHALL")
		cr.eventually(func() error {
			for _, c := range cr.clients {
				c.mu.Lock()
				told := c.plain || c.live && c.gaps == flushes && len(c.runs) == flushes+1
				report := fmt.Errorf("%s: %d gaps after %d flushes, closes %v, %q", c.name, c.gaps, flushes, c.closes, c.errors)
				c.mu.Unlock()
				if !told {
					return report
				}
			}
			return nil
		})
	}
	cr.settle()
	for _, c := range cr.clients {
		// A task that has not noticed yet lets a client go on in the epoch of the lost time, and closes it in its turn.
		switch n := c.closes[1013]; {
		case c.plain && ends(c) != 0:
			t.Errorf("%s is a plain one and was closed: %v", c.name, c.closes)
		case !c.plain && (c.gaps != 3 || n != 3+c.resume || ends(c) != n):
			t.Errorf("%s was closed %v and cut %d times, told of %d gaps and recovered %d times", c.name, c.closes, c.cuts, c.gaps, c.resume)
		case !c.plain && c.unhint != 0:
			t.Errorf("%s was not told when to be back", c.name)
		}
		epochs := make(map[string]bool)
		for _, r := range c.runs {
			epochs[r.from.epoch] = true
		}
		if len(epochs) != len(c.runs) {
			t.Errorf("%s: %d epochs in %d runs", c.name, len(epochs), len(c.runs))
		}
	}
}

func TestABrokerThatLostItsDataInARestartIsNeverTakenForContinuity(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	cr := c.crowd("lobby")
	cr.join(20, nil)
	cr.backends(3, 5*time.Millisecond, func(p *publisher) { p.once = true })
	cr.accepted(100)
	c.redis.Kill()
	cr.refused(3)
	if err := c.redis.Run(); err != nil {
		t.Fatal(err)
	}
	cr.accepted(100)
	cr.settle()
	if n, back := cr.total(gaps), cr.total(resumes); n != 20 || back != 0 {
		t.Errorf("%d gaps and %d recoveries, want each client to be told of one gap", n, back)
	}
}

func TestABrokerThatStopsAndGoesOnLosesNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	cr := c.crowd("lobby")
	everyWay(cr)
	if err := c.redis.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cr.refused(5)
	if err := c.redis.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	cr.accepted(100)
	cr.settle()
	cr.stayed()
}

// A broker that answers, but takes nothing.
func TestABrokerThatRefusesToWriteIsSaidToBeUnavailable(t *testing.T) {
	dead, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dead.Kill()
	host, port, _ := strings.Cut(dead.Addr, ":")
	for name, how := range map[string]struct{ refuse, take []string }{
		"out of memory": {[]string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}},
		// A replica of a server that is not there keeps what it has.
		"read-only": {[]string{"REPLICAOF", host, port}, []string{"REPLICAOF", "NO", "ONE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := start(t, setup{redis: []string{"--maxmemory-policy", "noeviction"}})
			cr := c.crowd("lobby")
			everyWay(cr)
			c.do(how.refuse...)
			cr.refused(10)
			c.do(how.take...)
			cr.accepted(100)
			cr.settle()
			cr.stayed()
		})
	}
}

func TestTasksThatStartBeforeTheirBrokerServeWhatTheyCan(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{tasks: 1})
	c.redis.Kill()
	late := c.task()
	c.leave(c.tasks()[0])
	cr := c.crowd("lobby")
	// A plain client is let in, and told of each message that it is not sent on.
	cr.join(2, func(_ int, c *client) { c.plain = true })
	cr.senders([]*fairleadtest.Server{late}, time.Millisecond)
	cr.backends(1, time.Millisecond, nil)
	cr.refused(5)
	cr.quiet()
	// A resumable one could be promised nothing, and is refused with a reason.
	_, resp, err := dialers[0].Dial(late.WebSocket("?since=now"), nil)
	if err == nil || resp == nil || resp.StatusCode != 503 {
		t.Fatalf("a resumable client was answered %v, %v", resp, err)
	}
	reason := make([]byte, 1024)
	n, _ := resp.Body.Read(reason)
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || seconds < 1 || !strings.Contains(string(reason[:n]), "broker") {
		t.Errorf("Retry-After %q, %q", resp.Header.Get("Retry-After"), reason[:n])
	}
	cr.add(4, nil)
	if err := c.redis.Run(); err != nil {
		t.Fatal(err)
	}
	cr.present()
	cr.backends(2, time.Millisecond, nil)
	cr.senders([]*fairleadtest.Server{late}, time.Millisecond)
	cr.accepted(50)
	cr.settle()
	cr.stayed()
}
