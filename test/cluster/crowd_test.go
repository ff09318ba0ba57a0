//go:build integration

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

// crowd is the clients of one channel, and what they and its publishers were told.
type crowd struct {
	*cluster
	channel string
	ledger  *ledger
	clients []*client
	// flaky says that plain clients, too, may lose something.
	flaky bool

	publishing []context.CancelFunc
	publishers sync.WaitGroup
	sent       int         // publishers made, for their names
	busy       atomic.Bool // there are publishers at work
}

func (c *cluster) crowd(channel string) *crowd {
	return &crowd{cluster: c, channel: channel, ledger: newLedger()}
}

// join adds n clients and waits until they are there. with may be nil.
func (cr *crowd) join(n int, with func(i int, c *client)) {
	cr.t.Helper()
	cr.add(n, with)
	cr.present()
}

// add is join without the wait.
func (cr *crowd) add(n int, with func(i int, c *client)) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range n {
		c := &client{crowd: cr, name: fmt.Sprintf("client %d", len(cr.clients)), closes: make(map[int]int)}
		if with != nil {
			with(i, c)
		}
		cr.clients = append(cr.clients, c)
		running.Go(func() { c.run(ctx) })
	}
	cr.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// present waits until every client is connected.
func (cr *crowd) present() {
	cr.t.Helper()
	cr.eventually(func() error {
		for _, c := range cr.clients {
			c.mu.Lock()
			live, faults := c.live, slices.Clone(c.errors)
			c.mu.Unlock()
			if !live {
				return fmt.Errorf("%s is not connected; %q", c.name, faults)
			}
		}
		return nil
	})
}

// total adds up a figure of every client.
func (cr *crowd) total(figure func(c *client) int) int {
	sum := 0
	for _, c := range cr.clients {
		c.mu.Lock()
		sum += figure(c)
		c.mu.Unlock()
	}
	return sum
}

func gaps(c *client) int    { return c.gaps }
func resumes(c *client) int { return c.resume }

// ends are the connections that something else than the client ended.
func ends(c *client) int {
	n := c.cuts
	for _, m := range c.closes {
		n += m
	}
	return n
}

func closed(code int) func(c *client) int { return func(c *client) int { return c.closes[code] } }

// stayed fails the test if a connection ended, or anybody missed anything.
func (cr *crowd) stayed() {
	cr.t.Helper()
	if n, g := cr.total(ends), cr.total(gaps); n != 0 || g != 0 {
		cr.t.Errorf("%d connections ended and %d gaps were told of, want none", n, g)
	}
}

// settle ends the publishing, sends a last message, waits until every client is there, and checks what each was handed.
func (cr *crowd) settle() {
	cr.t.Helper()
	cr.quiet()
	const last = "the last message"
	var at position
	cr.eventually(func() error {
		p, err := cr.post(context.Background(), cr.any(nil), last, cr.channel+"-last")
		at = p
		return err
	})
	cr.ledger.took("the test", last, at)
	cr.eventually(func() error {
		missing := 0
		var example error
		for _, c := range cr.clients {
			if c.faulty() {
				return nil // check tells
			}
			if !c.reached(at, last) && !(c.plain && cr.flaky) {
				missing++
				c.mu.Lock()
				example = fmt.Errorf("%s has not reached %v: connected %v, %d runs, %q", c.name, at, c.live, len(c.runs), c.errors)
				if n := len(c.runs); n > 0 {
					example = fmt.Errorf("%w; it is at %v", example, c.runs[n-1].last())
				}
				c.mu.Unlock()
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d clients, the last: %w", missing, example)
		}
		return nil
	})
	cr.check(cr.t)
}

// check proves what the package comment says.
func (cr *crowd) check(t *testing.T) {
	t.Helper()
	l := cr.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		t.Error(f)
	}
	covered := 0
	for _, c := range cr.clients {
		c.mu.Lock()
		for _, f := range c.errors {
			t.Errorf("%s: %s", c.name, f)
		}
		for text, p := range l.accepted {
			if p.epoch == "" { // the publisher was not told where; somebody was
				if p = l.of[text]; p.epoch == "" {
					t.Errorf("%.40q was accepted and nobody has seen it", text)
					continue
				}
			}
			for i := range c.runs {
				got, in := c.runs[i].at(p)
				if in {
					covered++
				}
				if in && got != text {
					t.Errorf("%s has %.40q at %v, want %.40q", c.name, got, p, text)
				}
			}
			// Without a gap nothing may be outside its one run but what was there before it.
			if len(c.runs) == 1 && p.offset > c.runs[0].from.offset {
				if _, in := c.runs[0].at(p); !in {
					t.Errorf("%s has no gap and does not have %.40q at %v", c.name, text, p)
				}
			}
		}
		if c.plain {
			checkPlain(t, c, l, cr.flaky)
		}
		c.mu.Unlock()
	}
	if covered == 0 {
		t.Error("no client had any of the accepted messages: the test proves nothing")
	}
	t.Logf("%d accepted, %d refused, %d clients: %d deliveries checked", len(l.accepted), l.refused, len(cr.clients), covered)
}

// checkPlain proves that a plain client heard everything in everybody's order while it was connected. The locks are held.
func checkPlain(t *testing.T, c *client, l *ledger, flaky bool) {
	t.Helper()
	var last position
	for _, text := range c.heard {
		p, known := l.of[text]
		switch {
		case !known:
			t.Errorf("%s heard %.40q, which nobody else saw", c.name, text)
		case last.epoch == p.epoch && (p.offset <= last.offset || !flaky && p.offset != last.offset+1):
			t.Errorf("%s heard %v after %v", c.name, p, last)
		}
		last = p
	}
}

// accepted waits until n messages more were accepted.
func (cr *crowd) accepted(n int) {
	cr.t.Helper()
	before, _ := cr.ledger.counts()
	cr.eventually(func() error {
		if now, refused := cr.ledger.counts(); now < before+n {
			return fmt.Errorf("%d of %d messages were accepted, %d attempts refused", now-before, n, refused)
		}
		return nil
	})
}

// missed waits until n messages more were accepted, or nobody publishes any more.
func (cr *crowd) missed(ctx context.Context, n int) {
	before, _ := cr.ledger.counts()
	for ctx.Err() == nil && cr.busy.Load() {
		if now, _ := cr.ledger.counts(); now >= before+n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// refused waits until publishers were told `unavailable` n times more.
func (cr *crowd) refused(n int) {
	cr.t.Helper()
	_, before := cr.ledger.counts()
	cr.eventually(func() error {
		if _, now := cr.ledger.counts(); now < before+n {
			return fmt.Errorf("%d of %d attempts were refused", now-before, n)
		}
		return nil
	})
}

// info asks a task about the channel.
func (cr *crowd) info(task *fairleadtest.Server) (channelInfo, error) {
	var i channelInfo
	code, err := cr.ask(context.Background(), "GET", task.URL("/channels/"+cr.channel), "", "", &i)
	if err == nil && code != 200 {
		err = fmt.Errorf("the answer is %d", code)
	}
	return i, err
}

// channelInfo is what the tests read of GET /channels/{channel}.
type channelInfo struct {
	Subscribers struct {
		Task, All, Tasks int
		Complete         bool
	}
	Position string
}

var errRefused = errors.New("refused")

// soon is how long a publisher waits after a refusal.
const soon = 20 * time.Millisecond
