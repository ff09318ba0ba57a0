package valkey

import (
	"sync"
	"time"

	vk "github.com/valkey-io/valkey-go"

	"fairlead/internal/hub"
)

// laneCount is how many lanes publish to a cluster. A lane has one batch under way, so that the order of messages holds whatever is
// answered. Lanes are stretches of slots and not servers: a slot that moves stays in its lane, and no message can overtake
// another on the way to its new server. 32 of them fit the stretches that clusters of up to some twenty servers have. A single
// server has one lane: it has one thread.
const laneCount = 32

// retryPause is the wait before what was not executed is sent again, while a slot moves.
const retryPause = 20 * time.Millisecond

type item struct {
	channel string
	payload []byte
	key     string
	done    func(hub.Position, error)
}

func (i *item) cost() int { return len(i.payload) + overhead }

// lane publishes messages in their order, one batch at a time: what waits while a batch is under way is the next.
type lane struct {
	b     *Broker
	ready chan struct{} // has a token if items wait
	start sync.Once

	// mu guards the following.
	mu      sync.Mutex
	waiting []item
	closed  bool
}

// Publish implements hub.Broker. It waits while Options.MaxWaiting is reached, up to Options.Timeout.
func (b *Broker) Publish(channel string, payload []byte, key string, done func(hub.Position, error)) {
	it := item{channel, payload, key, done}
	t := b.table.Load()
	if t == nil { // not before the lane of a channel is known for good
		if err := b.await(b.ctx, b.first); err != nil {
			b.failed(&it, explain("", err))
			return
		}
		if t = b.table.Load(); t == nil {
			b.failed(&it, b.last.Load())
			return
		}
	}
	if !b.room.enter(it.cost(), b.o.Timeout, b.ctx.Done()) {
		b.failed(&it, errOverload)
		return
	}
	l := &b.lanes[0]
	if t.cluster {
		l = &b.lanes[int(slotOf(channel))*laneCount/slots]
	}
	l.start.Do(func() { b.spawn(l.run, l.close) })
	if !l.put(it) {
		b.room.leave(it.cost())
		b.failed(&it, errBrokerClosed)
	}
}

func (b *Broker) failed(it *item, why *failure) {
	b.counters.failed[why.cause].Add(1)
	it.done(hub.Position{}, why)
}

func (l *lane) put(it item) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.waiting = append(l.waiting, it)
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
	return true
}

// take returns the next batch, appended to spare.
func (l *lane) take(spare []item) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.waiting) && n < maxBatch && (n == 0 || size+len(l.waiting[n].payload) <= maxBatchBytes) {
		size += len(l.waiting[n].payload)
		n++
	}
	batch := append(spare, l.waiting[:n]...)
	if n == len(l.waiting) {
		clear(l.waiting)
		l.waiting = l.waiting[:0]
	} else {
		// The rest is not moved to the front: under load it is long. Its memory goes when append outgrows it.
		clear(l.waiting[:n])
		l.waiting = l.waiting[n:]
	}
	return batch
}

func (l *lane) run() {
	defer l.close()
	var batch []item
	for {
		select {
		case <-l.ready:
		case <-l.b.ctx.Done():
			return
		}
		for batch = l.take(batch[:0]); len(batch) > 0; batch = l.take(batch[:0]) {
			l.publish(batch)
			clear(batch)
		}
	}
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	rest := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for i := range rest {
		l.b.room.leave(rest[i].cost())
		l.b.failed(&rest[i], errBrokerClosed)
	}
}

// call is one run of the publish script: messages of one channel, in their order.
type call struct {
	topic string
	items []*item
	bytes int
	full  bool // send the script itself
	first hub.Position
	err   error // nil: executed
	addr  string
}

// publish publishes a batch and answers every message of it.
func (l *lane) publish(batch []item) {
	b := l.b
	deadline := time.Now().Add(b.o.Timeout)
	calls := b.together(batch)
	for len(calls) > 0 {
		b.execute(calls)
		again, pause := b.unexecuted(calls)
		if len(again) > 0 && (time.Now().After(deadline) || pause && !b.wait(b.ctx, retryPause)) {
			again = nil
		}
		for _, c := range calls {
			if len(again) == 0 || !contains(again, c) {
				b.answer(c)
			}
		}
		calls = again
	}
}

func contains(calls []*call, c *call) bool {
	for _, other := range calls {
		if other == c {
			return true
		}
	}
	return false
}

// together makes calls of a batch. A message with an idempotency key is a call of its own.
func (b *Broker) together(batch []item) []*call {
	calls := make([]*call, 0, min(len(batch), 16))
	open := make(map[string]*call)
	for i := range batch {
		it := &batch[i]
		c := open[it.channel]
		if c == nil || it.key != "" || len(c.items) == maxTogether || c.bytes+len(it.payload) > maxTogetherBytes {
			c = &call{topic: b.topic(it.channel)}
			calls = append(calls, c)
			open[it.channel] = c
			if it.key != "" {
				delete(open, it.channel)
			}
		}
		c.items = append(c.items, it)
		c.bytes += len(it.payload)
	}
	return calls
}

// unexecuted picks the calls to send again: those that the server did not execute for a reason that passes, but for those that a later
// call of their channel has overtaken, since that order cannot be restored. pause says whether waiting helps.
func (b *Broker) unexecuted(calls []*call) (again []*call, pause bool) {
	var done map[string]bool // topics with a later call that was executed, or that fails
	for i := len(calls) - 1; i >= 0; i-- {
		c := calls[i]
		if c.err != nil && mayRetry(c.err) && !done[c.topic] {
			again = append(again, c)
			if misrouted(c.err) {
				pause = true
			}
			continue
		}
		if done == nil {
			done = make(map[string]bool)
		}
		done[c.topic] = true
	}
	for i, j := 0, len(again)-1; i < j; i, j = i+1, j-1 {
		again[i], again[j] = again[j], again[i]
	}
	if pause {
		b.refresh()
	}
	return again, pause
}

// execute runs calls, each at its server, and waits for all.
func (b *Broker) execute(calls []*call) {
	one, why := b.sessionFor(b.ctx, calls[0].items[0].channel)
	if t := b.table.Load(); t == nil || !t.cluster {
		b.executeAt(one, why, calls)
		return
	}
	type place struct {
		s   *session
		why error
	}
	places := make(map[*session]place)
	groups := make(map[*session][]*call)
	for _, c := range calls {
		s, why := b.sessionFor(b.ctx, c.items[0].channel)
		if s == nil {
			b.executeAt(nil, why, []*call{c})
			continue
		}
		places[s] = place{s, why}
		groups[s] = append(groups[s], c)
	}
	var wg sync.WaitGroup
	for s, group := range groups {
		if len(groups) == 1 {
			b.executeAt(s, places[s].why, group)
			continue
		}
		wg.Go(func() { b.executeAt(s, places[s].why, group) })
	}
	wg.Wait()
}

func (b *Broker) executeAt(s *session, why error, calls []*call) {
	if s == nil {
		for _, c := range calls {
			c.err = why
		}
		return
	}
	commands := make([]vk.Completed, len(calls))
	full := false
	for i, c := range calls {
		// One in full is enough for those behind it.
		commands[i] = b.command(s, c, c.full && !full)
		full = full || c.full
		c.full, c.addr = false, s.addr
	}
	began := time.Now()
	results := s.do(b.o.Timeout, s.client, commands...)
	b.counters.roundTrip(time.Since(began))
	readonly := false
	for i, c := range calls {
		text, err := results[i].ToString()
		if err == nil {
			c.first, err = hub.ParsePosition(text)
		}
		c.err = err
		if said, ok := replied(err); ok {
			c.full = unknownScript(said)
			readonly = readonly || explainReply("", string(said)).cause == CauseReadonly
		} else if err != nil && s.ctx.Err() != nil {
			c.err = s.reason()
		}
	}
	if readonly { // it was demoted: its name may lead to the new primary by now
		s.fail(explainReply(s.addr, "READONLY"))
	}
}

func (b *Broker) command(s *session, c *call, full bool) vk.Completed {
	keys := keysOf(c.topic)
	if key := c.items[0].key; key != "" {
		keys = append(keys, c.topic+":k:"+key)
	}
	args := make([]string, 1, 1+len(c.items))
	args[0] = b.nonce
	for _, it := range c.items {
		args = append(args, vk.BinaryString(it.payload))
	}
	return b.scripts().publish.call(s.client, full, keys, args)
}

// answer tells the senders of c what became of their messages.
func (b *Broker) answer(c *call) {
	for i, it := range c.items {
		b.room.leave(it.cost())
		if c.err != nil {
			b.failed(it, explain(c.addr, c.err))
			continue
		}
		b.counters.published.Add(1)
		it.done(hub.Position{Epoch: c.first.Epoch, Offset: c.first.Offset + uint64(i)}, nil)
	}
}
