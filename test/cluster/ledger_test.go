//go:build integration

package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// position is what only tests read from a position.
type position struct {
	epoch  string
	offset uint64
}

func parsePosition(text string) (position, error) {
	epoch, number, ok := strings.Cut(text, ":")
	offset, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || epoch == "" {
		return position{}, fmt.Errorf("%q is no position", text)
	}
	return position{epoch, offset}, nil
}

func (p position) String() string { return p.epoch + ":" + strconv.FormatUint(p.offset, 10) }

func (p position) next() position { return position{p.epoch, p.offset + 1} }

// ledger is what anybody was told about a channel. Every message of a test has a text of its own.
type ledger struct {
	mu       sync.Mutex          // guards the following
	at       map[position]string // what is at a position, by whoever saw it first
	of       map[string]position // the reverse
	accepted map[string]position // what publishers were told is kept; without an epoch where they were not told where
	refused  int                 // times that publishers were told `unavailable`
	faults   []string
}

func newLedger() *ledger {
	return &ledger{at: make(map[position]string), of: make(map[string]position), accepted: make(map[string]position)}
}

// fault notes what must not be; the first few say enough.
func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blame(format, args...)
}

func (l *ledger) blame(format string, args ...any) {
	if len(l.faults) < 20 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// saw notes that who was handed text at p.
func (l *ledger) saw(who string, p position, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, ok := l.at[p]; ok && other != text {
		l.blame("%s saw %.40q at %v, where another saw %.40q", who, text, p, other)
	}
	if other, ok := l.of[text]; ok && other != p {
		l.blame("%s saw %.40q at %v, and it is at %v too", who, text, p, other)
	}
	l.at[p], l.of[text] = text, p
}

// took notes that a publisher was told that text is at p, or that it is kept.
func (l *ledger) took(who string, text string, p position) {
	if p.epoch != "" {
		l.saw(who, p, text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[text] = p
}

func (l *ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

// counts are how many messages were accepted and how many attempts refused.
func (l *ledger) counts() (accepted, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted), l.refused
}
