//go:build integration

package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

func TestAMessageSentOnOneTaskArrivesOnTheOther(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	tasks := c.tasks()
	for from, to := range map[*fairleadtest.Server]*fairleadtest.Server{tasks[0]: tasks[1], tasks[1]: tasks[0]} {
		cr := c.crowd("lobby-" + fmt.Sprint(from.PID()))
		cr.join(4, func(i int, c *client) { c.home, c.plain = to, i < 2 })
		cr.senders([]*fairleadtest.Server{from}, time.Millisecond)
		cr.accepted(20)
		cr.settle()
		cr.stayed()
	}
}

func TestTasksThatPublishAtOnceGiveEverybodyOneOrder(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{tasks: 3, args: roomy})
	tasks := c.tasks()
	cr := c.crowd("lobby")
	cr.join(18, func(i int, c *client) { c.home, c.plain = tasks[i%3], i%2 == 0 })
	// As fast as they can: what is to be seen is offsets given to two tasks at one moment.
	cr.senders(tasks, time.Microsecond)
	cr.senders(tasks, time.Microsecond)
	cr.backends(3, time.Microsecond, nil)
	cr.accepted(2000)
	cr.settle()
	cr.stayed()
}

func TestAKeyThatIsTriedAgainOnAnotherTaskIsOneMessage(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	cr := c.crowd("orders")
	cr.join(4, nil)
	tasks := c.tasks()
	const messages, attempts = 40, 4
	for i := range messages {
		// At the same moment and one after the other, both.
		text, key := fmt.Sprint("order ", i), fmt.Sprint("key-", i)
		got := make([]position, attempts)
		var asking sync.WaitGroup
		for a := range attempts {
			ask := func() {
				at, err := cr.post(context.Background(), tasks[a%2], text, key)
				if err != nil {
					t.Error(err)
				}
				got[a] = at
			}
			if i%2 == 0 {
				ask()
			} else {
				asking.Go(ask)
			}
		}
		asking.Wait()
		for _, at := range got {
			if at != got[0] || at.offset != uint64(i+1) {
				t.Fatalf("message %d was given the positions %v", i, got)
			}
		}
		cr.ledger.took("the test", text, got[0])
	}
	cr.settle()
	cr.stayed()
}

func TestSubscribersAreCountedOverAllTasks(t *testing.T) {
	t.Parallel()
	c, _ := start(t, setup{})
	tasks := c.tasks()
	cr := c.crowd("counted")
	cr.join(7, func(i int, c *client) {
		c.home, c.plain = tasks[0], i%2 == 0
		if i >= 5 {
			c.home = tasks[1]
		}
	})
	at, err := cr.post(t.Context(), tasks[0], "one", "")
	if err != nil {
		t.Fatal(err)
	}
	const anyNumber = -1
	expect := func(task *fairleadtest.Server, here, all, of int) {
		t.Helper()
		cr.eventually(func() error {
			i, err := cr.info(task)
			if s := i.Subscribers; err == nil && (here != anyNumber && s.Task != here || s.All != all || s.Tasks != of || !s.Complete || i.Position != at.String()) {
				err = fmt.Errorf("got %+v, want %d on this task, %d on %d tasks, position %v", i, here, all, of, at)
			}
			return err
		})
	}
	expect(tasks[0], 5, 7, 2)
	expect(tasks[1], 2, 7, 2)
	// A task that nobody of the channel is on knows as much.
	third := c.task()
	expect(third, 0, 7, 3)
	// Those of a task that crashed come back elsewhere; the plain ones do not.
	c.crash(tasks[0])
	expect(third, anyNumber, 4, 2)
}
