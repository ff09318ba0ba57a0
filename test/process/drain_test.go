//go:build integration

package process

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

func TestDrainWithNobodyThereIsImmediate(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := fairleadtest.Start(t) // with 10 s of window
		began := time.Now()
		s.Signal(sig)
		if code := s.Wait(fairleadtest.WaitTime); code != 0 || time.Since(began) > 5*time.Second {
			t.Errorf("%v: exit code %d after %v, want 0 at once", sig, code, time.Since(began))
		}
	}
}

func TestDrainOfOneIsImmediate(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := fairleadtest.Start(t)
		c := dial(t, s.WebSocket(""))
		began := time.Now()
		s.Signal(sig)
		if _, err := leaves(c); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
		c.Close()
		if code := s.Wait(fairleadtest.WaitTime); code != 0 || time.Since(began) > 5*time.Second {
			t.Errorf("%v: exit code %d after %v, want 0 at once", sig, code, time.Since(began))
		}
		if l := s.Log("stopped"); l.Text("reason") != map[syscall.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT"}[sig] {
			t.Errorf("%v: the log says %v", sig, l)
		}
	}
}

// crowd opens n connections and returns a function that waits until all have
// left, and says when each did.
func crowd(t *testing.T, s *fairleadtest.Server, n int) (gone func() []time.Time) {
	t.Helper()
	conns := make([]*websocket.Conn, n)
	for i := range conns {
		conns[i] = dial(t, s.WebSocket(""))
	}
	times, errs := make([]time.Time, n), make([]error, n)
	var reading sync.WaitGroup
	for i, c := range conns {
		reading.Go(func() {
			times[i], errs[i] = leaves(c)
			c.Close()
		})
	}
	return func() []time.Time {
		t.Helper()
		reading.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		}
		slices.SortFunc(times, time.Time.Compare)
		return times
	}
}

func TestDrainSpreadsTheClosesOverItsWindow(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			const window, n = 4 * time.Second, 200
			s := fairleadtest.Start(t, "--poller", poller, "--drain", window.String())
			gone := crowd(t, s, n)
			began := time.Now()
			s.Signal(syscall.SIGTERM)
			duringDrain(t, s, n)
			times := gone()
			if code := s.Wait(fairleadtest.WaitTime); code != 0 {
				t.Errorf("exit code %d", code)
			}
			ended := time.Since(began)

			// Number i is due at window·i/n. A busy machine is late, never early.
			for i, at := range times {
				due := window * time.Duration(i) / n
				if late := at.Sub(began) - due; late < -50*time.Millisecond || late > time.Second {
					t.Errorf("close %d came after %v, %v after its time", i, at.Sub(began), late)
					break
				}
			}
			if ended > window+3*time.Second {
				t.Errorf("the process ended %v after the signal, with a window of %v", ended, window)
			}
			if l := s.Log("drain ended"); !strings.Contains(l.Text("result"), "forced:0") || !strings.Contains(l.Text("result"), fmt.Sprint("closed:", n)) {
				t.Errorf("the log says %v, want %d closed and none forced", l, n)
			}
		})
	}
}

// duringDrain looks at the server from outside while its connections leave.
func duringDrain(t *testing.T, s *fairleadtest.Server, n int) {
	t.Helper()
	s.Log("drain started")
	if a := s.Get("/ready"); a.Code != 503 || !strings.Contains(a.Body, "draining") {
		t.Errorf("/ready: %d %q, want 503", a.Code, a.Body)
	}
	if a := s.Get("/health"); a.Code != 200 || a.Body != "Ok" {
		t.Errorf("/health: %d %q, want 200", a.Code, a.Body)
	}
	if a := s.Get("/"); a.Code != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("/: %d, want 503 with Retry-After", a.Code)
	}
	if a := refused(t, s.WebSocket("")); a.Code != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "draining") {
		t.Errorf("an upgrade: %d %q %v, want 503 with Retry-After", a.Code, a.Body, a.Header)
	}
	last := n + 1
	for range 2 {
		fairleadtest.Eventually(t, func() error {
			st := s.Status()
			if st.State != "draining" || st.Drain == nil || st.Drain.Reason != "SIGTERM" || st.Drain.Remaining != st.Connections {
				t.Fatalf("/status while draining: %+v %+v", st, st.Drain)
			}
			if st.Drain.Remaining == 0 || st.Drain.Remaining >= last {
				return fmt.Errorf("%d remain, which is no progress after %d", st.Drain.Remaining, last)
			}
			last = st.Drain.Remaining
			return nil
		})
	}
	if l := s.Log("draining"); l.Text("left") == "" {
		t.Errorf("the log does not say how many remain: %v", l)
	}
}

func TestDrainAtOnce(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--drain", "0s")
	gone := crowd(t, s, 100)
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	times := gone()
	if code := s.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if last := times[len(times)-1].Sub(began); last > 2*time.Second {
		t.Errorf("the last close came after %v", last)
	}
}

// readsTo reads from a raw connection until want was seen.
func readsTo(t *testing.T, c net.Conn, want string) {
	t.Helper()
	var got []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(got), want) {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("waiting for %q: %v after %d bytes %.200q", want, err, len(got), got)
		}
		got = append(got, buf[:n]...)
	}
}

func TestDrainCutsWhoDoesNotAnswer(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			s := fairleadtest.Start(t, "--poller", poller, "--drain", "1s")
			silent, gone := raw(t, s, ""), crowd(t, s, 3)
			began := time.Now()
			s.Signal(syscall.SIGTERM)
			gone()
			readsTo(t, silent, closeFrame)
			if code := s.Wait(fairleadtest.WaitTime); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			// The window and 5 s to answer, at most.
			if took := time.Since(began); took < 4500*time.Millisecond || took > 9*time.Second {
				t.Errorf("the process ended after %v, want 5 to 6 s", took)
			}
			if l := s.Log("stopped"); l.Text("forced") != "1" || l.Text("closed") != "3" || l.Text("exit_code") != "1" {
				t.Errorf("the log says %v, want 3 closed and 1 forced", l)
			}
		})
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := fairleadtest.Start(t, "--drain", "60s")
		var conns []net.Conn
		for range 5 {
			conns = append(conns, raw(t, s, ""))
		}
		s.Signal(syscall.SIGTERM)
		s.Log("drain started")
		began := time.Now()
		s.Signal(second)
		if code := s.Wait(fairleadtest.WaitTime); code != 1 || time.Since(began) > 3*time.Second {
			t.Errorf("exit code %d after %v, want 1 at once", code, time.Since(began))
		}
		if l := s.Log("stopped"); l.Text("forced") != "5" {
			t.Errorf("the log says %v, want 5 forced", l)
		}
		for _, c := range conns {
			_, _ = io.Copy(io.Discard, c) // it must end, however it does
		}
	}
}

// What was accepted before the signal comes before the close frame, on
// connections that read and on ones that lag.
func TestMessagesBeforeTheSignalComeBeforeTheClose(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			s := fairleadtest.Start(t, "--poller", poller, "--drain", "0s", "--message-rate", "0")
			const many = 300
			sender := dial(t, s.WebSocket(""))
			var readers []*websocket.Conn
			for range 20 {
				readers = append(readers, dial(t, s.WebSocket("")))
			}
			padding := strings.Repeat("x", 2000)
			for i := range many {
				send(t, sender, fmt.Sprintf(`"%d %s"`, i, padding))
			}
			fairleadtest.Eventually(t, func() error {
				if n := s.Status().Counters.MessagesIn; n != many {
					return fmt.Errorf("the server has %d messages", n)
				}
				return nil
			})
			s.Signal(syscall.SIGTERM)
			for _, c := range append(readers, sender) {
				for i := range many {
					expect(t, c, fmt.Sprintf(`{"message":"%d %s"}`, i, padding))
				}
				if _, err := leaves(c); err != nil {
					t.Error(err)
				}
				c.Close()
			}
			if code := s.Wait(fairleadtest.WaitTime); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// The same without a pause: the signal comes as soon as the first subscriber has
// the last message, while the same pass is still writing to others.
func TestNobodyMissesWhatOthersGotBeforeTheSignal(t *testing.T) {
	t.Parallel()
	for range 5 {
		s := fairleadtest.Start(t, "--drain", "0s", "--message-rate", "0")
		const messages = 50
		conns := make([]*websocket.Conn, 100)
		for i := range conns {
			conns[i] = dial(t, s.WebSocket(""))
		}
		for i := range messages {
			send(t, conns[0], fmt.Sprint(i))
		}
		for i := range messages {
			expect(t, conns[0], fmt.Sprintf(`{"message":%d}`, i))
		}
		s.Signal(syscall.SIGTERM)
		for i, c := range conns {
			for m := 0; i > 0 && m < messages; m++ {
				expect(t, c, fmt.Sprintf(`{"message":%d}`, m))
			}
			if _, err := leaves(c); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
			c.Close()
		}
		if code := s.Wait(fairleadtest.WaitTime); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}
