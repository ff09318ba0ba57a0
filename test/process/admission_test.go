//go:build integration

package process

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

// retryAfter is the header as seconds.
func retryAfter(t *testing.T, a fairleadtest.Answer) int {
	t.Helper()
	n, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || n < 1 || n > 60 {
		t.Errorf("Retry-After: %q, want some seconds", a.Header.Get("Retry-After"))
	}
	return n
}

func TestMaxConnections(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			s := fairleadtest.Start(t, "--poller", poller, "--max-connections", "5")
			var conns []*websocket.Conn
			for range 5 {
				conns = append(conns, dial(t, s.WebSocket("")))
			}
			after := map[int]bool{}
			for range 20 {
				a := refused(t, s.WebSocket(""))
				if a.Code != 503 || !strings.Contains(a.Body, "(5)") {
					t.Fatalf("the sixth: %d %q, want 503 and the limit", a.Code, a.Body)
				}
				after[retryAfter(t, a)] = true
			}
			if len(after) < 2 {
				t.Errorf("all were told to return after the same %v seconds", after)
			}
			if err := ok("/ready", s); err != nil {
				t.Errorf("full is not unready: %v", err)
			}

			conns[2].Close() // without a close frame
			fairleadtest.Eventually(t, func() error {
				c, a, err := attempt(s.WebSocket(""))
				if err != nil {
					return fmt.Errorf("the place of one who left is not free: %d %w", a.Code, err)
				}
				t.Cleanup(func() { c.Close() })
				expect(t, c, hello)
				return nil
			})
			if a := refused(t, s.WebSocket("")); a.Code != 503 {
				t.Errorf("full again: %d, want 503", a.Code)
			}
		})
	}
}

// A connection whose greeting has arrived takes one place, not that of the next
// as well.
func TestEveryPlaceCanBeTaken(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			const places = 2
			s := fairleadtest.Start(t, "--poller", poller, "--max-connections", strconv.Itoa(places), "--upgrade-rate", "0")
			for round := range 100 {
				var conns []net.Conn
				for i := range places {
					c, err := rawDial(t.Context(), s, "", "")
					if err != nil {
						t.Fatalf("round %d, connection %d of %d: %v", round, i+1, places, err)
					}
					conns = append(conns, c)
				}
				for _, c := range conns {
					c.Close()
				}
				s.Connections(0)
			}
		})
	}
}

// However many come at once, no more get in than there are places.
func TestMaxConnectionsInARush(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--max-connections", "50", "--upgrade-rate", "0")
	type result struct {
		conn *websocket.Conn
		err  error
	}
	const rush = 200
	results := make(chan result, rush)
	for range rush {
		go func() {
			c, a, err := attempt(s.WebSocket(""))
			if err != nil && a.Code == 503 {
				err = nil
			}
			results <- result{c, err}
		}()
	}
	in := 0
	for range rush {
		r := <-results
		if r.err != nil {
			t.Errorf("neither in nor refused: %v", r.err)
		}
		if r.conn != nil {
			in++
			defer r.conn.Close()
		}
	}
	// Who is refused while others are still arriving may have been so a moment too early.
	if in > 50 || in < 40 {
		t.Errorf("%d got in, want 50", in)
	}
}

func TestUpgradeRate(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--upgrade-rate", "1", "--upgrade-burst", "3")
	for range 3 {
		dial(t, s.WebSocket(""))
	}
	// A slow machine may have earned one more meanwhile.
	in := 0
	for ; ; in++ {
		c, a, err := attempt(s.WebSocket(""))
		if err != nil {
			if a.Code != 503 || !strings.Contains(a.Body, "Try again") {
				t.Errorf("%d %q: %v, want 503", a.Code, a.Body, err)
			}
			retryAfter(t, a)
			break
		}
		c.Close()
	}
	if in > 5 {
		t.Errorf("%d more got in", in)
	}
	// What can never succeed does not use up what others may do.
	for range 10 {
		if a := refused(t, s.WebSocket("?channel=a%20b")); a.Code != 400 {
			t.Fatalf("%d %q, want 400", a.Code, a.Body)
		}
	}
	fairleadtest.Eventually(t, func() error {
		c, a, err := attempt(s.WebSocket(""))
		if err == nil {
			c.Close()
		} else if a.Code != 503 {
			t.Fatalf("%d %q: %v", a.Code, a.Body, err)
		}
		return err
	})
}
