package valkey

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// steady is how long a session must have lasted for the next attempt to count as the first.
const steady = time.Second

// shard keeps a session with one server: the only one there is, or one primary of a cluster.
type shard struct {
	b       *Broker
	hosts   []string // tried in turn
	ctx     context.Context
	cancel  context.CancelFunc
	session atomic.Pointer[session] // nil while there is none
	last    atomic.Pointer[failure] // why there is none; nil before the first attempt has ended
	first   chan struct{}           // closed when the first attempt has ended

	changed chan struct{} // has a token if dirty is not empty

	// mu guards the following.
	mu      sync.Mutex
	want    map[string]*subscription // by topic: what is to be subscribed to here
	dirty   map[string]bool          // topics whose want changed, or that are to be looked at again
	dropped []string                 // topics that the server unsubscribed on its own

	live map[string]*subscription // by topic; only the shard's goroutine uses it
}

func (b *Broker) newShard(hosts []string) *shard {
	s := &shard{
		b:       b,
		hosts:   hosts,
		first:   make(chan struct{}),
		changed: make(chan struct{}, 1),
		want:    make(map[string]*subscription),
		dirty:   make(map[string]bool),
	}
	s.ctx, s.cancel = context.WithCancel(b.ctx)
	return s
}

// add has sub subscribed to, unless it has gone meanwhile. It does not wait.
func (s *shard) add(sub *subscription) {
	s.mu.Lock()
	if !sub.gone.Load() {
		s.want[sub.topic] = sub
		s.mark(sub.topic)
	}
	s.mu.Unlock()
}

// remove has sub unsubscribed from, if it is still wanted. It does not wait.
func (s *shard) remove(sub *subscription) {
	s.mu.Lock()
	if s.want[sub.topic] == sub {
		delete(s.want, sub.topic)
		s.mark(sub.topic)
	}
	s.mu.Unlock()
}

// mark notes that the wish for topic changed. mu is held.
func (s *shard) mark(topic string) {
	s.dirty[topic] = true
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *shard) wanted(topic string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want[topic]
}

// run connects, serves and connects again, until the shard is stopped.
func (s *shard) run() {
	for failures, host := 0, 0; s.ctx.Err() == nil; {
		session, err := s.b.connect(s.ctx, s.hosts[host%len(s.hosts)])
		if err == nil {
			if err = s.fits(session); err != nil {
				session.fail(explain(session.addr, err))
				session.close()
			}
		}
		if err != nil {
			host++
			s.without(explain(s.hosts[0], err)) // a failure already
		} else {
			s.b.counters.connects.Add(1)
			s.b.o.Log.Info("connected to the broker", "broker", session.addr)
			began := time.Now()
			s.serve(session)
			if time.Since(began) >= steady {
				failures = 0
			}
		}
		s.b.refresh()
		s.pause(backoff(failures, s.b.o.MaxBackoff))
		failures++
	}
	s.without(errBrokerClosed)
}

// fits says whether the server is what was configured.
func (s *shard) fits(session *session) error {
	t := s.b.table.Load()
	switch {
	case session.replica:
		return &failure{CauseReadonly, fmt.Sprintf("broker %s: it is a read-only replica and takes no messages", session.addr), nil}
	case session.cluster && t != nil && !t.cluster:
		return &failure{CauseCluster, fmt.Sprintf("broker %s: it is part of a cluster; say ?cluster=yes", session.addr), nil}
	case !session.cluster && t != nil && t.cluster:
		return &failure{CauseCluster, fmt.Sprintf("broker %s: it is not part of a cluster any more", session.addr), nil}
	}
	return nil
}

// without notes and tells that there is no session, and why.
func (s *shard) without(why *failure) {
	old := s.last.Swap(why)
	if old == nil {
		close(s.first)
	}
	if s.b.ctx.Err() != nil {
		return
	}
	if old == nil || old.words != why.words {
		s.b.o.Log.Warn("no connection to the broker; trying again", "error", why)
	}
	s.tell(why)
}

// tell tells every sink that has not heard it that the broker is not reachable.
func (s *shard) tell(why *failure) {
	s.mu.Lock()
	subs := make([]*subscription, 0, len(s.want))
	for _, sub := range s.want {
		subs = append(subs, sub)
	}
	s.mu.Unlock()
	for _, sub := range subs {
		sub.lose(s, why)
	}
}

// pause waits for d, and tells whoever subscribes meanwhile.
func (s *shard) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-s.ctx.Done():
			return
		case <-s.changed:
			if why := s.last.Load(); why != nil {
				s.tell(why)
			}
		}
	}
}

// serve delivers what the session brings, until it is lost.
func (s *shard) serve(session *session) {
	s.live = make(map[string]*subscription)
	s.mu.Lock()
	s.dropped = nil
	for topic := range s.want {
		s.mark(topic)
	}
	s.mu.Unlock()
	s.session.Store(session)
	if s.last.Swap(errUnknownYet) == nil {
		close(s.first)
	}
	var keeper sync.WaitGroup
	keeper.Go(func() { s.keep(session) })
	var events []event
	for session.ctx.Err() == nil {
		select {
		case <-session.inbox.ready:
			events = session.inbox.take(events)
			s.deliver(session, events)
		case <-session.ctx.Done():
		}
	}
	session.fail(errBrokerClosed) // unless there is a reason already: the shard was stopped
	s.b.counters.lost.Add(1)
	s.without(session.reason())
	s.session.Store(nil)
	keeper.Wait()
	session.close()
}

// stop ends the shard. Its goroutine ends soon after.
func (s *shard) stop() { s.cancel() }
