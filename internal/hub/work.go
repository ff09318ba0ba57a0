package hub

import (
	"sync"
	"sync/atomic"
	"time"
)

// work is the state of a busy channel: what waits for a pass, and the pass under way. It is lent to the channel with the first
// message and given back when nothing is left to do.
type work struct {
	channel *channel

	// channel.mu guards the following.

	pending      []Message // arrived and not yet in a pass
	pendingBytes int       // the cost of pending
	arrived      uint64    // messages that arrived since the work was lent
	joining      []joiner  // joined since; their after never decreases but for the swaps of leave
	leaving      []*Member // left during the pass under way; still in channel.members
	flushes      []flushed
	room         chan struct{} // closed when a pass takes messages; nil while no publisher waits for that

	// begun is true from the start of a pass to its end. It is written under channel.mu by the worker that starts or ends the
	// pass, while nobody else holds a ticket, so that ticket holders read it without the lock.
	begun bool

	// queued is when w was put into the run queue for its next pass, by whoever did that.
	queued time.Time

	// The pass under way: set when it begins and constant until it ends, but for the atomics.

	messages []Message
	before   uint64    // of the arrived messages, those that earlier passes took
	bytes    int       // of payload
	members  []*Member // channel.members, frozen
	late     []joiner  // members that joined amid messages: they are handed the rest
	started  time.Time
	turns    int64        // members and late together are so many turns
	taken    atomic.Int64 // turns taken by a worker; may run past turns
	tickets  atomic.Int32 // workers taking turns, and places in the run queue

	// encoding guards the following while the pass is under way. Reading batches needs no lock.
	encoding sync.Mutex
	batches  [MaxForms]atomic.Pointer[Batch]
	forms    uint32 // bit f is set if batches[f] is
}

var works = sync.Pool{New: func() any { return new(work) }}

func newWork(c *channel) *work {
	w := works.Get().(*work)
	w.channel = c
	return w
}

// keepEntries is the capacity, in entries, that a list of given back work keeps.
const keepEntries = 256

// giveBack clears w and gives it back. The caller has unlinked it from its channel.
func (w *work) giveBack() {
	w.channel = nil
	w.pending = cleared(w.pending)
	w.messages = cleared(w.messages)
	w.joining = cleared(w.joining)
	w.leaving = cleared(w.leaving)
	w.late = cleared(w.late)
	w.flushes = cleared(w.flushes)
	w.members = nil
	w.room = nil
	w.pendingBytes = 0
	w.arrived, w.before = 0, 0
	w.queued, w.started = time.Time{}, time.Time{}
	works.Put(w)
}

// cleared is s emptied: its memory if that is small, and no reference to what it held.
func cleared[T any](s []T) []T {
	if cap(s) > keepEntries {
		return nil
	}
	clear(s)
	return s[:0]
}

// add appends a message. channel.mu is held.
func (w *work) add(m Message, cost int) {
	w.pending = append(w.pending, m)
	w.pendingBytes += cost
	w.arrived++
}

// take moves what the next pass takes from pending to messages: up to maxBytes of payload, and at least one message. channel.mu
// is held.
func (w *work) take(maxBytes int) {
	w.before += uint64(len(w.messages))
	n, size := 0, 0
	for n < len(w.pending) && (n == 0 || size+len(w.pending[n].Payload) <= maxBytes) {
		size += len(w.pending[n].Payload)
		n++
	}
	w.bytes = size
	w.pendingBytes -= size + n*messageOverhead
	clear(w.messages)
	if n == len(w.pending) {
		w.messages, w.pending = w.pending, w.messages[:0]
	} else {
		// Only under overload is there a rest, and moving it costs less than one delivery.
		w.messages = append(w.messages[:0], w.pending[:n]...)
		rest := copy(w.pending, w.pending[n:])
		clear(w.pending[rest:])
		w.pending = w.pending[:rest]
	}
	w.makeRoom()
}

// makeRoom wakes the publishers that wait for room. channel.mu is held.
func (w *work) makeRoom() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// enter takes those who joined out of joining: into the member slice if they are owed every message from before on, into late if
// they are owed some of those taken. The rest goes on waiting. channel.mu is held, and the member slice is not frozen.
func (w *work) enter() {
	keep := w.joining[:0]
	end := w.before + uint64(len(w.messages))
	for _, j := range w.joining {
		switch {
		case j.after <= w.before:
			w.channel.add(j.m)
		case j.after < end:
			j.m.where = late
			w.late = append(w.late, j)
		default:
			j.m.place = int32(len(keep))
			keep = append(keep, j)
		}
	}
	clear(w.joining[len(keep):])
	w.joining = keep
}

// settle merges what happened to the membership during the pass into the member slice, which is no longer frozen. channel.mu is
// held.
func (w *work) settle() {
	for _, j := range w.late {
		if j.m.where == gone {
			j.m.where = out
			continue
		}
		w.channel.add(j.m)
	}
	for _, m := range w.leaving {
		w.channel.remove(m)
	}
	w.late = cleared(w.late)
	w.leaving = cleared(w.leaving)
}

// rest ends the busy time of the channel: nothing is pending, or nobody is left to deliver it to. It reports whether the channel
// may be removed. channel.mu is held; the caller then gives w back.
func (w *work) rest() (empty bool) {
	c := w.channel
	for _, j := range w.joining {
		c.add(j.m)
	}
	w.makeRoom()
	w.flushed(w.arrived)
	c.work = nil
	return c.quiet()
}

// abandon ends the busy time of the channel without a pass, because the hub is closed. No pass has begun.
func (w *work) abandon() {
	c := w.channel
	c.mu.Lock()
	empty := w.rest()
	c.mu.Unlock()
	w.giveBack()
	if empty {
		c.hub.remove(c)
	}
}
