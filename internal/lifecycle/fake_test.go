package lifecycle

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// closeTimeout is the fake engine's: how long it awaits the answer to a close.
const closeTimeout = 5 * time.Second

// fakeEngine stands for the WebSocket engine as the wiring shows it to a Drainer. Times are those of the bubble.
type fakeEngine struct {
	// mu guards the following and the fields of every fake of this engine.
	mu     sync.Mutex
	began  time.Time
	open   map[*fake]bool
	asked  []time.Duration // when each was asked to leave while open, since began
	again  int             // asked a second time
	forced int
	cut    int // by Abort
	coming int // Arriving
}

// fake is a connection; answer is what its client makes of a close.
type fake struct {
	e      *fakeEngine
	answer func(*fake)
	asked  bool
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{began: time.Now(), open: map[*fake]bool{}}
}

// connect opens n connections.
func (e *fakeEngine) connect(n int, answer func(*fake)) []*fake {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*fake
	for range n {
		f := &fake{e: e, answer: answer}
		e.open[f] = true
		all = append(all, f)
	}
	return all
}

// answersAfter is a client that answers the close after d; 0: within Leave.
func answersAfter(d time.Duration) func(*fake) {
	return func(f *fake) {
		if d == 0 {
			f.gone()
			return
		}
		time.AfterFunc(d, f.gone)
	}
}

// isSilent never answers: the engine drops it after its close time-out and counts it.
func isSilent(f *fake) {
	time.AfterFunc(closeTimeout, func() {
		f.e.mu.Lock()
		defer f.e.mu.Unlock()
		if f.e.open[f] {
			f.e.forced++
			delete(f.e.open, f)
		}
	})
}

// isStuck never answers, and the engine never gets to dropping it.
func isStuck(*fake) {}

// gone: the connection closed without force.
func (f *fake) gone() {
	f.e.mu.Lock()
	defer f.e.mu.Unlock()
	delete(f.e.open, f)
}

func (f *fake) Leave() {
	if f.e.markAsked(f) {
		f.answer(f)
	}
}

func (e *fakeEngine) markAsked(f *fake) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f.asked {
		e.again++
	}
	if f.asked || !e.open[f] {
		return false
	}
	f.asked = true
	e.asked = append(e.asked, time.Since(e.began))
	return true
}

func (e *fakeEngine) snapshot() []Connection {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Connection
	for f := range e.open {
		all = append(all, f)
	}
	return all
}

func (e *fakeEngine) abort() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.open)
	clear(e.open)
	e.cut += n
	return n
}

func (e *fakeEngine) count(of func() int) func() int {
	return func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return of()
	}
}

// drainer makes a Drainer on the engine, and fails the test if it cannot.
func (e *fakeEngine) drainer(t *testing.T, window time.Duration, log *slog.Logger) *Drainer {
	t.Helper()
	d, err := NewDrainer(DrainOptions{
		Window:   window,
		Snapshot: e.snapshot,
		Open:     e.count(func() int { return len(e.open) }),
		Arriving: e.count(func() int { return e.coming }),
		Abort:    e.abort,
		Forced:   e.count(func() int { return e.forced }),
		Logger:   log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// logBook keeps log lines.
type logBook struct {
	mu  sync.Mutex // mu guards buf
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

// lines returns the lines with this message, decoded.
func (b *logBook) lines(t *testing.T, msg string) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []map[string]any
	for line := range bytes.Lines(b.buf.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		if m["msg"] == msg {
			found = append(found, m)
		}
	}
	return found
}
