package hub

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPublishAfterCloseIsAnsweredErrClosed(t *testing.T) {
	h := New(Options{Encoder: lines{}})
	var a recorder
	h.Join("c", &a.Member, &a, 0)
	h.Close()
	h.Close()
	var err error
	h.Publish("c", []byte("x"), "", func(_ Position, e error) { err = e })
	if !errors.Is(err, ErrClosed) {
		t.Errorf("answered %v, want ErrClosed", err)
	}
	h.Publish("c", []byte("x"), "", nil)
	a.expect(t)
	h.Leave(&a.Member)
	expectEmpty(t, h)
}

func TestCloseFinishesAPassThatHasBegunAndGivesUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Encoder: lines{}, Workers: 2})
		h.turnSize = 1
		entered, resume := make(chan struct{}), make(chan struct{})
		var once sync.Once
		subscribers := make([]recorder, 10)
		for i := range subscribers {
			h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
		}
		subscribers[0].during = func() { once.Do(func() { close(entered); <-resume }) }
		var other recorder
		say(t, h, "c", "1")
		<-entered
		say(t, h, "c", "2")
		closed := make(chan struct{})
		go func() {
			h.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("Close returned amid a delivery")
		default:
		}
		h.Join("other", &other.Member, &other, 0)
		close(resume)
		<-closed
		for i := range subscribers {
			subscribers[i].expect(t, "0/1:1")
			h.Leave(&subscribers[i].Member)
		}
		h.Leave(&other.Member)
		expectEmpty(t, h)
	})
}

// A message that slips past Publish's own check while Close runs is refused by the channel.
func TestAMessageThatArrivesAfterCloseIsRefused(t *testing.T) {
	h := New(Options{Encoder: lines{}})
	var a recorder
	h.Join("c", &a.Member, &a, 0)
	h.queue.close() // the moment at which Close has been here and closed is not seen yet
	next := h.channels["c"].head
	next.Offset++
	if err := h.channels["c"].Receive(Message{Payload: []byte("x"), Position: next}); !errors.Is(err, ErrClosed) {
		t.Errorf("answered %v, want ErrClosed", err)
	}
	h.Close()
	if err := h.channels["c"].Receive(Message{Payload: []byte("x"), Position: next}); !errors.Is(err, ErrClosed) {
		t.Errorf("answered %v, want ErrClosed", err)
	}
	h.Leave(&a.Member)
	expectEmpty(t, h)
}

func TestAPassThatBeginsWhileTheHubClosesIsFinishedWithAllItsTickets(t *testing.T) {
	h := newByHand(Options{})
	h.turnSize = 1
	h.queue.limit, h.queue.workers = 3, 3 // none is started; the test works the tickets off
	subscribers := make([]recorder, 5)
	for i := range subscribers {
		h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
	}
	say(t, h.Hub, "c", "x")
	h.queue.closed = true
	h.settle()
	for i := range subscribers {
		subscribers[i].expect(t, "0/1:x")
		h.Leave(&subscribers[i].Member)
	}
	expectEmpty(t, h.Hub)
}

func TestAChannelThatEverybodyLeftBeforeCloseVanishesAllTheSame(t *testing.T) {
	h := newByHand(Options{})
	var a recorder
	h.Join("c", &a.Member, &a, 0)
	say(t, h.Hub, "c", "x")
	h.Leave(&a.Member)
	h.Close()
	h.settle()
	a.expect(t)
	expectEmpty(t, h.Hub)
}

func TestFlush(t *testing.T) {
	t.Run("returns at once when nothing is pending", func(t *testing.T) {
		h := newByHand(Options{})
		var a recorder
		h.Join("c", &a.Member, &a, 0)
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("waits for what was published before it and not for what follows", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{MaxPassBytes: 1})
			var a, b recorder
			h.Join("a", &a.Member, &a, 0)
			h.Join("b", &b.Member, &b, 0)
			say(t, h.Hub, "a", "1")
			say(t, h.Hub, "a", "2")
			say(t, h.Hub, "b", "1")
			result := make(chan error, 1)
			go func() { result <- h.Flush(t.Context()) }()
			synctest.Wait()
			say(t, h.Hub, "a", "3")
			for range 2 { // the first pass of a and the only one of b
				h.turn()
				synctest.Wait()
				if len(result) != 0 {
					t.Fatal("Flush returned while a message that it waits for was pending")
				}
			}
			h.turn()
			if err := <-result; err != nil {
				t.Error(err)
			}
			a.expect(t, "0/1:1", "0/2:2")
			h.settle()
			a.expect(t, "0/1:1", "0/2:2", "0/3:3")
		})
	})
	t.Run("waits for a pass that has begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{})
			h.turnSize = 1
			var a, b recorder
			h.Join("c", &a.Member, &a, 0)
			h.Join("c", &b.Member, &b, 0)
			say(t, h.Hub, "c", "1")
			h.turn()
			result := make(chan error, 1)
			go func() { result <- h.Flush(t.Context()) }()
			synctest.Wait()
			if len(result) != 0 {
				t.Fatal("Flush returned amid a pass")
			}
			h.settle()
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("gives up with the context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{})
			var a recorder
			h.Join("c", &a.Member, &a, 0)
			say(t, h.Hub, "c", "1")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := h.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("returned %v, want the context's error", err)
			}
			h.settle()
		})
	})
	t.Run("says so when the hub closed meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newByHand(Options{})
			var a recorder
			h.Join("c", &a.Member, &a, 0)
			say(t, h.Hub, "c", "1")
			result := make(chan error, 1)
			go func() { result <- h.Flush(t.Context()) }()
			synctest.Wait()
			h.Close()
			h.settle()
			if err := <-result; !errors.Is(err, ErrClosed) {
				t.Errorf("returned %v, want ErrClosed", err)
			}
			a.expect(t)
		})
	})
}
