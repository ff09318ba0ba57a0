//go:build integration

// Package interop has clients that nobody here wrote meet the real binary: ws of
// npm and websockets of Python. Each runs in a process of its own, steered by
// JSON lines.
package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fairlead/test/fairleadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// library is one of the foreign clients.
type library struct {
	name    string
	program func() (string, error)
	script  string
	usable  func() error // asked once
}

var libraries = []library{
	{"ws", node, "ws_client.js", usable(node, "-e", "require('ws')")},
	{"websockets", python, "websockets_client.py", usable(python, "-c", "import websockets.asyncio.client")},
}

// usable runs a program that ends well if the library is there.
func usable(find func() (string, error), args ...string) func() error {
	return sync.OnceValue(func() error {
		program, err := find()
		if err != nil {
			return err
		}
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

var pollers = []string{"epoll", "portable"}

func node() (string, error) { return exec.LookPath("node") }

func python() (string, error) {
	if p := os.Getenv("PYTHON"); p != "" {
		return p, nil
	}
	p, err := filepath.Abs("../../.tools/venv/bin/python") // where `make setup` puts it
	if err != nil {
		return "", err
	}
	_, err = os.Stat(p)
	return p, err
}

// everybody runs a test with each library against each poller, at once with the
// others. flags are the server's.
func everybody(t *testing.T, test func(*testing.T, *fairleadtest.Server, *driver), flags ...string) {
	t.Helper()
	for _, lib := range libraries {
		for _, poller := range pollers {
			t.Run(lib.name+" and "+poller, func(t *testing.T) {
				t.Parallel()
				server := fairleadtest.Start(t, append([]string{"--poller", poller}, flags...)...)
				test(t, server, drive(t, lib))
			})
		}
	}
}

// command is a line to a client. Bytes go as base64, so that not a bit of them
// is a matter of JSON.
type command struct {
	ID        int      `json:"id"`
	Op        string   `json:"op"` // open, send, ping, close, raw (bytes behind the library's back), wire
	URL       string   `json:"url,omitempty"`
	Origin    string   `json:"origin,omitempty"`
	Offer     *offer   `json:"offer,omitempty"`      // nil: no permessage-deflate
	KeepAlive bool     `json:"keep_alive,omitempty"` // ask /health first, upgrade on the same connection
	Mute      bool     `json:"mute,omitempty"`       // answer no ping
	Parts     [][]byte `json:"parts,omitempty"`      // several: fragments of one message
	Text      bool     `json:"text"`
	Code      int      `json:"code,omitempty"` // 0: a close frame without one
	Reason    string   `json:"reason,omitempty"`
}

// offer is what a client asks for beside permessage-deflate; 0 is its default.
type offer struct {
	ServerBits int  `json:"server_max_window_bits,omitempty"`
	ClientBits int  `json:"client_max_window_bits,omitempty"`
	NoTakeover bool `json:"no_context_takeover,omitempty"`
}

// event is a line from a client.
type event struct {
	ID         int    `json:"id"`
	Event      string `json:"event"` // open, refused, message, ping, pong, close, error, wire
	Extensions string `json:"extensions"`
	SamePort   bool   `json:"same_port"` // as the request before the upgrade
	Text       bool   `json:"text"`
	Data       []byte `json:"data"`
	Code       int    `json:"code"`
	Reason     string `json:"reason"` // of a close or an error; the body of a refusal
	RetryAfter string `json:"retry_after"`
	Received   int    `json:"received"` // bytes on the wire so far
}

func (e event) String() string {
	return fmt.Sprintf("%s (code %d, reason %q, %d bytes %.100q)", e.Event, e.Code, e.Reason, len(e.Data), e.Data)
}

// driver is a running client process.
type driver struct {
	t   *testing.T
	lib library

	mu     sync.Mutex // guards the following
	in     *json.Encoder
	conns  []*conn
	closed bool
}

// drive starts a client; it ends with the test.
func drive(t *testing.T, lib library) *driver {
	t.Helper()
	if err := lib.usable(); err != nil {
		t.Fatalf("the client library %s cannot be used: run `make setup`: %v", lib.name, err)
	}
	program, err := lib.program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, lib.script)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatalf("start %s: %v", lib.name, err)
	}
	d := &driver{t: t, lib: lib, in: json.NewEncoder(stdin)}
	var reading sync.WaitGroup
	reading.Go(func() { d.read(bufio.NewReader(stdout)) })
	t.Cleanup(func() {
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		stdin.Close()
		late := time.AfterFunc(fairleadtest.WaitTime, func() { _ = cmd.Process.Kill() }) // Wait tells
		reading.Wait()
		err := cmd.Wait()
		late.Stop()
		if err != nil || stderr.Len() > 0 {
			t.Errorf("%s ended: %v\n%s", lib.name, err, &stderr)
		}
	})
	return d
}

// read hands out the events; at the end, which comes only with that of the test,
// everybody who still waits is told.
func (d *driver) read(lines *bufio.Reader) {
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			d.t.Errorf("%s wrote %.200q: %v", d.lib.name, line, err)
			continue
		}
		d.mu.Lock()
		c := d.conns[e.ID]
		d.mu.Unlock()
		c.events <- e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		close(c.events)
	}
	d.conns = nil
}

func (d *driver) tell(c command) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.in.Encode(c); err != nil {
		d.t.Fatalf("steering %s: %v", d.lib.name, err)
	}
}

// conn is one connection of a client, or an attempt at one.
type conn struct {
	*driver
	id         int
	events     chan event
	extensions string // of the server's answer, as on the wire
}

// maxEvents is more than any test lets pile up for one connection.
const maxEvents = 10_000

// ask begins to open a connection; c.Op and c.ID are filled in.
func (d *driver) ask(c command) *conn {
	d.t.Helper()
	d.mu.Lock()
	nc := &conn{driver: d, id: len(d.conns), events: make(chan event, maxEvents)}
	d.conns = append(d.conns, nc)
	d.mu.Unlock()
	c.ID, c.Op = nc.id, "open"
	d.tell(c)
	return nc
}

// open opens a connection and checks that the first frame is the contract's.
func (d *driver) open(c command) *conn {
	d.t.Helper()
	nc := d.ask(c)
	nc.extensions = nc.expect("open").Extensions
	nc.expectText(hello)
	return nc
}

const hello = `{"connection":"ok"}`

// next is the next event.
func (c *conn) next() event {
	c.t.Helper()
	select {
	case e, ok := <-c.events:
		if !ok {
			c.t.Fatalf("%s ended unasked", c.lib.name)
		}
		return e
	case <-time.After(fairleadtest.WaitTime):
		c.t.Fatalf("connection %d of %s: nothing happened for %v", c.id, c.lib.name, fairleadtest.WaitTime)
		return event{}
	}
}

// expect is the next event, which must be of a kind. Pings of the server may
// come at any time.
func (c *conn) expect(kind string) event {
	c.t.Helper()
	e := c.next()
	for e.Event == "ping" && kind != "ping" {
		e = c.next()
	}
	if e.Event != kind {
		c.t.Fatalf("connection %d of %s: got %v, want %s", c.id, c.lib.name, e, kind)
	}
	return e
}

// expectText is a text message, byte for byte.
func (c *conn) expectText(want string) {
	c.t.Helper()
	if e := c.expect("message"); string(e.Data) != want || !e.Text {
		c.t.Fatalf("connection %d of %s: got %d bytes %.300q (text %v), want %d bytes %.300q as text",
			c.id, c.lib.name, len(e.Data), e.Data, e.Text, len(want), want)
	}
}

// expectError is {"error":{"code":…,"message":…}}; it returns the message.
func (c *conn) expectError(code string) string {
	c.t.Helper()
	e := c.expect("message")
	return errorMessage(c.t, e, code)
}

func errorMessage(t *testing.T, e event, code string) string {
	t.Helper()
	var got struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(e.Data, &got); err != nil || got.Error.Code != code || got.Error.Message == "" || !e.Text {
		t.Fatalf("got %v, want the error %s", e, code)
	}
	return got.Error.Message
}

// expectClose is the end; an empty reason is not looked at.
func (c *conn) expectClose(code int, reason string) {
	c.t.Helper()
	e := c.expect("close")
	if e.Code != code || reason != "" && e.Reason != reason {
		c.t.Fatalf("connection %d of %s was closed with %d %q, want %d %q", c.id, c.lib.name, e.Code, e.Reason, code, reason)
	}
}

func (c *conn) send(parts ...string)       { c.message(true, parts) }
func (c *conn) sendBinary(parts ...string) { c.message(false, parts) }

func (c *conn) message(text bool, parts []string) {
	raw := make([][]byte, len(parts))
	for i, p := range parts {
		raw[i] = []byte(p)
	}
	c.tell(command{ID: c.id, Op: "send", Parts: raw, Text: text})
}

func (c *conn) ping(data string) {
	c.tell(command{ID: c.id, Op: "ping", Parts: [][]byte{[]byte(data)}})
}
func (c *conn) raw(data string) { c.tell(command{ID: c.id, Op: "raw", Parts: [][]byte{[]byte(data)}}) }
func (c *conn) close(code int, reason string) {
	c.tell(command{ID: c.id, Op: "close", Code: code, Reason: reason})
}

// received is the number of bytes that came on the wire so far.
func (c *conn) received() int {
	c.t.Helper()
	c.tell(command{ID: c.id, Op: "wire"})
	return c.expect("wire").Received
}
