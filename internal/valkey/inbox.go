package valkey

import (
	"sync"

	"fairlead/internal/hub"
)

// eventKind is what a session tells its shard.
type eventKind uint8

const (
	evMessage    eventKind = iota // text came on topic
	evSubscribed                  // the server has confirmed the subscription to topic
	evLeft                        // this task has unsubscribed from topic
	evDropped                     // the server has ended the subscription to topic on its own
	evRefused                     // the server refused the subscription to topic with err
	evHead                        // text is topic's meta, "" if there is none; before is where sub had got to when it was asked for
)

type event struct {
	kind   eventKind
	topic  string
	text   string
	sub    *subscription
	before hub.Position
	err    *failure
}

// inbox is the queue from a session's goroutines to its shard's. It is bounded by cost, and first in, first out.
type inbox struct {
	limit int
	done  <-chan struct{} // closed when nobody takes any more
	ready chan struct{}   // has a token if there are events

	// mu guards the following.
	mu     sync.Mutex
	events []event
	cost   int
	room   chan struct{} // closed when events are taken; nil while nobody waits for that
}

func newInbox(limit int, done <-chan struct{}) *inbox {
	return &inbox{limit: limit, done: done, ready: make(chan struct{}, 1)}
}

// put waits while the inbox is full, if the event costs anything. After done it drops the event.
func (q *inbox) put(e event, cost int) {
	q.mu.Lock()
	for cost > 0 && q.cost > 0 && q.cost+cost > q.limit {
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-q.done:
			return
		}
		q.mu.Lock()
	}
	q.events = append(q.events, e)
	q.cost += cost
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns everything that waits, and lends spare for the next.
func (q *inbox) take(spare []event) []event {
	clear(spare)
	if cap(spare) > 4*maxBatch {
		spare = nil
	}
	q.mu.Lock()
	events := q.events
	q.events, q.cost = spare[:0], 0
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	q.mu.Unlock()
	return events
}
