//go:build integration

// Package process tests the life of the real binary: how it starts, what it
// answers, how it drains and exits, and what it leaves behind of clients that
// misbehave.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"fairlead/test/fairleadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hello    = `{"connection":"ok"}`
	shutdown = "Server shutting down"
)

// dial opens a WebSocket; it ends with the test.
func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, resp, err := attempt(url)
	if err != nil {
		t.Fatalf("dial %s: %v %v", url, err, resp)
	}
	t.Cleanup(func() { c.Close() })
	expect(t, c, hello)
	return c
}

// attempt is dial where a refusal is no failure; its answer is read whole.
func attempt(url string) (*websocket.Conn, fairleadtest.Answer, error) {
	dialer := websocket.Dialer{HandshakeTimeout: fairleadtest.WaitTime}
	c, resp, err := dialer.Dial(url, nil)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		return c, fairleadtest.Answer{}, nil
	}
	if resp == nil {
		return nil, fairleadtest.Answer{}, err
	}
	defer resp.Body.Close()
	body := make([]byte, 1024) // all that the library keeps of it
	n, _ := resp.Body.Read(body)
	return nil, fairleadtest.Answer{Code: resp.StatusCode, Header: resp.Header, Body: string(body[:n])}, err
}

// refused is an upgrade that must be refused.
func refused(t *testing.T, url string) fairleadtest.Answer {
	t.Helper()
	c, answer, err := attempt(url)
	if err == nil {
		c.Close()
		t.Fatalf("%s: the upgrade was not refused", url)
	}
	if answer.Code == 0 {
		t.Fatalf("%s: no answer at all: %v", url, err)
	}
	return answer
}

func send(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func expect(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	_, got, err := c.ReadMessage()
	if err != nil || string(got) != want {
		t.Fatalf("got %.60q, %v, want %.60q", got, err, want)
	}
}

// leaves reads what must be the drain's close frame; it returns when that came.
func leaves(c *websocket.Conn) (time.Time, error) {
	_, message, err := c.ReadMessage()
	at := time.Now()
	if err == nil {
		return at, fmt.Errorf("a message before the close: %.100q", message)
	}
	if closed := new(websocket.CloseError); !errors.As(err, &closed) || closed.Code != 1001 || closed.Text != shutdown {
		return at, fmt.Errorf("the end was %w, want 1001 %s", err, shutdown)
	}
	return at, nil
}

// raw opens a WebSocket by hand: what is sent and read on it, and whether
// anything is, is the test's business. It ends with the test.
func raw(t *testing.T, server *fairleadtest.Server, query string) net.Conn {
	t.Helper()
	c, err := rawDial(t.Context(), server, "", query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answered is what a server says to an upgrade without compression whose key is
// the RFC's own example, and the greeting behind it.
const answered = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x13" + hello

func request(server *fairleadtest.Server, query string) string {
	return "GET /wss" + query + " HTTP/1.1\r\nHost: " + server.Addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

// rawDial is raw for any goroutine; from is the source address, "" for any.
func rawDial(ctx context.Context, server *fairleadtest.Server, from, query string) (net.Conn, error) {
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	dialer.KeepAlive = -1
	c, err := dialer.DialContext(ctx, "tcp", server.Addr)
	if err != nil {
		return nil, err
	}
	if err := upgrade(c, server, query); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func upgrade(c net.Conn, server *fairleadtest.Server, query string) error {
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := c.Write([]byte(request(server, query))); err != nil {
		return fmt.Errorf("ask for the upgrade: %w", err)
	}
	got := make([]byte, len(answered))
	for n := 0; n < len(got); {
		m, err := c.Read(got[n:])
		if err != nil {
			return fmt.Errorf("read the answer to the upgrade after %q: %w", got[:n], err)
		}
		n += m
		if !strings.HasPrefix(answered, string(got[:n])) {
			return fmt.Errorf("the upgrade was answered with %q, want %q", got[:n], answered)
		}
	}
	return nil
}

// frame is a client's short frame, masked with nought.
func frame(opcode byte, payload string) []byte {
	return append([]byte{0x80 | opcode, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// closeFrame is the server's 1001.
var closeFrame = "\x88" + string(rune(2+len(shutdown))) + "\x03\xe9" + shutdown

// ok answers 200.
func ok(path string, s *fairleadtest.Server) error {
	a, err := fairleadtest.Get(s.URL(path))
	if err == nil && a.Code != http.StatusOK {
		err = fmt.Errorf("%s answered %d, %q", path, a.Code, a.Body)
	}
	return err
}
