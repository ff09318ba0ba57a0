package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"fairlead/internal/config"
	"fairlead/internal/hub"
	"fairlead/internal/lifecycle"
	"fairlead/internal/telemetry"
	"fairlead/internal/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// task is a server with everything behind it, on a loopback port.
type task struct {
	t testing.TB
	*Server
	machine lifecycle.Machine
	http    *httptest.Server
}

func startTask(t testing.TB, configure func(*Options)) *task {
	t.Helper()
	return startWithBroker(t, nil, configure)
}

func startWithBroker(t testing.TB, broker hub.Broker, configure func(*Options)) *task {
	t.Helper()
	k := &task{t: t}
	o := Options{
		Settings:       config.Default(),
		MaxConnections: 1000,
		Machine:        &k.machine,
		Metrics:        telemetry.NewMetrics("test"),
		Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "the console")
		}),
	}
	o.Settings.Protection.MessageRate = 0
	o.Settings.Protection.UpgradeRate = 0
	if configure != nil {
		configure(&o)
	}
	var err error
	o.Engine, err = ws.New(ws.Options{MaxMessageBytes: o.Settings.Limits.MaxMessageBytes, CloseTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.Hub = hub.New(hub.Options{
		Encoder: Encoder(o.Settings.Engine.CompressionMinBytes), Broker: broker, Linger: broker == nil,
		History: hub.HistoryOptions{Messages: 100, Bytes: 1 << 20, Age: time.Minute, TotalBytes: 8 << 20},
	})
	if k.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	k.machine.Ready()
	k.http = httptest.NewServer(k.Handler())
	t.Cleanup(func() {
		k.http.Close()
		o.Engine.Shutdown()
		o.Hub.Close()
		http.DefaultClient.CloseIdleConnections()
		if s := o.Hub.Stats(); s.Members != 0 {
			t.Errorf("the hub still has %d members", s.Members)
		}
		// net/http does not wait for handlers that have taken their connection.
		eventually(t, func() bool { return k.Arriving() == 0 })
	})
	return k
}

// leaveAll asks everybody to leave, as a drain does.
func (k *task) leaveAll() {
	for _, c := range k.Connections() {
		c.Leave()
	}
}

// get fetches a path of the public listener.
func (k *task) get(path string) (*http.Response, string) {
	k.t.Helper()
	resp, err := http.Get(k.http.URL + path)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp, string(body)
}

// client is one WebSocket of a peer's library.
type client struct {
	t testing.TB
	*websocket.Conn
}

// try upgrades; the answer is there even if it was refused.
func (k *task) try(query string, header http.Header, compress bool) (*websocket.Conn, *http.Response, string) {
	k.t.Helper()
	dialer := websocket.Dialer{EnableCompression: compress, HandshakeTimeout: 10 * time.Second}
	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(k.http.URL, "http")+"/wss"+query, header)
	if err == nil {
		k.t.Cleanup(func() { conn.Close() })
		return conn, resp, ""
	}
	if !errors.Is(err, websocket.ErrBadHandshake) {
		k.t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	return nil, resp, string(body)
}

// join upgrades and reads the hello.
func (k *task) join(query string) *client {
	k.t.Helper()
	return k.joinWith(query, false)
}

func (k *task) joinWith(query string, compress bool) *client {
	k.t.Helper()
	conn, resp, body := k.try(query, nil, compress)
	if conn == nil {
		k.t.Fatalf("upgrade of %q refused: %s %s", query, resp.Status, body)
	}
	c := &client{k.t, conn}
	if !strings.Contains(query, "since=") {
		c.expect(`{"connection":"ok"}`)
	}
	return c
}

func (c *client) say(message string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next message, which must be text.
func (c *client) read() string {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	kind, p, err := c.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != websocket.TextMessage {
		c.t.Fatalf("a message of kind %d: %q", kind, p)
	}
	return string(p)
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.read(); got != want {
		c.t.Fatalf("got %.200q; want %.200q", got, want)
	}
}

func (c *client) expectError(code string) {
	c.t.Helper()
	got := c.read()
	if !strings.HasPrefix(got, `{"error":{"code":"`+code+`","message":"`) {
		c.t.Fatalf("got %.200q; want an error %s", got, code)
	}
}

// expectClose reads on to the close frame.
func (c *client) expectClose(code int, reason string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		var e *websocket.CloseError
		if !errors.As(err, &e) || e.Code != code || (reason != "" && e.Text != reason) {
			c.t.Fatalf("ended with %v; want close %d %q", err, code, reason)
		}
		return
	}
}

func deadline() time.Time { return time.Now().Add(10 * time.Second) }

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := deadline(); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the awaited state never came")
		}
	}
}
