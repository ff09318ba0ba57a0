package hub

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of what the hub holds and has done since it was made. The values are read one after another, not at one
// instant.
type Stats struct {
	Channels  int    // channels with at least one subscriber or a pass that has yet to end, and those kept without
	Members   int    // subscribers in all channels
	Received  uint64 // messages the broker handed over, those for a channel that had just lost its last subscriber included
	Waits     uint64 // messages that had to wait because their channel was full
	Passes    uint64 // fan-out passes ended
	Batches   uint64 // Deliver calls: one per subscriber and pass
	Delivered uint64 // messages handed to subscribers: each message counts once per subscriber

	HistoryBytes int64  // kept for resuming: windows, keys, and channels without members
	FrameBytes   int64  // kept encoded for replays
	Recovered    uint64 // subscribers that resumed
	Unrecovered  uint64 // subscribers that wanted to resume and could not
	Replayed     uint64 // messages replayed: each counts once per subscriber
	Lost         uint64 // resumable subscribers sent away because continuity was broken
}

// PassInfo describes one fan-out pass, for histograms.
type PassInfo struct {
	Channel  string
	Messages int           // in the pass
	Bytes    int           // of payload in the pass
	Members  int           // subscribers delivered to
	Waited   time.Duration // from the moment the channel was queued to the start of the pass: the lag of a busy task
	Took     time.Duration // from the start of the pass to its end, turns of other channels in between included
}

// counters are updated once per call or per pass, never per delivery.
type counters struct {
	members   atomic.Int64
	received  atomic.Uint64
	waits     atomic.Uint64
	passes    atomic.Uint64
	batches   atomic.Uint64
	delivered atomic.Uint64

	recovered   atomic.Uint64
	unrecovered atomic.Uint64
	replayed    atomic.Uint64
	lost        atomic.Uint64
}

// Stats returns the present counts.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	channels := len(h.channels)
	h.mu.Unlock()
	return Stats{
		Channels:  channels,
		Members:   int(h.counters.members.Load()),
		Received:  h.counters.received.Load(),
		Waits:     h.counters.waits.Load(),
		Passes:    h.counters.passes.Load(),
		Batches:   h.counters.batches.Load(),
		Delivered: h.counters.delivered.Load(),

		HistoryBytes: h.store.messages.Load(),
		FrameBytes:   h.store.frames.Load(),
		Recovered:    h.counters.recovered.Load(),
		Unrecovered:  h.counters.unrecovered.Load(),
		Replayed:     h.counters.replayed.Load(),
		Lost:         h.counters.lost.Load(),
	}
}
