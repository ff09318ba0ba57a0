//go:build integration

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
	"fairlead/test/redistest"
)

func TestClientsThatStormFromTaskToTaskMissNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{args: roomy})
	cr := c.crowd("lobby")
	var storm atomic.Bool
	storm.Store(true)
	cr.join(300, func(_ int, c *client) {
		c.stay = func() int {
			if !storm.Load() {
				return -1
			}
			return 1 + rand.IntN(30)
		}
	})
	cr.backends(2, 20*time.Millisecond, nil)
	cr.senders(c.tasks(), 20*time.Millisecond)
	const enough = 3000
	cr.eventually(func() error {
		if n := cr.total(resumes); n < enough {
			return fmt.Errorf("%d of %d returns", n, enough)
		}
		return nil
	})
	storm.Store(false)
	cr.settle()
	if n := cr.total(gaps); n != 0 {
		t.Errorf("%d of %d returns were not recovered", n, cr.total(resumes)+n)
	}
}

func TestATaskKilledInTheMiddleOfABurstLosesNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{args: roomy})
	doomed, other := c.tasks()[0], c.tasks()[1]
	cr := c.crowd("lobby")
	cr.join(60, func(i int, c *client) { c.home = []*fairleadtest.Server{doomed, other}[i%2] })
	cr.senders([]*fairleadtest.Server{other}, time.Millisecond)
	cr.backends(3, time.Millisecond, nil) // those that had asked the task that dies ask the other, with the same key
	cr.accepted(300)
	c.crash(doomed)
	cr.accepted(300)
	cr.settle()
	if n := cr.total(gaps); n != 0 {
		t.Errorf("%d gaps", n)
	}
	if cut, back := cr.total(ends), cr.total(resumes); cut != 30 || back != 30 {
		t.Errorf("%d connections ended and %d resumed, want the 30 of the task that died", cut, back)
	}
}

func TestARollingDeployLosesNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{args: append([]string{"--drain", "2s"}, roomy...)})
	cr := c.crowd("lobby")
	cr.join(80, nil)
	cr.backends(3, 10*time.Millisecond, nil)
	for _, old := range c.tasks() {
		next := c.task()
		cr.senders([]*fairleadtest.Server{next}, 10*time.Millisecond)
		cr.accepted(50)
		c.leave(old) // a load balancer finds /ready at 503 a little later: then clients are refused, and try again
		old.Signal(syscall.SIGTERM)
		cr.accepted(50)
		if code := old.Wait(fairleadtest.WaitTime); code != 0 {
			t.Errorf("the old task exited with %d, want 0", code)
		}
	}
	cr.settle()
	away := cr.total(closed(1001))
	if away < 80 || cr.total(ends) != away || cr.total(gaps) != 0 {
		t.Errorf("%d closes with 1001, %d ends, %d gaps: want 80 or more closes, no other end, no gap", away, cr.total(ends), cr.total(gaps))
	}
	if n := cr.total(func(c *client) int { return c.unhint }); n != 0 {
		t.Errorf("%d of %d closes came without a hint when to be back", n, away)
	}
}

func TestATaskThatLagsBehindRepeatsNothing(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{tasks: 1})
	proxy, err := redistest.StartProxy(c.redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	ahead, behind := c.tasks()[0], c.task("--broker", "redis://"+proxy.Addr)
	cr := c.crowd("lobby")
	cr.join(4, func(i int, c *client) { c.home, c.plain = behind, i < 2 }) // the channel is there already
	const moved = 20
	cr.join(10, func(_ int, c *client) {
		first := true
		c.home = ahead
		c.stay = func() int {
			if first {
				first = false
				return moved
			}
			return -1
		}
	})
	proxy.Hold(true)
	cr.senders([]*fairleadtest.Server{ahead}, time.Millisecond)
	// They have heard more than the task that they come to.
	cr.eventually(func() error {
		if n := cr.total(resumes); n != 10 {
			return fmt.Errorf("%d of 10 clients have moved on", n)
		}
		return nil
	})
	proxy.Hold(false)
	cr.accepted(moved)
	cr.settle()
	cr.stayed()
}

func TestASlowConsumerIsClosedAndResumesWhole(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{args: append([]string{"--max-message-bytes", "8192", "--max-queue-bytes", "65536"}, roomy...)})
	cr := c.crowd("lobby")
	slow := c.tasks()[0]
	read := make(chan struct{})
	cr.join(1, func(_ int, c *client) { c.home, c.hold = slow, read })
	cr.join(4, nil)
	// As much as the sockets between hold, and the queue.
	cr.backends(2, time.Millisecond, func(p *publisher) { p.padding = 7000 })
	cr.eventually(func() error {
		if n := slow.Status().Counters.ClosedByCode["1013"]; n != 1 {
			return fmt.Errorf("%d connections were closed with 1013", n)
		}
		return nil
	})
	close(read)
	cr.settle()
	if n, back := cr.total(ends), cr.total(resumes); n != 1 || back != 1 || cr.total(gaps) != 0 {
		t.Errorf("%d connections ended, %d resumed, %d gaps: want one closed and resumed", n, back, cr.total(gaps))
	}
}

func TestHistoryTrimmedWhileItIsReplayedIsNeverHalfAReplay(t *testing.T) {
	t.Parallel()
	// XADD trims by whole nodes of a hundred messages, so that the window is 100 to 200 of them.
	c, _ := start(t, setup{args: []string{"--history-messages", "100"}})
	cr := c.crowd("lobby")
	cr.join(2, nil) // who stay see everything
	// Each of the others is away for a number of messages about as long as the window.
	cr.join(30, func(_ int, c *client) {
		c.stay = func() int { return 1 + rand.IntN(100) }
		c.away = func(ctx context.Context) { cr.missed(ctx, rand.IntN(400)) }
	})
	cr.backends(4, 100*time.Microsecond, nil)
	cr.senders(c.tasks(), 100*time.Microsecond)
	const each = 100
	cr.eventually(func() error {
		if whole, none := cr.total(resumes), cr.total(gaps); whole < each || none < each {
			return fmt.Errorf("%d returns were recovered and %d were not, %d of each are wanted", whole, none, each)
		}
		return nil
	})
	cr.settle()
}
