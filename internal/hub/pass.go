package hub

import "sync"

// turnSize is how many deliveries one turn has at most: what another channel waits for a worker, 256 × 7 µs ≈ 1.8 ms. Smaller
// turns would buy little, since the workers yield anyway, and each costs a visit to the run queue.
const turnSize = 256

// turn does one turn of w and reports whether w is to go back into the run queue. The caller holds a ticket of the pass, or the
// one entry of a channel whose pass has yet to begin.
func (w *work) turn(p *pace) (again bool) {
	if !w.begun {
		if w.channel.hub.closed.Load() {
			w.abandon()
			return false
		}
		w.begin()
	}
	if n := w.taken.Add(1); n <= w.turns {
		w.deliver(int(n-1)*w.channel.hub.turnSize, p)
		if w.taken.Load() < w.turns {
			return true
		}
	}
	if w.tickets.Add(-1) > 0 {
		return false
	}
	return w.end()
}

// begin starts a pass: takes messages, freezes the members, and asks other workers to help if it is large.
func (w *work) begin() {
	c := w.channel
	h := c.hub
	w.started = h.now()
	c.mu.Lock()
	w.take(h.maxPass)
	w.enter()
	w.members = c.members
	w.begun = true
	size := int64(h.turnSize)
	w.turns = (int64(len(w.members)+len(w.late)) + size - 1) / size
	c.mu.Unlock()

	w.taken.Store(0)
	tickets := max(1, min(int(w.turns), h.queue.limit))
	w.tickets.Store(int32(tickets))
	if tickets > 1 {
		h.queue.push(w, tickets-1)
	}
}

// deliver hands the batch to the members from the one numbered first on, one turn long. Those who joined late come after the
// members.
func (w *work) deliver(first int, p *pace) {
	end := min(first+w.channel.hub.turnSize, len(w.members)+len(w.late))
	for _, m := range w.members[min(first, len(w.members)):min(end, len(w.members))] {
		m.to.Deliver(w.batch(m.form))
		p.delivered()
	}
	for i := max(first, len(w.members)); i < end; i++ {
		j := w.late[i-len(w.members)]
		j.m.to.Deliver(w.restOf(j))
		p.delivered()
	}
}

// end ends the pass, and reports whether the channel is to have another. The caller gave back the last ticket.
func (w *work) end() (again bool) {
	c := w.channel
	h := c.hub
	n := uint64(len(w.messages))
	delivered := uint64(len(w.members)) * n
	for _, j := range w.late {
		delivered += w.before + n - j.after
	}
	size := len(w.members) + len(w.late)
	h.counters.passes.Add(1)
	h.counters.batches.Add(uint64(size))
	h.counters.delivered.Add(delivered)
	if h.onPass != nil {
		now := h.now()
		h.onPass(PassInfo{
			Channel: c.name, Messages: int(n), Bytes: w.bytes, Members: size,
			Waited: w.started.Sub(w.queued), Took: now.Sub(w.started),
		})
	}
	w.forgetBatches()

	c.mu.Lock()
	w.members = nil
	w.begun = false
	w.settle()
	w.flushed(w.before + n)
	if len(w.pending) > 0 && len(c.members)+len(w.joining) > 0 {
		w.queued = h.now()
		c.mu.Unlock()
		return true
	}
	empty := w.rest()
	c.mu.Unlock()
	w.giveBack()
	if empty {
		h.remove(c)
	}
	return false
}

// restOf is the batch for a member that joined late.
func (w *work) restOf(j joiner) *Batch {
	skip := int(j.after - w.before)
	return w.batch(j.m.form).part(skip, len(w.messages)-skip)
}

// batch is the pass's messages in form f, encoded by the first who asks.
func (w *work) batch(f Form) *Batch {
	if b := w.batches[f].Load(); b != nil {
		return b
	}
	w.encoding.Lock()
	defer w.encoding.Unlock()
	if b := w.batches[f].Load(); b != nil {
		return b
	}
	scratch := scratches.Get().(*[]byte)
	b := encode(w.channel.hub.encoder, f, w.messages, scratch)
	giveScratch(scratch)
	w.batches[f].Store(b)
	w.forms |= 1 << f
	return b
}

// forgetBatches lets go of the batches of the pass. Nobody else holds a ticket.
func (w *work) forgetBatches() {
	for f := 0; w.forms != 0; f, w.forms = f+1, w.forms>>1 {
		if w.forms&1 != 0 {
			w.batches[f].Store(nil)
		}
	}
}

// scratches lends the buffers that frames grow in. keepScratch is the largest worth keeping.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const keepScratch = 1 << 20

func giveScratch(s *[]byte) {
	if cap(*s) <= keepScratch {
		scratches.Put(s)
	}
}
