//go:build integration

package process

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

func TestPagesAndHealth(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t)
	for _, c := range []struct {
		path string
		code int
		body string // whole, or with "…" a part
		kind string
	}{
		{"/health", 200, "Ok", "text/plain; charset=utf-8"},
		{"/ready", 200, "Ok", "text/plain; charset=utf-8"},
		{"/", 200, "…<html", "text/html; charset=utf-8"},
		{"/index.html", 200, "…<html", "text/html; charset=utf-8"},
		{"/nothing", 404, "Nothing is here. The console is at /, the WebSocket endpoint at /wss.\n", "text/plain; charset=utf-8"},
		{"/wss/", 404, "…The console is at /", "text/plain; charset=utf-8"},
		{"/metrics", 404, "…Nothing is here", "text/plain; charset=utf-8"},
		{"/status", 404, "…Nothing is here", "text/plain; charset=utf-8"},
		{"/debug/pprof/", 404, "…Nothing is here", "text/plain; charset=utf-8"},
		{"/wss", 426, "…Open it with a WebSocket client.", "text/plain; charset=utf-8"},
	} {
		a := s.Get(c.path)
		part, partly := strings.CutPrefix(c.body, "…")
		if a.Code != c.code || a.Body != c.body && !(partly && strings.Contains(a.Body, part)) || a.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: %d, %q, %.200q, want %d, %q, %q", c.path, a.Code, a.Header.Get("Content-Type"), a.Body, c.code, c.kind, c.body)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", c.path)
		}
	}
	// Connection is looked at by the handshake's own tests: on a connection that
	// is not kept, net/http overwrites it.
	a := s.Get("/wss")
	if a.Header.Get("Upgrade") != "websocket" || a.Header.Get("Sec-Websocket-Version") != "13" {
		t.Errorf("the 426 does not say what to upgrade to: %v", a.Header)
	}
	if policy := s.Get("/").Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the console's policy is %q", policy)
	}
}

// The HTTP surface must keep apart from the admin listener's.
func TestAdminListener(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t)
	for path, want := range map[string]int{"/status": 200, "/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/": 404, "/wss": 404, "/health": 404} {
		if a, err := fairleadtest.Get(s.Admin + path); err != nil || a.Code != want {
			t.Errorf("%s: %d, %v, want %d", path, a.Code, err, want)
		}
	}
	off := fairleadtest.Start(t, "--admin-listen", "")
	if off.Admin != "" {
		t.Errorf("an admin listener that was turned off is at %s", off.Admin)
	}
	if code := off.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestReadyWithinTheBlinkOfAnEye(t *testing.T) {
	// 100 ms is the goal on a machine that does nothing else, and a benchmark's
	// business. Here it is that nothing at the start waits for anything.
	best := time.Hour
	for range 5 {
		s := fairleadtest.Start(t)
		best = min(best, s.ReadyAfter())
		if code := s.Stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	t.Logf("ready after %v", best)
	if best > time.Second {
		t.Errorf("ready after %v", best)
	}
}

func TestSlowHeaderIsCut(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--handshake-timeout", "1s")
	for _, start := range []string{"", "GET /wss HTTP/1.1\r\nHost: x\r\nX-Slow: "} {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		// One byte every 50 ms, for ever: each is a sign of life, none helps.
		cut := make(chan struct{})
		drip := make(chan struct{})
		go func() {
			defer close(drip)
			if _, err := io.WriteString(c, start); err != nil || start == "" {
				return
			}
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-cut:
					return
				case <-tick.C:
					if _, err := io.WriteString(c, "x"); err != nil {
						return
					}
				}
			}
		}()
		if err := c.SetReadDeadline(began.Add(fairleadtest.WaitTime)); err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(c)
		took := time.Since(began)
		close(cut)
		<-drip
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("a client that began with %q was not cut", start)
		}
		if took < 900*time.Millisecond {
			t.Errorf("a client that began with %q was cut after %v, want 1s", start, took)
		}
	}
}

func TestHeaderTooLarge(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--max-header-bytes", "1024")
	ask := func(size int) int {
		t.Helper()
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(fairleadtest.WaitTime)) // what follows tells
		head, tail, _ := strings.Cut(request(s, ""), "Upgrade:")
		// In pieces with an answer at the end, so that nothing is unread when
		// the server closes, and its answer not lost to a reset.
		if _, err := io.WriteString(c, head+"Cookie: "+strings.Repeat("x", size)+"\r\nUpgrade:"+tail); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("a header of %d bytes: %v", size, err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := ask(500); code != 101 {
		t.Errorf("a header with 500 bytes of cookies: %d, want 101", code)
	}
	if code := ask(5200); code != 431 {
		t.Errorf("a header with 5,200 bytes of cookies: %d, want 431", code)
	}
}
