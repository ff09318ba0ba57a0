package telemetry

import "time"

// Sources read what others count already, at the moment of a scrape or of an EMF line. Nothing is counted twice that
// way, and a delivery costs no call into Prometheus. A nil function reads as zero. They are called from several
// goroutines and must not block.
type Sources struct {
	State       func() string // starting, ready, draining or stopped
	Connections func() int64  // open now, those in their close handshake included
	Channels    func() int64  // with at least one subscriber
	QueueBytes  func() int64  // waiting in connection queues; a shared frame counts once a connection

	// Totals since the start; they must never fall.
	MessagesIn  func() int64 // messages of clients
	MessagesOut func() int64 // messages given to connections: a broadcast to n counts n
	BytesIn     func() int64 // from upgraded connections, on the wire
	BytesOut    func() int64 // to them, on the wire

	// Of the broker between tasks; all zero with the one in memory, which is always there.
	BrokerConnected func() int64 // 1 while every server of it is connected
	BrokerPublished func() int64 // messages it took; a total, as the following
	BrokerFailed    func() int64 // messages it did not take: senders were told "unavailable"
	BrokerFilled    func() int64 // messages that pub/sub lost and the stream had
	BrokerBreaks    func() int64 // channels whose continuity could not be proved: their clients were asked to come back
	BrokerLost      func() int64 // connections to it that broke

	DrainRemaining func() int64         // connections the drain still waits for; 0 before it
	DrainElapsed   func() time.Duration // since the drain began; stands still at its end
	DrainForced    func() int64         // connections cut instead of closed; a total
}

// orZero replaces each nil function by one that returns zero.
func (s Sources) orZero() Sources {
	for _, f := range []*func() int64{&s.Connections, &s.Channels, &s.QueueBytes, &s.MessagesIn, &s.MessagesOut,
		&s.BytesIn, &s.BytesOut, &s.DrainRemaining, &s.DrainForced,
		&s.BrokerConnected, &s.BrokerPublished, &s.BrokerFailed, &s.BrokerFilled, &s.BrokerBreaks, &s.BrokerLost} {
		if *f == nil {
			*f = func() int64 { return 0 }
		}
	}
	if s.State == nil {
		s.State = func() string { return "starting" }
	}
	if s.DrainElapsed == nil {
		s.DrainElapsed = func() time.Duration { return 0 }
	}
	return s
}
