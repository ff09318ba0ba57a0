package httpapi

import "time"

// bucket is a token bucket small enough to have one for each connection; its
// rate and burst live with the server. Not safe for concurrent use: a
// connection's messages come one after another.
type bucket struct {
	tokens float32
	// at is when tokens was last right, in milliseconds on the server's clock;
	// it wraps after 49 days, which a subtraction survives.
	at      uint32
	strikes uint32
}

// allowance is what every connection may do.
type allowance struct {
	rate    float64 // messages a second; 0: no limit
	burst   int     // messages at once after a pause
	strikes int     // refusals after which the connection is closed; 0: never
}

type verdict uint8

const (
	allowed verdict = iota
	refused
	banned
)

// take judges one more message at now, the time since the server started. The
// strikes are forgotten once the bucket is full again: a client that overdid it
// once and then stopped is no offender.
func (b *bucket) take(a *allowance, now time.Duration) verdict {
	if a.rate == 0 {
		return allowed
	}
	ms := uint32(now.Milliseconds())
	b.tokens += float32(float64(ms-b.at) / 1000 * a.rate)
	b.at = ms
	if b.tokens >= float32(a.burst) {
		b.tokens, b.strikes = float32(a.burst), 0
	}
	if b.tokens >= 1 {
		b.tokens--
		return allowed
	}
	b.strikes++
	if a.strikes > 0 && b.strikes > uint32(a.strikes) {
		return banned
	}
	return refused
}

// fill makes a new connection's bucket.
func (a *allowance) fill(now time.Duration) bucket {
	return bucket{tokens: float32(a.burst), at: uint32(now.Milliseconds())}
}
