package lifecycle

import (
	"math/bits"
	"time"
)

// Plan spreads the closes of a drain evenly over a window: of n connections, number i (from 0) is asked to close at
// window·i/n. A single connection goes at once, the last of many just before the window ends. Pure: it holds no clock
// and no connection.
//
// Rejected: random times. They are as even only on average, and a bad draw is a small herd of its own. Rejected: a fixed
// interval in nanoseconds; rounding 10 s / 15,000 and adding it up misses the window's end.
type Plan struct {
	Connections int           // how many are to be closed; 0 or less: none
	Window      time.Duration // the time to spread them over; 0 or less: all at once
}

// Due is how many must have been asked to close once elapsed has passed since the start. It never falls as elapsed
// grows, and is Connections from the window's end on. Exact for every window and number: products are held in 128 bits.
func (p Plan) Due(elapsed time.Duration) int {
	switch {
	case p.Connections <= 0 || elapsed < 0:
		return 0
	case elapsed >= p.Window:
		return p.Connections
	}
	// elapsed < window, so the quotient is below n: it fits, and there is always room for the one at 0.
	hi, lo := bits.Mul64(uint64(elapsed), uint64(p.Connections))
	before, _ := bits.Div64(hi, lo, uint64(p.Window))
	return int(before) + 1
}

// Next is when, since the start, the next one is due if done have been asked: the first moment at which Due exceeds done.
// With nobody left it is the window's end.
func (p Plan) Next(done int) time.Duration {
	switch {
	case p.Window <= 0:
		return 0
	case done >= p.Connections:
		return p.Window
	case done <= 0:
		return 0
	}
	n := uint64(p.Connections)
	hi, lo := bits.Mul64(uint64(p.Window), uint64(done))
	lo, carry := bits.Add64(lo, n-1, 0) // round up, or Due(Next(done)) could still be done
	at, _ := bits.Div64(hi+carry, lo, n)
	return time.Duration(at)
}
