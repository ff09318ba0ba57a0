package valkey

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// countTime bounds Count. Tasks answer within a round trip; who does not is stopping, or busy.
const countTime = 300 * time.Millisecond

// controlChannel is in no channel's name, and its slot is where the question is asked.
const controlChannel = "~"

// asks are the questions of this task that are open, and those of others that it is to answer.
type asks struct {
	task  string // the name of this one
	queue chan question

	// mu guards the following.
	mu   sync.Mutex
	next uint64
	open map[uint64]chan int
}

type question struct{ id, task, channel string }

func (a *asks) init(b *Broker) {
	a.task = b.nonce
	own := controlChannel + a.task
	a.open = make(map[uint64]chan int)
	// More questions than that at a time are not answered: counting is for people and dashboards.
	a.queue = make(chan question, 64)
	b.subscribe(&subscription{topic: b.topic(controlChannel), channel: controlChannel, control: a.asked})
	b.subscribe(&subscription{topic: b.topic(own), channel: own, control: a.answered})
	b.spawn(func() { b.answerAll() }, nil)
}

// asked takes "ask ID TASK CHANNEL".
func (a *asks) asked(text string) {
	parts := strings.Split(text, " ")
	if len(parts) != 4 || parts[0] != "ask" {
		return
	}
	select {
	case a.queue <- question{parts[1], parts[2], parts[3]}:
	default:
	}
}

// answered takes "ID COUNT".
func (a *asks) answered(text string) {
	id, count, _ := strings.Cut(text, " ")
	number, err1 := strconv.ParseUint(id, 10, 64)
	n, err2 := strconv.Atoi(count)
	if err1 != nil || err2 != nil || n < 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.open[number] <- n: // a nil channel takes nothing
	default:
	}
}

func (b *Broker) answerAll() {
	for {
		select {
		case q := <-b.asks.queue:
			n := 0
			if local := b.local.Load(); local != nil {
				n = (*local)(q.channel)
			}
			// Who asks does without the answers that do not arrive.
			_, _ = b.tell(b.ctx, controlChannel+q.task, q.id+" "+strconv.Itoa(n))
		case <-b.ctx.Done():
			return
		}
	}
}

// tell publishes text on a control topic, and says how many tasks were reached.
func (b *Broker) tell(ctx context.Context, tag, text string) (reached int, err error) {
	s, err := b.sessionFor(ctx, tag)
	if s == nil {
		return 0, err
	}
	topic := b.topic(tag)
	command := s.client.B().Publish().Channel(topic).Message(text).Build()
	if s.cluster {
		command = s.client.B().Spublish().Channel(topic).Message(text).Build()
	}
	n, err := s.do(b.o.Timeout, s.client, command)[0].AsInt64()
	if err != nil {
		if misrouted(err) {
			b.refresh()
		}
		return 0, explain(s.addr, err)
	}
	return int(n), nil
}

// Count asks all tasks how many subscribers a channel has. tasks is how many answered, this one included; complete says that those are
// all that listened when the question was asked. It takes 300 ms at most. The error wraps hub.ErrUnavailable, or is that of ctx.
//
// How many listen is the answer of PUBLISH itself, of the same instant as the question; PUBSUB NUMSUB would be a second
// round trip and of another instant.
func (b *Broker) Count(ctx context.Context, channel string) (subscribers, tasks int, complete bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, countTime, errCount)
	defer cancel()
	a := &b.asks
	answers := make(chan int, 1024)
	a.mu.Lock()
	a.next++
	id := a.next
	a.open[id] = answers
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.open, id)
		a.mu.Unlock()
	}()
	listening, err := b.tell(ctx, controlChannel, fmt.Sprintf("ask %d %s %s", id, a.task, channel))
	if err != nil {
		return 0, 0, false, err
	}
	for tasks < listening {
		select {
		case n := <-answers:
			subscribers += n
			tasks++
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errCount) {
				return subscribers, tasks, false, nil
			}
			return subscribers, tasks, false, ctx.Err()
		}
	}
	return subscribers, tasks, tasks > 0, nil
}

var errCount = fmt.Errorf("no answer within %v", countTime)
