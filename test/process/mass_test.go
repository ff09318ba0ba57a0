//go:build integration

package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

const (
	mass = 15_000
	// massDescriptors: the server needs one a connection and keeps 2 % back; two
	// are held for a moment by an upgrade under way.
	massDescriptors = 16_000
)

// leaver is one client of the many: it reads to the close frame, answers it, and
// notes when that was.
type leaver struct {
	conn net.Conn
	at   time.Time
	err  error
}

func (l *leaver) run() {
	defer l.conn.Close()
	got := make([]byte, len(closeFrame))
	for {
		if _, err := io.ReadFull(l.conn, got[:2]); err != nil {
			l.err = fmt.Errorf("no close frame: %w", err)
			return
		}
		if string(got[:2]) != "\x89\x00" { // a ping needs no answer from who is leaving
			break
		}
	}
	if _, err := io.ReadFull(l.conn, got[2:]); err != nil {
		l.err = fmt.Errorf("no whole close frame: %w after %q", err, got)
		return
	}
	l.at = time.Now()
	if !bytes.Equal(got, []byte(closeFrame)) {
		l.err = fmt.Errorf("got %q, want 1001 %s", got, shutdown)
		return
	}
	if _, err := l.conn.Write(frame(8, "\x03\xe9")); err != nil {
		l.err = fmt.Errorf("answering the close: %w", err)
		return
	}
	if n, err := l.conn.Read(got); err != io.EOF {
		l.err = fmt.Errorf("after the close: %d bytes, %w, want the end", n, err)
	}
}

func TestFifteenThousandDrainInsideOfTheWindow(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < massDescriptors {
		t.Fatalf("a process may open %d files here, this test needs %d: raise the limit with `ulimit -n %d`", limit.Cur, massDescriptors, massDescriptors)
	}
	const window = 10 * time.Second
	s := fairleadtest.Start(t, "--drain", window.String(), "--upgrade-rate", "0")
	all := arrive(t, s)
	s.Connections(mass)

	var reading sync.WaitGroup
	for i := range all {
		_ = all[i].conn.SetDeadline(time.Now().Add(2 * time.Minute)) // what follows tells
		reading.Go(all[i].run)
	}
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	reading.Wait()
	if code := s.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("exit code %d", code)
	}
	ended := time.Since(began)

	var failed int
	var last time.Duration
	perSecond := make([]int, int(window/time.Second)+60)
	for i := range all {
		if all[i].err != nil {
			if failed++; failed <= 5 {
				t.Errorf("connection %d: %v", i, all[i].err)
			}
			continue
		}
		after := all[i].at.Sub(began)
		last = max(last, after)
		perSecond[min(int(after/time.Second), len(perSecond)-1)]++
	}
	t.Logf("closes a second: %v; the last after %v; the process ended after %v", perSecond[:int(last/time.Second)+1], last, ended)
	if failed > 0 {
		t.Errorf("%d of %d connections did not see 1001", failed, mass)
	}
	// The last is due just before the window's end; the rest is for the network,
	// and a test that shares its cores with the server and others.
	if last > window+2*time.Second {
		t.Errorf("the last close came after %v, with a window of %v", last, window)
	}
	for second, n := range perSecond[:int(window/time.Second)] {
		if even := mass / int(window/time.Second); n > 2*even {
			t.Errorf("in second %d there were %d closes, evenly spread it would be %d", second, n, even)
		}
	}
	if l := s.Log("stopped"); l.Text("connections") != fmt.Sprint(mass) || l.Text("forced") != "0" {
		t.Errorf("the log says %v", l)
	}
}

// arrive opens all the connections, from several addresses, since each has only
// so many ports.
func arrive(t *testing.T, s *fairleadtest.Server) []leaver {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := make([]leaver, mass)
	t.Cleanup(func() {
		for _, l := range all {
			if l.conn != nil {
				l.conn.Close()
			}
		}
	})
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < mass; i = next.Add(1) - 1 {
				from := fmt.Sprintf("127.0.0.%d", 2+i%8)
				conn, err := rawDial(ctx, s, from, "")
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("connection %d from %s: %v", i, from, err)
					}
					cancel() // one such word is enough
					return
				}
				all[i].conn = conn
			}
		})
	}
	workers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}
