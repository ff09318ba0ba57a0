package valkey

import (
	"sync/atomic"
	"time"
)

// RoundTripBounds are the upper bounds of Stats.RoundTrips' buckets. A script takes 20 µs, a network in one region 0.3 to 2 ms.
var RoundTripBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second,
}

// Stats is a snapshot of what the broker holds and has done since it was made. The values are read one after another, not at one
// instant.
type Stats struct {
	Connected  bool           // to every server there is
	Servers    int            // known: 1, or the primaries of the cluster
	Channels   int            // subscribed to
	Published  uint64         // messages taken by the server
	Failed     [causes]uint64 // messages not taken, by Cause
	Received   uint64         // messages handed to sinks
	Duplicates uint64         // messages that arrived again and were dropped: what pub/sub brought after the stream had
	Filled     uint64         // messages handed to sinks that came from the stream, not from pub/sub
	Breaks     uint64         // channels whose continuity could not be proved
	Lost       uint64         // connections lost
	Connects   uint64         // connections made
	Malformed  uint64         // pub/sub messages that could not be read: somebody else publishes under the prefix

	// RoundTrips counts batches of publishes by the time from writing to the last answer; the last bucket is everything beyond
	// RoundTripBounds. RoundTripSum is their sum.
	RoundTrips   [len(RoundTripBounds) + 1]uint64
	RoundTripSum time.Duration
}

type counters struct {
	published, received, duplicates, filled, breaks, lost, connects, malformed atomic.Uint64

	failed       [causes]atomic.Uint64
	roundTrips   [len(RoundTripBounds) + 1]atomic.Uint64
	roundTripSum atomic.Int64
}

func (c *counters) roundTrip(d time.Duration) {
	i := 0
	for i < len(RoundTripBounds) && d > RoundTripBounds[i] {
		i++
	}
	c.roundTrips[i].Add(1)
	c.roundTripSum.Add(int64(d))
}

// Stats returns the present counts.
func (b *Broker) Stats() Stats {
	c := &b.counters
	s := Stats{
		Published: c.published.Load(), Received: c.received.Load(), Duplicates: c.duplicates.Load(), Filled: c.filled.Load(),
		Breaks: c.breaks.Load(), Lost: c.lost.Load(), Connects: c.connects.Load(), Malformed: c.malformed.Load(),
		RoundTripSum: time.Duration(c.roundTripSum.Load()),
	}
	for i := range c.failed {
		s.Failed[i] = c.failed[i].Load()
	}
	for i := range c.roundTrips {
		s.RoundTrips[i] = c.roundTrips[i].Load()
	}
	b.mu.Lock()
	for _, sub := range b.subs {
		if sub.control == nil {
			s.Channels++
		}
	}
	b.mu.Unlock()
	if t := b.table.Load(); t != nil {
		s.Servers = len(t.shards)
		s.Connected = len(t.shards) > 0
		for _, shard := range t.shards {
			s.Connected = s.Connected && shard.session.Load() != nil
		}
	}
	return s
}
