package valkey

import (
	"time"

	vk "github.com/valkey-io/valkey-go"
)

const (
	subscribeTogether = 128 // topics in one write
	compareTogether   = 256 // heads in one write
)

// keeper brings the server's subscriptions in line with what is wanted, and compares heads. It may wait for the server, which the
// shard's goroutine must not do while messages wait.
type keeper struct {
	s       *shard
	session *session
	have    map[string]time.Time // subscribed topics, and when their meta is to be renewed
	again   []string             // topics that were refused; tried again with the next tick
	turn    []string             // topics whose heads are yet to be compared in this round
}

func (s *shard) keep(session *session) {
	k := &keeper{s: s, session: session, have: make(map[string]time.Time)}
	timer := time.NewTimer(jitter(s.b.o.Check))
	defer timer.Stop()
	for {
		select {
		case <-session.ctx.Done():
			// Whoever subscribes from now on must find a token.
			s.mu.Lock()
			for topic := range s.want {
				s.mark(topic)
			}
			s.mu.Unlock()
			return
		case <-s.changed:
			k.settle()
		case <-timer.C:
			for _, topic := range k.again {
				s.mu.Lock()
				s.mark(topic)
				s.mu.Unlock()
			}
			k.again = nil
			k.compare()
			timer.Reset(jitter(s.b.o.Check))
		}
	}
}

// renewal is when a meta is to be renewed next: often enough to fail some times, rarely enough to cost nothing.
func (k *keeper) renewal() time.Duration { return jitter(k.s.b.o.History.metaLife() / 6) }

// settle subscribes and unsubscribes.
func (k *keeper) settle() {
	s := k.s
	var join, leave []string
	s.mu.Lock()
	for _, topic := range s.dropped {
		delete(k.have, topic)
	}
	s.dropped = nil
	for topic := range s.dirty {
		_, have := k.have[topic]
		switch wanted := s.want[topic] != nil; {
		case wanted && !have:
			join = append(join, topic)
		case !wanted && have:
			leave = append(leave, topic)
		case wanted: // another subscription of a topic that the server sends already
			k.session.inbox.put(event{kind: evSubscribed, topic: topic}, 0)
		}
	}
	clear(s.dirty)
	s.mu.Unlock()
	k.inGroups(leave, k.unsubscribe)
	k.inGroups(join, k.subscribe)
}

func (k *keeper) inGroups(topics []string, f func([]string)) {
	for len(topics) > 0 && k.session.ctx.Err() == nil {
		n := min(len(topics), subscribeTogether)
		f(topics[:n])
		topics = topics[n:]
	}
}

func (k *keeper) subscribe(topics []string) {
	c := k.session.pubsub
	var commands []vk.Completed
	if k.session.cluster {
		for _, topic := range topics { // several in one command must share a slot
			commands = append(commands, c.B().Ssubscribe().Channel(topic).Build())
		}
	} else {
		commands = append(commands, c.B().Subscribe().Channel(topics...).Build())
	}
	results := k.session.do(k.s.b.o.Timeout, c, commands...)
	if k.session.ctx.Err() != nil {
		return
	}
	for i, topic := range topics {
		if err := results[i%len(results)].Error(); err != nil {
			if misrouted(err) {
				k.s.b.refresh()
			}
			k.again = append(k.again, topic)
			if !mayRetry(err) { // otherwise it moves to another server
				k.session.inbox.put(event{kind: evRefused, topic: topic, err: explain(k.session.addr, err)}, 0)
			}
			continue
		}
		k.have[topic] = time.Now().Add(k.renewal())
		k.session.inbox.put(event{kind: evSubscribed, topic: topic}, 0)
	}
}

func (k *keeper) unsubscribe(topics []string) {
	c := k.session.pubsub
	k.session.leave(topics)
	var commands []vk.Completed
	if k.session.cluster {
		for _, topic := range topics {
			commands = append(commands, c.B().Sunsubscribe().Channel(topic).Build())
		}
	} else {
		commands = append(commands, c.B().Unsubscribe().Channel(topics...).Build())
	}
	k.session.do(k.s.b.o.Timeout, c, commands...)
	for _, topic := range topics {
		delete(k.have, topic)
		k.session.inbox.put(event{kind: evLeft, topic: topic}, 0)
	}
}

// compare asks for heads: of all topics in turn, and of not more at a time than the bound allows.
func (k *keeper) compare() {
	if len(k.turn) == 0 {
		for topic := range k.have {
			k.turn = append(k.turn, topic)
		}
	}
	n := min(len(k.turn), max(compareTogether, int(headsPerSecond*k.s.b.o.Check.Seconds())))
	turn := k.turn[:n]
	if k.turn = k.turn[n:]; len(k.turn) == 0 {
		k.turn = nil
	}
	for len(turn) > 0 && k.session.ctx.Err() == nil {
		n := min(len(turn), compareTogether)
		k.compareSome(turn[:n])
		turn = turn[n:]
	}
}

func (k *keeper) compareSome(topics []string) {
	c := k.session.client
	var events []event
	var commands []vk.Completed
	now := time.Now()
	for _, topic := range topics {
		sub := k.s.wanted(topic)
		// A subscription that is locked is receiving: there is nothing to find out.
		if sub == nil || sub.control != nil || !sub.mu.TryLock() {
			continue
		}
		before := sub.at
		sub.mu.Unlock()
		events = append(events, event{kind: evHead, topic: topic, sub: sub, before: before})
		if due, ok := k.have[topic]; ok && now.After(due) {
			k.have[topic] = now.Add(k.renewal())
			commands = append(commands, c.B().Getex().Key(topic).ExSeconds(int64(k.s.b.o.History.metaLife().Seconds())).Build())
		} else {
			commands = append(commands, c.B().Get().Key(topic).Build())
		}
	}
	if len(commands) == 0 {
		return
	}
	for i, r := range k.session.do(k.s.b.o.Timeout, c, commands...) {
		text, err := r.ToString()
		switch {
		case err == nil, vk.IsValkeyNil(err):
			events[i].text = text
			k.session.inbox.put(events[i], 0)
		case misrouted(err):
			k.s.b.refresh()
		}
	}
}
