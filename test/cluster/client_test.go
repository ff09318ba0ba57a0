//go:build integration

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

// client is a subscriber that checks everything it is handed, over all its connections. A resumable one returns whenever it is cut off, as
// a rule to another task; a plain one stays where it is, and is done when it is cut off.
type client struct {
	crowd *crowd
	name  string
	plain bool
	// stay is after how many messages it drops the connection without a word; nil: never.
	stay func() int
	// away waits between two connections; nil: not at all, or as long as the server asked for.
	away func(ctx context.Context)
	// home is the task it connects to first; nil: any.
	home *fairleadtest.Server
	// hold has the first connection read its hello and then nothing until it is closed, with as little room as the kernel gives.
	hold <-chan struct{}

	mu     sync.Mutex // guards the following
	live   bool       // connected and greeted
	runs   []run      // what it has, each a stretch without a gap
	heard  []string   // of a plain client
	resume int        // connections that recovered
	gaps   int        // connections that did not
	closes map[int]int
	cuts   int // ends without a close frame
	hints  int // reconnect hints
	unhint int // resumable connections that the server closed without one
	errors []string
}

// run is a stretch that the server called continuous: texts[i] is at from+1+i.
type run struct {
	from  position
	texts []string
}

func (r *run) last() position {
	return position{r.from.epoch, r.from.offset + uint64(len(r.texts))}
}

// at is the text at p, if the run covers p.
func (r *run) at(p position) (text string, covered bool) {
	if p.epoch != r.from.epoch || p.offset <= r.from.offset || p.offset > r.last().offset {
		return "", false
	}
	return r.texts[p.offset-r.from.offset-1], true
}

// frame is any frame of the server.
type frame struct {
	Connection string
	Channel    string
	Position   string
	Recovered  *bool
	Message    *string
	Error      *struct{ Code, Message string }
	Reconnect  *struct{ AfterMs *int }
}

// tight gives the kernel little room for what is not read.
var tight = &websocket.Dialer{
	HandshakeTimeout: fairleadtest.WaitTime,
	NetDialContext: (&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if control := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); control != nil {
			return control
		}
		return err
	}}).DialContext,
}

var dialers = []*websocket.Dialer{
	{HandshakeTimeout: fairleadtest.WaitTime},
	{HandshakeTimeout: fairleadtest.WaitTime, EnableCompression: true},
}

// run connects again and again until ctx ends.
func (c *client) run(ctx context.Context) {
	task := c.home
	if task == nil {
		task = c.crowd.any(nil)
	}
	for ctx.Err() == nil {
		pause := c.connect(ctx, task)
		c.mu.Lock()
		c.live = false
		c.mu.Unlock()
		if c.plain {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		if c.away != nil {
			c.away(ctx)
		}
		task = c.crowd.any(task)
	}
}

// connect holds one connection to its end, and says how long to wait before the next.
func (c *client) connect(ctx context.Context, task *fairleadtest.Server) time.Duration {
	query := "?channel=" + c.crowd.channel
	if since := c.since(); since != "" {
		query += "&since=" + since
	}
	retry := 10*time.Millisecond + rand.N(40*time.Millisecond)
	dialer, hold := dialers[rand.IntN(len(dialers))], c.hold
	if hold != nil {
		dialer, c.hold = tight, nil
	}
	conn, resp, err := dialer.DialContext(ctx, task.WebSocket(query), nil)
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusServiceUnavailable {
			c.fault("the upgrade was answered %s", resp.Status)
		}
		if c.plain && ctx.Err() == nil {
			c.fault("could not connect: %v", err)
		}
		return retry
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		stop()
		conn.Close()
	}()
	stay := -1
	if c.stay != nil {
		stay = c.stay()
	}
	hinted := false
	for greeted := false; ; {
		_, text, err := conn.ReadMessage()
		if err != nil {
			if ctx.Err() == nil {
				c.ended(err, hinted)
			}
			return retry
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			c.fault("%.80q is not JSON: %v", text, err)
			return retry
		}
		switch {
		case !greeted:
			c.greet(&f, text)
			greeted = true
			if hold != nil {
				select {
				case <-hold:
				case <-ctx.Done():
				}
			}
		case f.Reconnect != nil && f.Reconnect.AfterMs != nil:
			hinted = true
			retry = time.Duration(*f.Reconnect.AfterMs) * time.Millisecond
			c.mu.Lock()
			c.hints++
			c.mu.Unlock()
		case f.Message != nil:
			c.take(&f)
			if stay--; stay == 0 {
				return 0
			}
		default:
			c.fault("an unexpected frame: %.80q", text)
		}
	}
}

// since is from where to go on: where the last message was.
func (c *client) since() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.plain:
		return ""
	case len(c.runs) == 0:
		return "now"
	}
	return c.runs[len(c.runs)-1].last().String()
}

// greet reads the first frame.
func (c *client) greet(f *frame, text []byte) {
	if f.Connection != "ok" {
		c.fault("the first frame is %.80q", text)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = true
	if c.plain {
		return
	}
	p, err := parsePosition(f.Position)
	if err != nil {
		c.blame("the hello %q: %v", text, err)
		return
	}
	switch first := len(c.runs) == 0; {
	case first != (f.Recovered == nil):
		c.blame("the hello %q to a connection with since=now: %v", text, first)
	case first:
		c.runs = append(c.runs, run{from: p})
	case *f.Recovered:
		c.resume++
		if last := c.runs[len(c.runs)-1].last(); p != last {
			c.blame("it resumed from %v and was told that it is %v", last, p)
		}
	default:
		c.gaps++
		c.runs = append(c.runs, run{from: p})
	}
}

// take reads a message.
func (c *client) take(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain {
		c.heard = append(c.heard, *f.Message)
		return
	}
	p, err := parsePosition(f.Position)
	if err != nil || len(c.runs) == 0 {
		c.blame("message %.40q at %q: %v", *f.Message, f.Position, err)
		return
	}
	r := &c.runs[len(c.runs)-1]
	if want := r.last().next(); p != want {
		c.blame("%.40q came at %v, where %v is due", *f.Message, p, want)
		return
	}
	r.texts = append(r.texts, *f.Message)
	c.crowd.ledger.saw(c.name, p, *f.Message)
}

// ended notes how a connection ended that the client did not end.
func (c *client) ended(err error, hinted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	closed := new(websocket.CloseError)
	if !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormalClosure {
		c.cuts++
		return
	}
	c.closes[closed.Code]++
	if !hinted && !c.plain {
		c.unhint++
	}
}

func (c *client) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blame(format, args...)
}

func (c *client) blame(format string, args ...any) {
	if len(c.errors) < 5 {
		c.errors = append(c.errors, fmt.Sprintf(format, args...))
	}
}

func (c *client) faulty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.errors) > 0
}

// reached reports whether the client has everything up to p, or text if it is a plain one. A client that was told of a gap has been
// moved ahead of what it missed.
func (c *client) reached(p position, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain {
		return len(c.heard) > 0 && c.heard[len(c.heard)-1] == text
	}
	if len(c.runs) == 0 {
		return false
	}
	last := c.runs[len(c.runs)-1].last()
	return last.epoch == p.epoch && last.offset >= p.offset
}
