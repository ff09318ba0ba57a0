package lifecycle

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestMachine(t *testing.T) {
	type step struct {
		do   func(*Machine) bool
		want bool
	}
	ready := func(want bool) step { return step{(*Machine).Ready, want} }
	stop := func(want bool) step { return step{(*Machine).Stop, want} }
	drain := func(reason string, want bool) step {
		return step{func(m *Machine) bool { return m.Drain(reason) }, want}
	}
	for _, tc := range []struct {
		name   string
		steps  []step
		want   State
		reason string
		closed bool // Draining
	}{
		{"a new machine is starting", nil, Starting, "", false},
		{"it becomes ready once", []step{ready(true), ready(false)}, Ready, "", false},
		{"a ready machine drains", []step{ready(true), drain("SIGTERM", true)}, Draining, "SIGTERM", true},
		{"a drain while starting skips ready", []step{drain("SIGTERM", true), ready(false)}, Draining, "SIGTERM", true},
		{"the first of two reasons is kept", []step{ready(true), drain("target draining", true), drain("SIGTERM", false)},
			Draining, "target draining", true},
		{"a drained machine stops once", []step{ready(true), drain("x", true), stop(true), stop(false)}, Stopped, "x", true},
		{"a machine that could not start stops and keeps nobody waiting", []step{stop(true)}, Stopped, "", true},
		{"nothing goes back from stopped", []step{stop(true), ready(false), drain("x", false)}, Stopped, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m Machine
			for i, s := range tc.steps {
				if got := s.do(&m); got != s.want {
					t.Errorf("step %d returned %v, want %v", i, got, s.want)
				}
			}
			if m.State() != tc.want || m.Reason() != tc.reason {
				t.Errorf("state %v, reason %q; want %v, %q", m.State(), m.Reason(), tc.want, tc.reason)
			}
			closed := false
			select {
			case <-m.Draining():
				closed = true
			default:
			}
			if closed != tc.closed {
				t.Errorf("Draining closed: %v, want %v", closed, tc.closed)
			}
		})
	}
}

func TestManyTriggersAtOnceMakeOneDrain(t *testing.T) {
	var m Machine
	m.Ready()
	drains := 0
	m.Observe(func(s Transition) {
		if s.To == Draining {
			drains++ // observers run one at a time
		}
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var winners []string
	for i := range 50 {
		wg.Go(func() {
			<-m.Draining()
			if m.State() < Draining {
				t.Error("woken by Draining, but the state is still", m.State())
			}
		})
		wg.Go(func() {
			reason := fmt.Sprint("trigger ", i)
			if m.Drain(reason) {
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, reason)
			}
		})
	}
	wg.Wait()
	if drains != 1 || len(winners) != 1 || winners[0] != m.Reason() {
		t.Errorf("%d drains seen, winners %q, reason %q; want one", drains, winners, m.Reason())
	}
}

func TestObserversSeeEachTransitionInOrderEvenWhenTheyCauseOne(t *testing.T) {
	var m Machine
	var seen []Transition
	m.Observe(func(s Transition) {
		if s.To == Ready {
			m.Drain("asked by an observer")
		}
	})
	m.Observe(func(s Transition) { seen = append(seen, s) })
	m.Ready()
	m.Stop()
	want := []Transition{
		{Starting, Ready, ""},
		{Ready, Draining, "asked by an observer"},
		{Draining, Stopped, ""},
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

func TestStatesHaveNames(t *testing.T) {
	for s, want := range map[State]string{
		Starting: "starting", Ready: "ready", Draining: "draining", Stopped: "stopped", 9: "State(9)",
	} {
		if got := s.String(); got != want {
			t.Errorf("%d is called %q, want %q", uint32(s), got, want)
		}
	}
}

func TestAskingForTheStateAllocatesNothing(t *testing.T) {
	var m Machine
	if n := testing.AllocsPerRun(100, func() { _ = m.State() }); n != 0 {
		t.Errorf("State allocates %v times", n)
	}
}
