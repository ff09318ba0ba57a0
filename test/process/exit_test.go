//go:build integration

package process

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

// Browsers connect before they need to, load balancers keep connections, and
// some clients never finish a request: none of them is somebody to wait for.
func TestConnectionsWithoutARequestDoNotHoldUpTheExit(t *testing.T) {
	for _, c := range []struct{ name, sent string }{
		{"connected and silent", ""},
		{"in the middle of a header", "GET /health HTTP/1.1\r\nHost: x\r\n"},
		{"kept after a request", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		for _, drain := range []string{"0s", "10s"} {
			t.Run(c.name+", drain "+drain, func(t *testing.T) {
				t.Parallel()
				s := fairleadtest.Start(t, "--drain", drain)
				idle, err := net.Dial("tcp", s.Addr)
				if err != nil {
					t.Fatal(err)
				}
				defer idle.Close()
				if _, err := io.WriteString(idle, c.sent); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(c.sent, "\r\n\r\n") {
					readsTo(t, idle, "Ok")
				}
				ws := dial(t, s.WebSocket("")) // accepted later, so the other has been too
				began := time.Now()
				s.Signal(syscall.SIGTERM)
				if _, err := leaves(ws); err != nil {
					t.Error(err)
				}
				ws.Close()
				code := s.Wait(fairleadtest.WaitTime)
				if took := time.Since(began); code != 0 || took > 3*time.Second {
					t.Errorf("exit code %d after %v, want 0 at once", code, took.Round(time.Millisecond))
				}
			})
		}
	}
}

// Those who come while the drain begins either get in and are told to leave like
// everybody, or are refused in words.
func TestArrivalsWhileTheDrainBegins(t *testing.T) {
	for _, drain := range []string{"0s", "1s"} {
		t.Run(drain, func(t *testing.T) {
			t.Parallel()
			s := fairleadtest.Start(t, "--drain", drain, "--upgrade-rate", "0")
			var in, out atomic.Int64
			var workers sync.WaitGroup
			for range 8 {
				workers.Go(func() {
					var readers sync.WaitGroup
					defer readers.Wait()
					for {
						c, a, err := attempt(s.WebSocket(""))
						if err != nil {
							// Later than the drain the port is closed.
							if a.Code != 0 && (a.Code != 503 || a.Header.Get("Retry-After") == "") {
								t.Errorf("an upgrade while draining: %d %q", a.Code, a.Body)
							}
							out.Add(1)
							return
						}
						in.Add(1)
						readers.Go(func() {
							defer c.Close()
							if _, m, err := c.ReadMessage(); err != nil || string(m) != hello {
								t.Errorf("who got in was greeted with %q, %v", m, err)
							} else if _, err := leaves(c); err != nil {
								t.Errorf("who got in: %v", err)
							}
						})
					}
				})
			}
			fairleadtest.Eventually(t, func() error {
				if n := in.Load(); n < 200 {
					return fmt.Errorf("%d connections", n)
				}
				return nil
			})
			s.Signal(syscall.SIGTERM)
			workers.Wait()
			if code := s.Wait(fairleadtest.WaitTime); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if out.Load() != 8 {
				t.Errorf("%d were refused, want each of 8 in the end", out.Load())
			}
		})
	}
}

// A subscriber that reads slowly gets what was queued for it, and then the close.
func TestWhatIsQueuedLeavesBeforeTheClose(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			t.Parallel()
			s := fairleadtest.Start(t, "--poller", poller, "--drain", "0s", "--message-rate", "0", "--max-queue-bytes", "16777216")
			slow := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
				c, err := net.Dial(network, addr)
				if err != nil {
					return nil, err
				}
				return c, c.(*net.TCPConn).SetReadBuffer(256 << 10) // less would make loopback crawl
			}}
			lagging, _, err := slow.Dial(s.WebSocket(""), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer lagging.Close()
			sender := dial(t, s.WebSocket(""))
			const many = 150 // of 60 KiB: more than the kernel takes
			padding := strings.Repeat("x", 60<<10)
			for i := range many {
				send(t, sender, fmt.Sprintf(`"%d %s"`, i, padding))
				expect(t, sender, fmt.Sprintf(`{"message":"%d %s"}`, i, padding))
			}
			if queued := figures(t, s)["fairlead_queue_bytes"]; queued == 0 {
				t.Error("nothing was queued: the test tests nothing")
			}
			s.Signal(syscall.SIGTERM)
			s.Log("drain started")
			_ = lagging.SetReadDeadline(time.Now().Add(fairleadtest.WaitTime)) // what follows tells
			expect(t, lagging, hello)
			for i := range many {
				expect(t, lagging, fmt.Sprintf(`{"message":"%d %s"}`, i, padding))
			}
			for _, c := range []*websocket.Conn{lagging, sender} {
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

// A message sent while others are leaving reaches those who are still there, and
// its sender is told nothing else.
func TestMessagesFlowWhileOthersLeave(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--drain", "2s")
	var conns []*websocket.Conn
	for range 20 {
		conns = append(conns, dial(t, s.WebSocket("")))
	}
	s.Signal(syscall.SIGTERM)
	s.Log("drain started")
	// Who is asked last is not told: whoever gets this message back was there.
	open := 0
	for _, c := range conns {
		if err := c.WriteMessage(websocket.TextMessage, []byte(`"still here"`)); err != nil {
			continue
		}
		for {
			_, m, err := c.ReadMessage()
			if err == nil {
				if string(m) != `{"message":"still here"}` {
					t.Errorf("got %q", m)
				}
				open++
				continue
			}
			if closed := new(websocket.CloseError); !errors.As(err, &closed) || closed.Code != 1001 {
				t.Errorf("the end was %v, want 1001", err)
			}
			break
		}
		c.Close()
	}
	if open < 10 {
		t.Errorf("%d messages were delivered while connections left, want many", open)
	}
	if code := s.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
