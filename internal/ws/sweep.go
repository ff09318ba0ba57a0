package ws

import "time"

// sweepSteps is into how many strides the ping sweep cuts the table: each
// stride pings its part, so that 100,000 pings are spread over the interval
// and the answers with them.
const sweepSteps = 32

// deadlineGrain is how often deadlines are looked at: they are seconds long.
const deadlineGrain = 250 * time.Millisecond

// sweep pings and enforces deadlines until the engine stops. One goroutine for
// all connections, because a timer for each would cost more memory than the
// connection itself.
func (e *Engine) sweep() {
	defer e.swept.Done()
	grain := deadlineGrain
	for _, d := range []time.Duration{e.opts.CloseTimeout, e.opts.WriteStall} {
		grain = max(min(grain, d/4), time.Millisecond)
	}
	deadlines := time.NewTicker(grain)
	defer deadlines.Stop()
	var pings <-chan time.Time
	if e.opts.PingInterval > 0 {
		t := time.NewTicker(max(e.opts.PingInterval/sweepSteps, time.Millisecond))
		defer t.Stop()
		pings = t.C
	}
	for step := 0; ; {
		select {
		case <-e.stopSweep:
			return
		case <-deadlines.C:
			e.checkDeadlines()
		case <-pings:
			e.pingStride(step)
			step = (step + 1) % sweepSteps
		}
	}
}

// pingStride pings the connections whose slot is step modulo sweepSteps.
func (e *Engine) pingStride(step int) {
	e.mu.Lock()
	var due []*Conn
	for i := step; i < len(e.slots); i += sweepSteps {
		if c := e.slots[i]; c != nil {
			due = append(due, c)
		}
	}
	e.mu.Unlock()
	for _, c := range due {
		c.ping()
	}
}

func (e *Engine) checkDeadlines() {
	e.timedMu.Lock()
	due := make([]*Conn, 0, len(e.timed))
	for c := range e.timed {
		due = append(due, c)
	}
	e.timedMu.Unlock()
	now := e.now()
	for _, c := range due {
		c.check(now)
	}
}

func (e *Engine) addTimed(c *Conn) {
	e.timedMu.Lock()
	e.timed[c] = struct{}{}
	e.timedMu.Unlock()
}

func (e *Engine) removeTimed(c *Conn) {
	e.timedMu.Lock()
	delete(e.timed, c)
	e.timedMu.Unlock()
}
