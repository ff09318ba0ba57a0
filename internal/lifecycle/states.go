// Package lifecycle holds what a task goes through between its first and its last moment: the states, the pure planner
// that spreads closes over a window, the runner that obeys it, and the order in which a server starts and leaves.
// It knows no socket, HTTP or AWS; the wiring hands it functions.
package lifecycle

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// State is what a task is doing. The order only goes forward:
//
//	starting ──▶ ready ──▶ draining ──▶ stopped
//	    │                     ▲            ▲
//	    ├── drain asked ──────┘            │
//	    └── could not start ───────────────┘
//
//	state     /health  /ready  upgrades  connections
//	starting  200      503     refused   none
//	ready     200      200     taken     kept
//	draining  200      503     refused   asked to leave, one after another
//	stopped   –        –       –         none
//
// /health stays 200 while draining: a failing container health check would have the task killed in the middle of it.
type State uint32

// The states, in their order.
const (
	Starting State = iota
	Ready
	Draining
	Stopped
)

// String gives the word used in logs and /status.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("State(%d)", uint32(s))
}

// Transition is one step of a Machine, as its observers see it.
type Transition struct {
	From, To State
	Reason   string // why the drain was asked for; empty for every other step
}

// Machine keeps the state of one task. The zero value is ready for use, in Starting. All methods may be called from any
// goroutine, observers included.
type Machine struct {
	state atomic.Uint32 // written under mu, read without: it is asked on every upgrade

	// mu guards the following.
	mu        sync.Mutex
	reason    string
	draining  chan struct{} // made on first use, closed when the drain starts
	observers []func(Transition)
	pending   []Transition // steps no observer has been told of yet
	telling   bool         // somebody is working pending off
}

// State is the present state; one atomic load.
func (m *Machine) State() State { return State(m.state.Load()) }

// Ready goes from starting to ready and says whether it did. False means that a drain was asked for while starting (or
// that the task is already ready): the caller goes straight on to draining.
func (m *Machine) Ready() bool {
	m.mu.Lock()
	if m.State() != Starting {
		m.mu.Unlock()
		return false
	}
	m.advance(Ready, "")
	return true
}

// Drain starts the drain, from starting or ready, and says whether this call was the one. The first reason is kept;
// later calls change nothing, so any number of triggers make one drain.
func (m *Machine) Drain(reason string) bool {
	m.mu.Lock()
	if m.State() >= Draining {
		m.mu.Unlock()
		return false
	}
	m.reason = reason
	m.advance(Draining, reason)
	return true
}

// Stop goes to stopped from whatever state and says whether it did. It also closes Draining, so that nobody waits for
// the drain of a task that never started.
func (m *Machine) Stop() bool {
	m.mu.Lock()
	if m.State() == Stopped {
		m.mu.Unlock()
		return false
	}
	m.advance(Stopped, "")
	return true
}

// Draining is closed once the drain has started. Whoever is woken by it already sees State() ≥ Draining.
func (m *Machine) Draining() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drainingLocked()
}

// Reason is why the drain was asked for; empty before it.
func (m *Machine) Reason() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reason
}

// Observe adds a function to be told of every later transition: one at a time, in their order, after the state changed.
// It is called on a goroutine that caused a transition, so it should be quick; it may call the machine.
func (m *Machine) Observe(observer func(Transition)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observers = append(m.observers, observer)
}

func (m *Machine) drainingLocked() chan struct{} {
	if m.draining == nil {
		m.draining = make(chan struct{})
	}
	return m.draining
}

// advance is called with mu held and gives it back. Observers run without mu, since one that asks the machine anything
// would wait for itself; the pending list keeps their order when transitions come from several goroutines or from an
// observer.
func (m *Machine) advance(to State, reason string) {
	from := m.State()
	m.state.Store(uint32(to))
	if from < Draining && to >= Draining {
		close(m.drainingLocked())
	}
	m.pending = append(m.pending, Transition{From: from, To: to, Reason: reason})
	if m.telling {
		m.mu.Unlock()
		return
	}
	m.telling = true
	for len(m.pending) > 0 {
		step := m.pending[0]
		m.pending = m.pending[1:]
		observers := m.observers
		m.mu.Unlock()
		for _, observer := range observers {
			observer(step)
		}
		m.mu.Lock()
	}
	m.telling = false
	m.mu.Unlock()
}
