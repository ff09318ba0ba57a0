package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"fairlead/internal/dialect"
	"fairlead/internal/hub"
	"fairlead/internal/ws"
)

func TestEverybodyInTheChannelHearsTheSenderIncluded(t *testing.T) {
	k := startTask(t, nil)
	a, b, elsewhere := k.join(""), k.join("?channel=lobby"), k.join("?channel=other")
	for _, x := range []string{`{"a":1}`, `"hi"`, `null`, `[1.0,1e5,-0]`, `{"b":1,"b":2}`, `"é€😀\u00e9\ud800"`, `"` + strings.Repeat("x", 60000) + `"`} {
		a.say(x)
		for _, c := range []*client{a, b} {
			c.expect(`{"message":` + x + `}`)
		}
	}
	a.say(" { \"a\" : [ 1 , 2 ] }\n")
	b.expect(`{"message":{"a":[1,2]}}`)
	elsewhere.say(`"here"`)
	elsewhere.expect(`{"message":"here"}`)
}

func TestBinaryIsAnsweredWithText(t *testing.T) {
	k := startTask(t, nil)
	c := k.join("")
	c.WriteMessage(websocket.BinaryMessage, []byte(`{"a":1}`))
	c.expect(`{"message":{"a":1}}`)
	c.WriteMessage(websocket.BinaryMessage, []byte("\"\xff\""))
	c.expectError("invalid_json")
}

func TestWhatIsNotJSONReachesNobodyButItsSender(t *testing.T) {
	k := startTask(t, nil)
	a, b := k.join(""), k.join("")
	a.say("hello")
	a.say(`"after"`)
	a.expectError("invalid_json")
	a.expect(`{"message":"after"}`)
	b.expect(`{"message":"after"}`)
}

func TestOrderIsTheSameForEverybody(t *testing.T) {
	k := startTask(t, nil)
	const n = 300
	a, b, c := k.join(""), k.join(""), k.join("")
	for i := range n {
		a.say(fmt.Sprintf(`"a%d"`, i))
		b.say(fmt.Sprintf(`"b%d"`, i))
	}
	for range 2 * n {
		got := a.read()
		b.expect(got)
		c.expect(got)
	}
}

func TestCompressedAndPlainSubscribersHearTheSame(t *testing.T) {
	k := startTask(t, nil)
	plain, packed := k.joinWith("", false), k.joinWith("", true)
	for _, x := range []string{`"short"`, `"` + strings.Repeat("long and repetitive ", 100) + `"`, `"` + strings.Repeat("longer than the window ", 2500) + `"`} {
		packed.say(x)
		plain.expect(`{"message":` + x + `}`)
		packed.expect(`{"message":` + x + `}`)
	}
}

func TestEncoderCompressesOnceAndOnlyWhatFitsTheWindow(t *testing.T) {
	e := encoder{minDeflate: 100}
	m := &hub.Message{Payload: []byte(`"` + strings.Repeat("abc ", 300) + `"`)}
	plain := e.AppendMessage(nil, formFor(false, 0), m)
	wide := e.AppendMessage(nil, formFor(false, 15), m)
	small := e.AppendMessage(nil, formFor(false, 8), m)
	if len(wide) >= len(plain)/2 || wide[0] != 0xc1 {
		t.Errorf("a deflated frame of %d bytes beginning %#x, plain %d", len(wide), wide[0], len(plain))
	}
	if string(small) != string(plain) {
		t.Error("a message longer than the window was compressed for it")
	}
	if again := e.AppendMessage(nil, formFor(false, 12), m); string(again) != string(wide) {
		t.Error("windows that fit do not share one encoding")
	}
	if tiny := e.AppendMessage(nil, formFor(false, 15), &hub.Message{Payload: []byte(`1`)}); string(tiny) != string(ws.AppendFrame(nil, ws.OpText, false, []byte(`{"message":1}`))) {
		t.Errorf("tiny: %q", tiny)
	}
	if noise := e.AppendMessage(nil, formFor(false, 15), &hub.Message{Payload: []byte(dialect.Hello + strings.Repeat(" ", 0) + incompressible)}); noise[0] != 0x81 {
		t.Error("what does not shrink was sent deflated")
	}
}

// incompressible has no repetition that deflate could use.
const incompressible = `"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&()*+,-./:;<=>?@[]^_{|}~ \u0001\u0a02\ub003"`

func TestRateLimit(t *testing.T) {
	k := startTask(t, func(o *Options) {
		p := &o.Settings.Protection
		p.MessageRate, p.MessageBurst, p.RateLimitStrikes = 0.001, 3, 5
	})
	a, b := k.join(""), k.join("")
	for i := range 3 {
		a.say(fmt.Sprint(i))
		a.expect(fmt.Sprintf(`{"message":%d}`, i))
	}
	for range 5 {
		a.say(`"too much"`)
		a.expectError("rate_limited")
	}
	a.say(`"one too many"`)
	a.expectClose(websocket.ClosePolicyViolation, "")
	for i := range 3 {
		b.expect(fmt.Sprintf(`{"message":%d}`, i))
	}
	b.say(`"another's allowance is its own"`)
	b.expect(`{"message":"another's allowance is its own"}`)
}

func TestTooBigIsClosedWith1009(t *testing.T) {
	k := startTask(t, func(o *Options) { o.Settings.Limits.MaxMessageBytes = 1000 })
	c := k.join("")
	c.say(`"` + strings.Repeat("x", 998) + `"`)
	c.read()
	c.say(`"` + strings.Repeat("x", 999) + `"`)
	c.expectClose(websocket.CloseMessageTooBig, "")
}

// deafBroker takes nothing.
type deafBroker struct{ err error }

func (b deafBroker) Publish(_ string, _ []byte, _ string, done func(hub.Position, error)) {
	done(hub.Position{}, b.err)
}
func (b deafBroker) Subscribe(_ string, s hub.Sink) { s.Down(b.err) }
func (deafBroker) Unsubscribe(string)               {}
func (b deafBroker) History(context.Context, string, hub.Position) (hub.History, error) {
	return hub.History{}, b.err
}

func TestWhatTheBrokerDoesNotTakeIsToldToItsSender(t *testing.T) {
	k := startWithBroker(t, deafBroker{fmt.Errorf("down: %w", hub.ErrUnavailable)}, nil)
	c := k.join("")
	c.say(`1`)
	c.expectError("unavailable")
	c.say(`2`)
	c.expectError("unavailable")

	conn, resp, body := k.try("?since=now", nil, false)
	if conn != nil || resp.StatusCode != 503 || !strings.Contains(body, "broker") {
		t.Fatalf("a resumable client: %s %q", resp.Status, body)
	}
	expectRetryAfter(t, resp, 1, 5)
}

func TestShutdownSaysTheContractsWords(t *testing.T) {
	k := startTask(t, nil)
	c := k.join("")
	c.say(`"before"`)
	c.expect(`{"message":"before"}`)
	k.leaveAll()
	c.expectClose(1001, "Server shutting down")
}

func TestCompactErrorIsTheOnlyKind(t *testing.T) {
	// session.Message relies on it.
	_, err := dialect.Compact([]byte("{"))
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
}
