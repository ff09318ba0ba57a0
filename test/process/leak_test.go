//go:build integration

package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

// descriptors the server has open.
func descriptors(t *testing.T, s *fairleadtest.Server) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// goroutines of the server.
func goroutines(t *testing.T, s *fairleadtest.Server) int {
	t.Helper()
	a, err := fairleadtest.Get(s.Admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(a.Body, "\n")
	n, err := strconv.Atoi(strings.TrimPrefix(first, "goroutine profile: total "))
	if err != nil {
		t.Fatalf("the profile begins with %q", first)
	}
	return n
}

// nasty are ways to be a bad client. Each is given a new TCP connection, and
// leaves it as it will; the server must get rid of it whatever happens here.
var nasty = []struct {
	name string
	do   func(c *net.TCPConn, s *fairleadtest.Server) error
}{
	{"connects and leaves", func(c *net.TCPConn, _ *fairleadtest.Server) error {
		return c.Close()
	}},
	{"leaves in the middle of its request", func(c *net.TCPConn, s *fairleadtest.Server) error {
		_, err := io.WriteString(c, request(s, "")[:60])
		return first(err, c.Close())
	}},
	{"resets in the middle of its request", func(c *net.TCPConn, s *fairleadtest.Server) error {
		_, err := io.WriteString(c, request(s, "")[:60])
		return first(err, reset(c))
	}},
	{"asks and does not wait for the answer", func(c *net.TCPConn, s *fairleadtest.Server) error {
		_, err := io.WriteString(c, request(s, ""))
		return first(err, c.Close())
	}},
	{"asks and resets", func(c *net.TCPConn, s *fairleadtest.Server) error {
		_, err := io.WriteString(c, request(s, ""))
		return first(err, reset(c))
	}},
	{"vanishes without a close frame", func(c *net.TCPConn, s *fairleadtest.Server) error {
		return first(upgrade(c, s, ""), c.Close())
	}},
	{"resets", func(c *net.TCPConn, s *fairleadtest.Server) error {
		return first(upgrade(c, s, ""), reset(c))
	}},
	{"leaves in the middle of a frame", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := upgrade(c, s, "")
		_, werr := c.Write(frame(1, "12345")[:8])
		return first(err, werr, c.Close())
	}},
	{"leaves in the middle of a fragmented message", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := upgrade(c, s, "")
		start := frame(1, `"a`)
		start[0] &^= 0x80
		_, werr := c.Write(start)
		return first(err, werr, reset(c))
	}},
	{"closes one half and reads on", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := first(upgrade(c, s, ""), c.CloseWrite())
		_, rerr := io.Copy(io.Discard, c) // to the server's end
		return first(err, rerr, c.Close())
	}},
	{"sends a close frame and never closes", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := upgrade(c, s, "")
		_, werr := c.Write(frame(8, "\x03\xe8"))
		return first(err, werr) // the test's end closes it
	}},
	{"breaks the protocol and never closes", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := upgrade(c, s, "")
		_, werr := c.Write([]byte{0xff, 0xff})
		return first(err, werr)
	}},
	{"answers no ping", func(c *net.TCPConn, s *fairleadtest.Server) error {
		return upgrade(c, s, "")
	}},
	{"never reads what it asks for", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := first(c.SetReadBuffer(1024), upgrade(c, s, "?channel=flood"))
		for range 40 {
			message := make([]byte, 14, 14+60_000) // FIN, text, masked, 64-bit length, mask of nought
			message[0], message[1] = 0x81, 0x80|126
			message[2], message[3] = 60_000>>8, 60_000&0xff
			message = message[:8]
			message = append(message, '"')
			message = append(message, strings.Repeat("x", 59_998)...)
			message = append(message, '"')
			if _, werr := c.Write(message); werr != nil {
				break // it was cut, as it should be
			}
		}
		return err
	}},
	{"never reads, and pings", func(c *net.TCPConn, s *fairleadtest.Server) error {
		err := first(c.SetReadBuffer(1024), upgrade(c, s, ""))
		for range 2000 {
			if _, werr := c.Write(frame(9, strings.Repeat("p", 125))); werr != nil {
				break
			}
		}
		return err
	}},
	{"sends one byte at a time", func(c *net.TCPConn, s *fairleadtest.Server) error {
		for _, b := range []byte(request(s, "")) {
			if _, err := c.Write([]byte{b}); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(c, make([]byte, len(answered))); err != nil {
			return err
		}
		for _, b := range append(frame(1, `"slow"`), frame(8, "\x03\xe8")...) {
			if _, err := c.Write([]byte{b}); err != nil {
				return err
			}
		}
		_, err := io.Copy(io.Discard, c)
		return first(err, c.Close())
	}},
}

func reset(c *net.TCPConn) error { return first(c.SetLinger(0), c.Close()) }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestNastyClientsLeaveNothingBehind(t *testing.T) {
	for _, poller := range []string{"epoll", "portable"} {
		t.Run(poller, func(t *testing.T) {
			s := fairleadtest.Start(t, "--poller", poller, "--upgrade-rate", "0", "--message-rate", "0",
				"--ping-interval", "1s", "--write-stall-timeout", "1s", "--close-timeout", "1s", "--log-level", "debug")
			goroutines(t, s) // what the first request sets up is no leak
			wantDescriptors, wantGoroutines := descriptors(t, s), goroutines(t, s)

			misbehave(t, s, 2000)
			fairleadtest.Within(t, 40*time.Second, func() error {
				if n := s.Status().Connections; n != 0 {
					return fmt.Errorf("%d connections are still counted", n)
				}
				return nil
			})
			fairleadtest.Eventually(t, func() error {
				if n := descriptors(t, s); n > wantDescriptors {
					return fmt.Errorf("%d descriptors are open, at first there were %d", n, wantDescriptors)
				}
				if n := goroutines(t, s); n > wantGoroutines {
					return fmt.Errorf("%d goroutines run, at first there were %d", n, wantGoroutines)
				}
				return nil
			})
			// Each kind was met for what it is.
			got := figures(t, s)
			for _, end := range []string{
				"code=1000 reason=peer", "code=1002 reason=protocol", "code=1006 reason=vanished", "code=1006 reason=no_pong", "code=1013 reason=slow_consumer",
			} {
				if got["fairlead_connections_closed_total "+end] == 0 {
					t.Errorf("no connection ended with %s", end)
				}
			}
			for name, n := range got {
				if strings.HasPrefix(name, "fairlead_connections_closed_total") {
					t.Logf("%s: %v", name, n)
				}
			}
			if opened := got["fairlead_connections_opened_total"]; opened < 1000 {
				t.Errorf("%v connections were opened", opened)
			}
			if n := got["fairlead_queue_bytes"]; n != 0 {
				t.Errorf("%v bytes wait for nobody", n)
			}
			// And it still works.
			c := dial(t, s.WebSocket(""))
			send(t, c, `1`)
			expect(t, c, `{"message":1}`)
			c.Close()
			if strings.Contains(s.Stderr(), "panic") {
				t.Errorf("the log tells of a panic:\n%s", s.Stderr())
			}
		})
	}
}

// misbehave has n connections come and go. What they leave open on this side
// stays so to the test's end.
func misbehave(t *testing.T, s *fairleadtest.Server, n int) {
	t.Helper()
	ctx := t.Context()
	var workers sync.WaitGroup
	jobs := make(chan int)
	for range 16 {
		workers.Go(func() {
			for i := range jobs {
				if err := one(ctx, t, s, i); err != nil {
					t.Errorf("a client that %s: %v", nasty[i%len(nasty)].name, err)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
}

func one(ctx context.Context, t *testing.T, s *fairleadtest.Server, i int) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	return nasty[i%len(nasty)].do(c.(*net.TCPConn), s)
}
