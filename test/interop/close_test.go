//go:build integration

package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

func TestTheClientCloses(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		ends := []struct {
			code   int
			reason string
		}{{1000, ""}, {1000, "bye"}, {1001, "navigated away"}, {1011, ""}, {3000, ""}, {4999, strings.Repeat("é", 61)}}
		for _, end := range ends {
			conn := d.open(command{URL: server.WebSocket("")})
			conn.close(end.code, end.reason)
			conn.expectClose(end.code, "") // the answer repeats the code
		}
		conn := d.open(command{URL: server.WebSocket("")})
		conn.close(0, "")
		conn.expectClose(1005, "")
		server.Connections(0)
		fairleadtest.Eventually(t, func() error {
			got := server.Status().Counters.ClosedByCode
			for code, want := range map[string]int{"1000": 2, "1001": 1, "1005": 1, "1011": 1, "3xxx": 1, "4xxx": 1} {
				if got[code] != want {
					return fmt.Errorf("closes are counted as %v, want %d of %s", got, want, code)
				}
			}
			return nil
		})
	})
}

func TestTheServerClosesForAFault(t *testing.T) {
	everybody(t, func(_ *testing.T, server *fairleadtest.Server, d *driver) {
		other := d.open(command{URL: server.WebSocket("")})
		for _, c := range []struct {
			name string
			do   func(*conn)
			code int
		}{
			{"text that is no UTF-8", func(c *conn) { c.send("\"\xff\"") }, 1007},
			{"text that ends inside of a character", func(c *conn) { c.send("\"\xc3") }, 1007},
			{"one byte over the limit", func(c *conn) { c.send(text(64<<10 + 1)) }, 1009},
			{"one byte over the limit in fragments", func(c *conn) { c.send(text(64<<10), " ") }, 1009},
			{"a frame without a mask", func(c *conn) { c.raw("\x81\x011") }, 1002},
			{"a reserved opcode", func(c *conn) { c.raw("\x83\x80\x00\x00\x00\x00") }, 1002},
			{"a reserved bit", func(c *conn) { c.raw("\xa1\x80\x00\x00\x00\x00") }, 1002},
			{"a continuation of nothing", func(c *conn) { c.raw("\x80\x80\x00\x00\x00\x00") }, 1002},
			{"a ping in fragments", func(c *conn) { c.raw("\x09\x80\x00\x00\x00\x00") }, 1002},
			{"a close code that must not be sent", func(c *conn) { c.raw("\x88\x82\x00\x00\x00\x00\x03\xed") }, 1002},
		} {
			conn := d.open(command{URL: server.WebSocket("")})
			c.do(conn)
			if e := conn.expect("close"); e.Code != c.code || e.Reason == "" {
				d.t.Errorf("%s: closed with %d %q, want %d and a reason", c.name, e.Code, e.Reason, c.code)
			}
		}
		other.send(`"noticed nothing"`)
		other.expectText(`{"message":"noticed nothing"}`)
	})
}

func TestTheServerShutsDown(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		var conns []*conn
		for i := range 20 {
			c := command{URL: server.WebSocket("")}
			if i%2 == 0 {
				c.Offer = &offer{}
			}
			conns = append(conns, d.open(c))
		}
		conns[0].send(`"last words"`)
		conns[0].expectText(`{"message":"last words"}`)
		server.Signal(syscall.SIGTERM)
		for i, c := range conns {
			if i > 0 {
				c.expectText(`{"message":"last words"}`)
			}
			c.expectClose(1001, "Server shutting down")
		}
		if code := server.Wait(fairleadtest.WaitTime); code != 0 {
			t.Errorf("exit code %d; the log:\n%s", code, server.Stderr())
		}
	}, "--drain", "1s")
}

func TestPingsOfTheClientAreAnswered(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		conn := d.open(command{URL: server.WebSocket(""), Offer: &offer{}})
		for _, data := range []string{"x", "", strings.Repeat("\x00\xff", 62) + "!"} { // up to 125 bytes
			conn.ping(data)
			if got := conn.expect("pong"); string(got.Data) != data {
				t.Errorf("pong %q, want %q", got.Data, data)
			}
		}
	})
}

func TestPingsOfTheServerMustBeAnswered(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		lively, mute := d.open(command{URL: server.WebSocket("")}), d.open(command{URL: server.WebSocket(""), Mute: true})
		began := time.Now()
		for e := mute.next(); e.Event != "close"; e = mute.next() {
			if e.Event != "ping" {
				t.Fatalf("the mute connection: %v", e)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the mute connection was dropped only after %v", took)
		}
		lively.expect("ping")
		lively.expect("ping")
		lively.send(`"alive"`)
		lively.expectText(`{"message":"alive"}`)
	}, "--ping-interval", "1s")
}
