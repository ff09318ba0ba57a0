package valkey

import (
	"strings"

	"fairlead/internal/hub"
)

const (
	// Channels that are behind are read together, so many and so much of each at first; whoever is further behind than that is
	// read alone. That bounds what one answer may hold.
	readTogether = 32
	readFirst    = 32
	readAlone    = 512
)

// deliver acts on events, in their order. Channels that fall behind are caught up at the end: whatever pub/sub brought for them among
// these events was published before, so that the stream has it, and it is passed over.
func (s *shard) deliver(session *session, events []event) {
	var behind []*subscription
	queued := make(map[*subscription]bool)
	catchUp := func(sub *subscription) {
		if !queued[sub] {
			queued[sub] = true
			behind = append(behind, sub)
		}
	}
	for i := range events {
		e := &events[i]
		var sub *subscription
		if e.kind == evSubscribed {
			sub = s.wanted(e.topic)
			if sub == nil {
				delete(s.live, e.topic)
				continue
			}
			s.live[e.topic] = sub
		} else if sub = s.live[e.topic]; sub == nil && e.kind != evRefused {
			continue
		}
		switch e.kind {
		case evLeft:
			if s.wanted(e.topic) == nil {
				delete(s.live, e.topic)
			}
		case evDropped:
			delete(s.live, e.topic)
			s.mu.Lock()
			s.dropped = append(s.dropped, e.topic)
			s.mark(e.topic)
			s.mu.Unlock()
			s.b.refresh()
		case evRefused:
			if sub = s.wanted(e.topic); sub != nil {
				sub.lose(s, e.err)
			}
		case evMessage:
			if sub.control != nil {
				sub.control(e.text)
			} else if s.message(sub, e.text) {
				catchUp(sub)
			}
		case evSubscribed:
			if sub.control == nil && s.confirmed(sub) {
				catchUp(sub)
			}
		case evHead:
			if sub == e.sub && s.head(sub, e) {
				catchUp(sub)
			}
		}
	}
	if len(behind) > 0 {
		s.catchUp(session, behind)
	}
}

// message hands a pub/sub message over, and reports whether the channel has fallen behind with it.
func (s *shard) message(sub *subscription, text string) (behind bool) {
	r, err := parseRun(text)
	if err != nil {
		s.b.counters.malformed.Add(1)
		return false
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.owner.Load() != s || sub.gone.Load() || sub.behind {
		return false
	}
	for !r.empty() {
		position, payload := r.next()
		switch {
		case position.Epoch != sub.at.Epoch, position.Offset > sub.at.Offset+1:
			sub.behind = true
			return true
		case position.Offset <= sub.at.Offset:
			s.b.counters.duplicates.Add(1)
		default:
			sub.receive(&s.b.counters, position.Offset, payload)
		}
	}
	return false
}

// confirmed notes that the server sends sub's messages from now on.
func (s *shard) confirmed(sub *subscription) (behind bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.owner.Load() != s || sub.gone.Load() {
		return false
	}
	sub.behind = true
	return true
}

// head compares the server's head with what was delivered. A head beyond may be a message on its way, so that it counts only if
// it was seen at the comparison before too. A head below what had been delivered before it was asked for means that the server lost
// messages.
func (s *shard) head(sub *subscription, e *event) (behind bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.owner.Load() != s || sub.gone.Load() {
		return false
	}
	if sub.behind { // catching up had failed
		return true
	}
	if sub.at.Epoch != e.before.Epoch {
		return false // overtaken
	}
	head, ok := parseHead(e.text)
	switch {
	case !ok, head.Epoch != sub.at.Epoch, head.Offset < e.before.Offset, sub.suspect.Offset > sub.at.Offset:
		sub.behind = true
	case head.Offset > sub.at.Offset:
		sub.suspect = hub.Position{Offset: head.Offset}
	default:
		sub.suspect = hub.Position{}
	}
	return sub.behind
}

// catchUp reads the streams of channels that are behind until they are not, or the server refuses, or the session is lost. Who is
// left behind is tried again with the next comparison of heads.
func (s *shard) catchUp(session *session, behind []*subscription) {
	var far []*subscription
	for len(behind) > 0 && session.ctx.Err() == nil {
		n := min(len(behind), readTogether)
		group := behind[:n]
		behind = behind[n:]
		for i, v := range s.b.look(session, group, readFirst) {
			if s.join(session, group[i], v) {
				far = append(far, group[i])
			}
		}
	}
	for _, sub := range far {
		more := true
		for more && session.ctx.Err() == nil {
			more = s.join(session, sub, s.b.look(session, []*subscription{sub}, readAlone)[0])
		}
	}
}

// join delivers what the stream has after sub.at, and reports whether there is more.
func (s *shard) join(session *session, sub *subscription, v view) (more bool) {
	if v.err != nil {
		s.refused(session, sub, v.err)
		return false
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.owner.Load() != s || sub.gone.Load() {
		return false
	}
	if v.from != sub.at {
		return true // an older view
	}
	c := &s.b.counters
	if sub.at.Epoch != v.head.Epoch {
		epoch := strings.Clone(v.head.Epoch)
		if sub.at.Epoch != "" && v.head.Offset <= readAlone {
			// The server lost its memory, and the epoch is as young as it looks: what it has so far was accepted since, and
			// plain subscribers have a right to it.
			sub.restart(c, hub.Position{Epoch: epoch})
			sub.behind = true
			return true
		}
		sub.restart(c, hub.Position{Epoch: epoch, Offset: v.head.Offset})
		return false
	}
	entries := v.entries
	if len(entries) > 0 && entries[0].offset == sub.at.Offset {
		if sub.summed && sub.sum != sumOf(entries[0].payload) {
			return s.renew(session, sub)
		}
		entries = entries[1:]
	}
	if sub.at.Offset < v.head.Offset && (len(entries) == 0 || entries[0].offset != sub.at.Offset+1) {
		sub.restart(c, hub.Position{Epoch: sub.at.Epoch, Offset: v.head.Offset}) // trimmed
		return false
	}
	for _, e := range entries {
		if e.offset != sub.at.Offset+1 { // a hole in the stream: somebody has deleted an entry
			sub.restart(c, hub.Position{Epoch: sub.at.Epoch, Offset: v.head.Offset})
			return false
		}
		sub.receive(c, e.offset, e.payload)
		c.filled.Add(1)
	}
	if sub.at.Offset < v.head.Offset {
		return true
	}
	sub.live()
	return false
}

// renew begins the channel anew, because the server has another message where sub has received one: it lost what followed and has
// given the offsets again. mu is held, which makes whoever moves the subscription wait for one round trip.
func (s *shard) renew(session *session, sub *subscription) (more bool) {
	v := s.b.lookAt(session, renew, []string{sub.topic}, []hub.Position{sub.at}, 1)[0]
	if v.err == nil {
		v.head.Epoch = strings.Clone(v.head.Epoch)
		sub.restart(&s.b.counters, v.head)
	}
	return false
}

// refused notes that sub's channel could not be read.
func (s *shard) refused(session *session, sub *subscription, err error) {
	if misrouted(err) {
		s.b.refresh()
	}
	// If the session is lost, all are told; if the slot is elsewhere, the subscription moves there.
	if session.ctx.Err() == nil && !mayRetry(err) {
		sub.lose(s, explain(session.addr, err))
	}
}
