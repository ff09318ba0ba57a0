package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// DefaultGrace is the time for the last connections to answer their close: as long as the engine waits for the peer's
	// close frame, since less would cut clients that are only slow.
	DefaultGrace = 5 * time.Second

	// tick is how closely the runner follows its plan: 1,500 closes a second go out in batches of 15. Finer would only
	// cost wake-ups; much coarser and each batch is a small herd.
	tick = 10 * time.Millisecond
	// look is the time between two looks for connections that opened after the snapshot.
	look = 100 * time.Millisecond
	// report is the time between two log lines of progress.
	report = time.Second
	// chunk is how many are asked between two looks at the context and the clock.
	chunk = 64
)

// Connection is an open connection as the drain sees it. Its dynamic type must be comparable (a pointer is), and the
// same connection must be the same value in every snapshot.
type Connection interface {
	// Leave asks the connection to close with 1001 "Server shutting down" after its queued output. It must not block,
	// and must do nothing on a connection that is closing or gone.
	Leave()
}

// DrainOptions are a drain's times and its hands. Snapshot, Open and Abort are required. The functions are called from
// the runner's goroutine; Open and Forced also by whoever asks for the progress.
type DrainOptions struct {
	// Window is the time to spread the closes over; 0: all at once. Longer is kinder to whoever takes the connections
	// over, and must fit the stop time-out: Window + Grace + MinHTTPTime ≤ stopTimeout, and ≤ deregistration delay.
	Window time.Duration
	// Grace is how long after the window the last may take to answer; 0: DefaultGrace. Keep it at or above the engine's
	// close time-out, or connections are cut that the engine would still have waited for.
	Grace time.Duration

	// Snapshot returns the connections open now. The slice is the runner's to keep.
	Snapshot func() []Connection
	// Open is the number of connections open now. Asked about 100 times a second, so it should be cheap.
	Open func() int
	// Arriving is the number of upgrades past admission that Open does not count yet; nil: none, ever. To be exact, an
	// upgrade counts as arriving before it asks for the state, and until Open counts it or it has been refused.
	Arriving func() int
	// Abort drops every connection at once, without a close frame, and returns how many it dropped. Those must not show
	// up in Forced as well.
	Abort func() int
	// Forced is a running total of the connections the engine dropped because they did not answer a close in time;
	// nil: it never does. It must rise before Open falls. Only its growth during the drain counts.
	Forced func() int

	Logger *slog.Logger // nil: no log
}

// Drainer asks connections to leave at the pace of a Plan, waits for them, and cuts what is left when the budget (window
// plus grace) ends. Nobody waits for anybody: a connection that never answers costs the others nothing.
//
// One goroutine, the caller's of Run, does it all. Rejected: a timer or goroutine for each connection (15,000 stacks at
// the moment when the task has the least memory to give), and waiting for one to close before asking the next.
type Drainer struct {
	o        DrainOptions
	finished chan struct{} // closed at the end; a sync.Once instead would stop virtual time for whoever waits in it
	cut      int           // what Abort dropped at the end; for whoever has waited for finished

	// mu guards the following. No hook is called with it held.
	mu     sync.Mutex
	begun  bool
	start  time.Time // zero before the drain
	ended  bool
	total  int
	asked  int
	base   int // Forced at the start
	result Result
}

// NewDrainer checks the options and reports every fault of them at once.
func NewDrainer(o DrainOptions) (*Drainer, error) {
	var faults []error
	if o.Window < 0 {
		faults = append(faults, fmt.Errorf("drain window %v is negative: give 0 (all at once) or more", o.Window))
	}
	if o.Grace < 0 {
		faults = append(faults, fmt.Errorf("drain grace %v is negative: give 0 (the default, %v) or more", o.Grace, DefaultGrace))
	}
	if o.Snapshot == nil || o.Open == nil || o.Abort == nil {
		faults = append(faults, errors.New("drain options lack a function: Snapshot, Open and Abort are all required"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Arriving == nil {
		o.Arriving = func() int { return 0 }
	}
	if o.Forced == nil {
		o.Forced = func() int { return 0 }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Drainer{o: o, finished: make(chan struct{})}, nil
}

// Budget is the longest a drain takes: window plus grace.
func (d *Drainer) Budget() time.Duration { return d.o.Window + d.o.Grace }

// Run drains and returns when the last connection is gone, the budget has ended, or ctx is done; the latter two drop the
// rest. New upgrades must be refused already. A second call waits for the first and returns its result.
func (d *Drainer) Run(ctx context.Context) Result {
	d.mu.Lock()
	first := !d.begun
	d.begun = true
	d.mu.Unlock()
	if first {
		d.run(ctx)
		close(d.finished)
	}
	<-d.finished
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.result
}

// Progress is how far the drain has come.
func (d *Drainer) Progress() Progress {
	// The hooks first and unlocked: they are others' code. A drain that ends in between brings its own figures.
	open, forced := d.o.Open(), d.o.Forced()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := Progress{Total: d.total, Asked: d.asked, Window: d.o.Window, Budget: d.Budget()}
	switch {
	case d.start.IsZero():
	case d.ended:
		p.Forced, p.Elapsed = d.result.Forced, d.result.Elapsed
	default:
		p.Running, p.Remaining = true, open
		p.Forced, p.Elapsed = max(0, forced-d.base), time.Since(d.start)
	}
	return p
}

func (d *Drainer) run(ctx context.Context) {
	r := &round{Drainer: d, ctx: ctx, began: time.Now(), nextReport: report}
	base := d.o.Forced()
	r.list = d.o.Snapshot()
	r.plan = Plan{Connections: len(r.list), Window: d.o.Window}

	d.mu.Lock()
	d.start, d.base, d.total = r.began, base, len(r.list)
	d.mu.Unlock()
	d.o.Logger.Info("drain started", "connections", len(r.list), "window", d.o.Window, "budget", d.Budget())

	interrupted := r.loop()
	if !r.empty() {
		r.add(r.newcomers()) // counted before they are dropped
		d.cut = d.o.Abort()
	}
	d.end(interrupted)
}

// end freezes the figures.
func (d *Drainer) end(interrupted bool) {
	forced := d.o.Forced()
	d.mu.Lock()
	forced = max(0, forced-d.base) + d.cut
	d.total = max(d.total, forced)
	d.ended = true
	d.result = Result{
		Total:       d.total,
		Closed:      d.total - forced,
		Forced:      forced,
		Elapsed:     time.Since(d.start),
		Interrupted: interrupted,
	}
	result := d.result
	d.mu.Unlock()

	level := slog.LevelInfo
	if result.ExitCode() != 0 {
		level = slog.LevelWarn
	}
	d.o.Logger.Log(context.Background(), level, "drain ended", "result", result)
}

// cutLate drops what opened after the drain had ended and counts it as forced. With Arriving given and upgrades refused
// by state there is nothing to drop. After a drain that has cut the rest it does nothing: what is still open then is
// on its way out, and would be counted twice.
func (d *Drainer) cutLate() {
	if d.cut > 0 || d.o.Open() == 0 {
		return
	}
	n := d.o.Abort()
	if n == 0 {
		return
	}
	d.mu.Lock()
	d.total += n
	d.result.Total += n
	d.result.Forced += n
	d.mu.Unlock()
	d.o.Logger.Warn("connections that opened after the drain were cut", "connections", n)
}

// round is what only the running goroutine touches.
type round struct {
	*Drainer
	ctx   context.Context
	began time.Time
	plan  Plan

	list []Connection            // the connections at the start, in the order they are asked
	done int                     // list[:done] have been asked
	seen map[Connection]struct{} // from the first look on: the known ones that were still open then

	nextReport, nextLook, lastBatch time.Duration // since the start
}

// loop returns true when ctx ended it; else everybody is gone or the budget is used up.
func (r *round) loop() (interrupted bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.ctx.Done():
		case <-timer.C:
		}
		if r.ctx.Err() != nil { // asked apart: with both ready, select draws lots
			return true
		}
		elapsed := time.Since(r.began)
		if r.empty() || elapsed >= r.Budget() {
			return false
		}
		r.ask(r.plan.Due(elapsed), elapsed)
		if r.done == len(r.list) && elapsed >= r.nextLook {
			// Late: an upgrade was in flight when the drain began. There is no window left to spread them over, and
			// they are few.
			r.nextLook = elapsed + look
			late := r.newcomers()
			r.add(late)
			for _, c := range late {
				c.Leave()
			}
			r.countAsked(len(late))
		}
		if elapsed >= r.nextReport {
			r.nextReport = elapsed.Truncate(report) + report
			p := r.Progress()
			r.o.Logger.Info("draining", "left", p.Remaining, "asked", p.Asked, "total", p.Total, "forced", p.Forced,
				"elapsed", p.Elapsed.Round(tick))
		}
		timer.Reset(r.wait())
	}
}

// empty: nobody is open and nobody can come any more. Arriving is asked first: whoever stops arriving before that is in
// Open by now, and whoever starts after finds the state to be draining.
func (r *round) empty() bool { return r.o.Arriving() == 0 && r.o.Open() == 0 }

// ask has list[:due] asked, unless the context or the budget ends in the middle of it.
func (r *round) ask(due int, elapsed time.Duration) {
	if r.done < due {
		r.lastBatch = elapsed
	}
	for r.done < due && r.ctx.Err() == nil && time.Since(r.began) < r.Budget() {
		next := min(due, r.done+chunk)
		for _, c := range r.list[r.done:next] {
			c.Leave()
		}
		r.countAsked(next - r.done)
		r.done = next
	}
}

// wait is the time to the next wake-up: a tick, for the early end, unless somebody is due or the budget ends before.
// Batches are a tick apart, but for the last: it does not wait beyond the moment its last connection is due.
func (r *round) wait() time.Duration {
	elapsed := time.Since(r.began)
	at := min(elapsed+tick, r.Budget())
	if n := len(r.list); r.done < n {
		batch := max(r.plan.Next(r.done), r.lastBatch+tick)
		at = min(at, batch, r.plan.Next(n-1))
	}
	return max(0, at-elapsed)
}

// newcomers returns the connections open now that the drain has not known of. Only what is open is remembered from
// one look to the next: a known connection missing from a snapshot is gone for good, so the memory is that of the
// stragglers, not of everybody.
func (r *round) newcomers() []Connection {
	now := r.o.Snapshot()
	open := make(map[Connection]struct{}, len(now))
	for _, c := range now {
		open[c] = struct{}{}
	}
	known := r.seen
	if known == nil {
		known = make(map[Connection]struct{}, len(now))
		for _, c := range r.list {
			if _, still := open[c]; still {
				known[c] = struct{}{}
			}
		}
	}
	var late []Connection
	for _, c := range now {
		if _, ok := known[c]; !ok {
			late = append(late, c)
		}
	}
	r.seen = open
	return late
}

func (r *round) add(late []Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += len(late)
}

func (r *round) countAsked(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked += n
}
