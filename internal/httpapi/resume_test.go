package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// helloFrame is a resumable client's first frame.
type helloFrame struct {
	Connection, Channel, Position string
	Recovered                     *bool
}

func (c *client) hello() helloFrame {
	c.t.Helper()
	var h helloFrame
	if got := c.read(); json.Unmarshal([]byte(got), &h) != nil || h.Connection != "ok" {
		c.t.Fatalf("the hello is %q", got)
	}
	return h
}

// message reads a message that carries n, and returns its position.
func (c *client) message(n int) string {
	c.t.Helper()
	var m struct {
		Message  int
		Position string
	}
	if got := c.read(); json.Unmarshal([]byte(got), &m) != nil || m.Message != n || m.Position == "" {
		c.t.Fatalf("got %q; want message %d with its position", got, n)
	}
	return m.Position
}

func TestResumableClientGetsEveryMessageOnceAndInOrder(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compressed %v", compress), func(t *testing.T) {
			k := startTask(t, nil)
			sender := k.join("?channel=c")
			a := k.joinWith("?channel=c&since=now", compress)
			h := a.hello()
			if h.Channel != "c" || h.Recovered != nil || h.Position == "" {
				t.Fatalf("hello %+v", h)
			}
			sender.say("1")
			position := a.message(1)
			a.Close()
			for n := 2; n <= 50; n++ {
				sender.say(fmt.Sprint(n))
			}
			for n := 1; n <= 50; n++ {
				sender.expect(fmt.Sprintf(`{"message":%d}`, n))
			}
			b := k.joinWith("?channel=c&since="+position, compress)
			if h := b.hello(); h.Recovered == nil || !*h.Recovered {
				t.Fatalf("hello %+v", h)
			}
			sender.say("51")
			for n := 2; n <= 51; n++ {
				b.message(n)
			}
		})
	}
}

func TestOnlyClientOfAChannelResumesAfterItLeft(t *testing.T) {
	k := startTask(t, nil)
	a := k.join("?channel=c&since=now")
	a.hello()
	a.say("1")
	position := a.message(1)
	a.say("2")
	a.message(2)
	a.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), deadline())
	a.expectClose(1000, "")
	eventually(t, func() bool { return k.engine.Len() == 0 })
	b := k.join("?channel=c&since=" + position)
	if h := b.hello(); h.Recovered == nil || !*h.Recovered || h.Position != position {
		t.Fatalf("hello %+v", h)
	}
	b.message(2)
}

func TestPositionThatCannotBeProvedIsNotRecovered(t *testing.T) {
	k := startTask(t, nil)
	sender := k.join("?channel=c")
	a := k.join("?channel=c&since=now")
	old := a.hello().Position
	for n := range 200 { // the window holds 100
		sender.say(fmt.Sprint(n))
		a.message(n)
	}
	for name, position := range map[string]string{
		"the window has passed":  old,
		"another epoch":          "zzzz:1",
		"ahead of every message": old[:strings.Index(old, ":")] + ":100000",
	} {
		t.Run(name, func(t *testing.T) {
			b := k.join("?channel=c&since=" + position)
			h := b.hello()
			if h.Recovered == nil || *h.Recovered || h.Position == position {
				t.Fatalf("hello %+v", h)
			}
			sender.say("1000")
			if got := b.message(1000); got == h.Position {
				t.Error("the hello's position is that of a message that followed")
			}
		})
	}
}

func TestMalformedSinceIsA400BeforeTheUpgrade(t *testing.T) {
	k := startTask(t, nil)
	for _, since := range []string{"", "then", "c7k2", "c7k2:", ":1", "c7k2:-1", "c7k2:01x", "C7K2:1", "a:1&since=a:2"} {
		conn, resp, body := k.try("?since="+since, nil, false)
		if conn != nil || resp.StatusCode != 400 || !strings.Contains(body, "since") {
			t.Errorf("since=%q: %s %q", since, resp.Status, body)
		}
	}
}

func TestResumableClientsAreToldWhenToReturn(t *testing.T) {
	k := startTask(t, nil)
	plain, resumable := k.join(""), k.join("?since=now")
	resumable.hello()
	k.leaveAll()
	var hint struct{ Reconnect struct{ AfterMs *int } }
	if got := resumable.read(); json.Unmarshal([]byte(got), &hint) != nil || hint.Reconnect.AfterMs == nil || *hint.Reconnect.AfterMs < 0 || *hint.Reconnect.AfterMs > 1000 {
		t.Fatalf("got %q; want a hint", got)
	}
	resumable.expectClose(1001, "Server shutting down")
	_, _, err := plain.ReadMessage()
	if !websocket.IsCloseError(err, 1001) {
		t.Errorf("a plain client was sent something before its close: %v", err)
	}
}

func TestReplayLargerThanTheQueueArrivesWhole(t *testing.T) {
	k := startTask(t, func(o *Options) { o.Settings.Limits.MaxQueueBytes = 100 << 10 })
	sender := k.join("?channel=c")
	a := k.join("?channel=c&since=now")
	position := a.hello().Position
	text := strings.Repeat("x", 9000)
	for n := range 90 {
		sender.say(fmt.Sprintf(`{"n":%d,"x":"%s"}`, n, text))
		a.read()
		sender.read()
	}
	b := k.join("?channel=c&since=" + position)
	if h := b.hello(); !*h.Recovered {
		t.Fatalf("hello %+v", h)
	}
	for n := range 90 {
		if got := b.read(); !strings.HasPrefix(got, fmt.Sprintf(`{"message":{"n":%d,`, n)) {
			t.Fatalf("message %d is %.60q", n, got)
		}
	}
}
