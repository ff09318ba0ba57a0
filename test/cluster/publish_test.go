//go:build integration

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

// publisher sends messages with texts of its own, one after the other.
type publisher struct {
	crowd *crowd
	name  string
	via   func() *fairleadtest.Server // where the next attempt goes
	every time.Duration               // between messages
	// once has a message that was not accepted be forgotten. Otherwise it is sent again, with the same key, until it is.
	once bool
	// padding makes every message so many bytes longer.
	padding int
}

// text is a message that there is only one of; every eighth is long enough to be compressed.
func (p *publisher) text(i int) string {
	text := fmt.Sprintf("%s-%d", p.name, i) + strings.Repeat("x", p.padding)
	if i%8 == 7 {
		text += strings.Repeat(" and more", 60)
	}
	return text
}

// backends starts n publishers over HTTP, each through any task, until quiet.
func (cr *crowd) backends(n int, every time.Duration, with func(p *publisher)) {
	for range n {
		cr.publisher("http", every, with, (*publisher).overHTTP)
	}
}

// senders starts a publisher over a WebSocket of its own to each of the tasks, until quiet.
func (cr *crowd) senders(tasks []*fairleadtest.Server, every time.Duration) {
	for _, s := range tasks {
		cr.publisher("ws", every, func(p *publisher) { p.via = func() *fairleadtest.Server { return s } }, (*publisher).overWebSocket)
	}
}

func (cr *crowd) publisher(kind string, every time.Duration, with func(p *publisher), run func(*publisher, context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{crowd: cr, name: fmt.Sprintf("%s%d", kind, cr.sent), via: func() *fairleadtest.Server { return cr.any(nil) }, every: every}
	cr.sent++
	if with != nil {
		with(p)
	}
	cr.busy.Store(true)
	cr.publishing = append(cr.publishing, cancel)
	cr.publishers.Go(func() { run(p, ctx) })
	cr.t.Cleanup(cr.quiet)
}

// quiet ends the publishers and waits for them. An attempt under way gets its answer.
func (cr *crowd) quiet() {
	cr.busy.Store(false)
	for _, cancel := range cr.publishing {
		cancel()
	}
	cr.publishers.Wait()
	cr.publishing = nil
}

func (p *publisher) overHTTP(ctx context.Context) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		text, key := p.text(i), fmt.Sprintf("%s-%d", p.name, i)
		for ctx.Err() == nil {
			// Not ctx: a message whose answer nobody waits for would be one of unknown fate.
			at, err := p.crowd.post(context.Background(), p.via(), text, key)
			if err == nil {
				p.crowd.ledger.took(p.name, text, at)
				break
			}
			if p.once {
				break
			}
			wait(ctx, soon)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// post publishes over HTTP. A 503 counts as a refusal, and so does a task that is not there.
func (cr *crowd) post(ctx context.Context, task *fairleadtest.Server, text, key string) (position, error) {
	var answer struct {
		Position string
		Error    struct{ Code string }
	}
	body, err := json.Marshal(text)
	if err != nil {
		return position{}, err
	}
	code, err := cr.ask(ctx, "POST", task.URL("/channels/"+cr.channel+"/messages"), string(body), key, &answer)
	switch {
	case err != nil:
		return position{}, err
	case code == http.StatusServiceUnavailable && answer.Error.Code == "unavailable":
		cr.ledger.refuse()
		return position{}, errRefused
	case code != http.StatusAccepted:
		cr.ledger.fault("publishing was answered %d %+v", code, answer)
		return position{}, fmt.Errorf("%w: %d %s", errRefused, code, answer.Error.Code)
	}
	at, err := parsePosition(answer.Position)
	if err != nil {
		cr.ledger.fault("a 202 with %q: %v", answer.Position, err)
	}
	return at, err
}

// ask sends a request of a backend and reads the answer into into.
func (c *cluster) ask(ctx context.Context, method, url, body, key string, into any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+publishKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(into)
	}
	if err != nil {
		return 0, fmt.Errorf("the answer %d %.200q: %w", resp.StatusCode, text, err)
	}
	return resp.StatusCode, nil
}

// overWebSocket sends, and waits for its own message to come back or for the error. The connection is a plain one.
func (p *publisher) overWebSocket(ctx context.Context) {
	for i := 0; ctx.Err() == nil; {
		conn, resp, err := dialers[i%2].Dial(p.via().WebSocket("?channel="+p.crowd.channel), nil)
		if err != nil {
			if resp != nil && resp.StatusCode != http.StatusServiceUnavailable {
				p.crowd.ledger.fault("%s: the upgrade was answered %s", p.name, resp.Status)
			}
			wait(ctx, soon)
			continue
		}
		if _, _, err := conn.ReadMessage(); err == nil { // the hello
			i = p.sendOn(ctx, conn, i)
		}
		conn.Close()
	}
}

// sendOn sends from message i on, until ctx or the connection ends, and says which is next. A message is never sent twice.
func (p *publisher) sendOn(ctx context.Context, conn *websocket.Conn, i int) (next int) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		text := p.text(i)
		i++
		if err := conn.WriteJSON(text); err != nil {
			return i
		}
		_ = conn.SetReadDeadline(time.Now().Add(fairleadtest.WaitTime)) // what follows tells
		for {
			_, got, err := conn.ReadMessage()
			if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
				p.crowd.ledger.fault("%s: %.40q neither came back nor was refused", p.name, text)
			}
			if err != nil {
				return i
			}
			var f frame
			if err := json.Unmarshal(got, &f); err != nil {
				p.crowd.ledger.fault("%s got %.80q: %v", p.name, got, err)
				return i
			}
			if f.Message != nil && *f.Message == text {
				p.crowd.ledger.took(p.name, text, position{})
				break
			}
			if f.Error != nil {
				if f.Error.Code != "unavailable" {
					p.crowd.ledger.fault("%s got %.200q", p.name, got)
				}
				p.crowd.ledger.refuse()
				wait(ctx, soon)
				break
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return i
}
