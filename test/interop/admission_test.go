//go:build integration

package interop

import (
	"strings"
	"testing"

	"fairlead/test/fairleadtest"
)

func TestOriginsAreJudged(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		for _, origin := range []string{"", "http://" + server.Addr, "https://app.example.com", "https://a.b.example.org"} {
			d.open(command{URL: server.WebSocket(""), Origin: origin})
		}
		for _, origin := range []string{"https://evil.example", "http://app.example.com", "https://example.org", "https://app.example.com.evil.example", "null"} {
			e := d.ask(command{URL: server.WebSocket(""), Origin: origin}).expect("refused")
			if e.Code != 403 || !strings.Contains(e.Reason, origin) || !strings.Contains(e.Reason, "--allowed-origin") {
				t.Errorf("%s: %d %q, want a 403 that names the origin and the flag", origin, e.Code, e.Reason)
			}
		}
	}, "--allowed-origin", "https://app.example.com", "--allowed-origin", "https://*.example.org")
}

func TestTheRateIsLimited(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		sender, other := d.open(command{URL: server.WebSocket("")}), d.open(command{URL: server.WebSocket("")})
		for range 200 {
			sender.send(`1`)
		}
		refused := 0
		e := sender.expect("message")
		for ; e.Event == "message"; e = sender.next() {
			if string(e.Data) == `{"message":1}` {
				continue
			}
			if m := errorMessage(t, e, "rate_limited"); !strings.Contains(m, "second") {
				t.Fatalf("the error says %q, want what is allowed", m)
			}
			refused++
		}
		if e.Event != "close" || e.Code != 1008 || e.Reason == "" {
			t.Errorf("the end was %v, want 1008 with a reason", e)
		}
		other.send(`"mine"`) // its allowance is its own
		taken := 0
		for e = other.expect("message"); string(e.Data) != `{"message":"mine"}`; e = other.expect("message") {
			taken++
		}
		// 5 at once, and one a second while they arrive.
		if taken < 5 || taken > 5+20 || refused != 10 {
			t.Errorf("%d were taken and %d refused, want 5 or a few more, and 10", taken, refused)
		}
	}, "--message-rate", "1", "--message-burst", "5", "--rate-limit-strikes", "10")
}

func TestAFullTaskRefuses(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		first := d.open(command{URL: server.WebSocket("")})
		e := d.ask(command{URL: server.WebSocket("")}).expect("refused")
		if e.Code != 503 || e.RetryAfter == "" || e.Reason == "" {
			t.Errorf("%d, Retry-After %q, %q, want 503, a time and a reason", e.Code, e.RetryAfter, e.Reason)
		}
		first.close(1000, "")
		first.expectClose(1000, "")
		server.Connections(0)
		d.open(command{URL: server.WebSocket("")})
	}, "--max-connections", "1")
}

// A load balancer keeps its connections: the upgrade comes on one that has
// carried requests already.
func TestUpgradeAfterARequestOnTheSameConnection(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		c := d.ask(command{URL: server.WebSocket(""), KeepAlive: true, Offer: &offer{}})
		if e := c.expect("open"); !e.SamePort {
			t.Fatal("the client took another connection for the upgrade")
		}
		c.expectText(hello)
		c.send(text(40_000))
		c.expectText(`{"message":` + text(40_000) + `}`)
		c.close(1000, "")
		c.expectClose(1000, "")
	})
}
