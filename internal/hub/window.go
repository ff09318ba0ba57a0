package hub

import (
	"slices"
	"time"
)

// HistoryOptions bounds what a hub keeps for resuming. If any of the bounds is not above 0, nothing is kept.
type HistoryOptions struct {
	// Messages is how many messages one channel keeps at most. Larger: busy channels can be resumed after longer absences, and
	// a replay is longer.
	Messages int

	// Bytes is how much one channel keeps at most: payload plus 64 for each message. A replay is about as large, so that it
	// should fit into a connection's output queue.
	Bytes int

	// Age is how long a message is kept at most, and a channel without members with Options.Linger. It is measured by the times
	// given to Sweep, so messages live up to a second less or more. It should cover a deploy: the time a client needs to be back.
	Age time.Duration

	// TotalBytes is how much all channels keep at most, what it costs to keep it included. A quarter is set aside for encoded
	// replays, which are shared by all who resume. When the rest is full, windows of channels without members go first, longest
	// idle first, and then the oldest messages of the channel that grows.
	TotalBytes int
}

func (o HistoryOptions) on() bool {
	return o.Messages > 0 && o.Bytes > 0 && o.Age > 0 && o.TotalBytes > 0
}

// window is a channel's last messages: a run without a gap that ends at the channel's head. It is cut into blocks, because blocks
// make good batches: all who resume share a block's batch, wherever in the window they begin. A ring of messages, each with its
// frames, was rejected: a replay of 1,000 messages would be 1,000 little batches or a copy for each client.
//
// A window keeps payloads and no frames of the passes: they would cost as much again for each form, for clients that may never
// return, and the first replay that wants a form encodes it once for all (see replay.go).
//
// The methods are called with channel.mu held.
type window struct {
	blocks []*block
	count  int // of messages in the window
	bytes  int // their cost
	cost   int // of the blocks, with what is before the window in the first of them
	frames int // of the frames of the blocks
}

// block is a run of messages. Entries are appended only and not changed, so that what a reader found under the lock it may go on
// reading without.
type block struct {
	first   uint64 // offset of entries[0]
	entries []entry
	size    int // cost of the entries, as in window.bytes
	closed  bool
	frames  []frames
}

// entry is one message. Its position follows from its place.
type entry struct {
	payload []byte
	at      int64 // when it arrived, by the hub's clock
}

const (
	// blockMessages and blockBytes bound a block; in a short window it is an eighth of the window. 64 messages share one queue
	// entry of a connection and one allocation. The memory of a block is freed with its last message, so larger blocks would
	// make windows hold more than their bounds.
	blockMessages = 64
	blockBytes    = 32 << 10

	// blockOverhead is what an empty block costs.
	blockOverhead = 192
)

// first is the offset of the oldest message in the window, or that of the next message if there is none.
func (w *window) first(head uint64) uint64 { return head + 1 - uint64(w.count) }

// append adds the message at offset, which is the one after the window's last. A block has limit messages at most.
func (w *window) append(payload []byte, at int64, offset uint64, limit int) {
	n := len(w.blocks)
	if n == 0 || w.blocks[n-1].closed {
		w.blocks = append(w.blocks, &block{first: offset})
		w.cost += blockOverhead
		n++
	}
	w.add(w.blocks[n-1], entry{payload, at}, limit)
}

func (w *window) add(b *block, e entry, limit int) {
	c := cost(e.payload)
	b.entries = append(b.entries, e)
	b.size += c
	b.closed = len(b.entries) >= limit || b.size >= blockBytes
	w.count++
	w.bytes += c
	w.cost += c
}

// prepend puts messages, of which the last comes just before the window's first, in front of the window.
func (w *window) prepend(messages []Message, at int64, limit int) {
	var front []*block
	var b *block
	for _, m := range messages {
		if b == nil || b.closed {
			b = &block{first: m.Position.Offset}
			front = append(front, b)
			w.cost += blockOverhead
		}
		w.add(b, entry{m.Payload, at}, limit)
	}
	w.blocks = append(front, w.blocks...)
}

// trim takes what exceeds the bounds off the old end, and what arrived at expired or before.
func (w *window) trim(o *HistoryOptions, head uint64, expired int64) {
	for w.count > 0 {
		b := w.blocks[0]
		i := w.first(head) - b.first
		e := &b.entries[i]
		if w.count <= o.Messages && w.bytes <= o.Bytes && e.at > expired {
			break
		}
		w.count--
		w.bytes -= cost(e.payload)
		if i == uint64(len(b.entries)-1) {
			w.drop()
		}
	}
}

// drop lets go of the first block, of which no message is in the window any more.
func (w *window) drop() {
	b := w.blocks[0]
	w.cost -= blockOverhead + b.size
	w.frames -= b.framesCost()
	w.blocks[0] = nil
	w.blocks = w.blocks[1:]
	if len(w.blocks) == 0 {
		w.blocks = nil
	}
}

// dropOldest takes the messages of the first block off the window.
func (w *window) dropOldest(head uint64) {
	b := w.blocks[0]
	for _, e := range b.entries[w.first(head)-b.first:] {
		w.count--
		w.bytes -= cost(e.payload)
	}
	w.drop()
}

// span is the part of a block that a replay needs.
type span struct {
	block    *block
	from, to uint64  // the messages after offset from, the last of them at to
	entries  []entry // block.entries when the replay began
	closed   bool    // block.closed at that time
}

// spans are the messages after an offset that is not before the window, to the end.
func (w *window) spans(after, head uint64) []span {
	if after >= head {
		return nil
	}
	// Blocks have different lengths, so search.
	i, found := slices.BinarySearchFunc(w.blocks, after+1, func(b *block, offset uint64) int {
		switch {
		case b.first+uint64(len(b.entries)) <= offset:
			return -1
		case b.first > offset:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	spans := make([]span, 0, len(w.blocks)-i)
	for _, b := range w.blocks[i:] {
		spans = append(spans, span{b, max(after, b.first-1), b.first + uint64(len(b.entries)) - 1, b.entries, b.closed})
	}
	return spans
}
