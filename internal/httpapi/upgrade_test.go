package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestRefusals(t *testing.T) {
	k := startTask(t, func(o *Options) { o.Settings.Protection.AllowedOrigin = []string{"https://*.example.com"} })
	for name, c := range map[string]struct {
		query  string
		header http.Header
		status int
		says   string
	}{
		"a foreign origin":           {"", http.Header{"Origin": {"https://evil.test"}}, 403, "evil.test"},
		"an origin that looks alike": {"", http.Header{"Origin": {"https://www.example.com.evil.test"}}, 403, "--allowed-origin"},
		"two origins":                {"", http.Header{"Origin": {"https://a.example.com", "https://b.example.com"}}, 403, ""},
		"an empty channel name":      {"?channel=", nil, 400, "channel name"},
		"a channel name with spaces": {"?channel=a%20b", nil, 400, "A-Z a-z 0-9"},
		"a channel name too long":    {"?channel=" + strings.Repeat("x", 129), nil, 400, "128"},
		"two channels":               {"?channel=a&channel=b", nil, 400, "more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, resp, body := k.try(c.query, c.header, false)
			if conn != nil || resp.StatusCode != c.status || !strings.Contains(body, c.says) {
				t.Fatalf("%v %q; want %d and %q in it", resp.Status, body, c.status, c.says)
			}
		})
	}
	for name, origin := range map[string]string{"the listed origin": "https://www.example.com", "its own origin": k.http.URL} {
		t.Run(name, func(t *testing.T) {
			if conn, resp, body := k.try("", http.Header{"Origin": {origin}}, false); conn == nil {
				t.Fatalf("refused: %s %s", resp.Status, body)
			}
		})
	}
}

func TestAPlainRequestForTheEndpointIsToldWhatItIs(t *testing.T) {
	k := startTask(t, nil)
	resp, body := k.get("/wss")
	if resp.StatusCode != http.StatusUpgradeRequired || resp.Header.Get("Upgrade") != "websocket" || !strings.Contains(body, "WebSocket") {
		t.Errorf("%s %v %q", resp.Status, resp.Header, body)
	}
}

func TestBeyondTheMaximumComes503UntilSomebodyLeaves(t *testing.T) {
	k := startTask(t, func(o *Options) { o.MaxConnections = 2 })
	k.join("")
	second := k.join("")
	conn, resp, body := k.try("", nil, false)
	if conn != nil || resp.StatusCode != 503 || !strings.Contains(body, "(2)") {
		t.Fatalf("%s %q", resp.Status, body)
	}
	expectRetryAfter(t, resp, 5, 15)
	second.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), deadline())
	second.expectClose(1000, "")
	eventually(t, func() bool { return k.engine.Len() == 1 })
	k.join("")
}

func TestUpgradeRate(t *testing.T) {
	k := startTask(t, func(o *Options) {
		o.Settings.Protection.UpgradeRate, o.Settings.Protection.UpgradeBurst = 0.001, 2
	})
	k.join("")
	// What could never succeed does not use up the allowance.
	for range 5 {
		k.try("?channel=", nil, false)
	}
	k.join("")
	conn, resp, _ := k.try("", nil, false)
	if conn != nil || resp.StatusCode != 503 {
		t.Fatalf("%s", resp.Status)
	}
	expectRetryAfter(t, resp, 1, 5)
}

func TestDrainingRefusesAndSaysSo(t *testing.T) {
	k := startTask(t, nil)
	k.join("")
	k.machine.Drain("test")
	for path, want := range map[string]int{"/health": 200, "/ready": 503, "/": 503, "/index.html": 503} {
		if resp, body := k.get(path); resp.StatusCode != want {
			t.Errorf("%s: %s %q; want %d", path, resp.Status, body, want)
		}
	}
	conn, resp, body := k.try("", nil, false)
	if conn != nil || resp.StatusCode != 503 || !strings.Contains(body, "draining") {
		t.Fatalf("%s %q", resp.Status, body)
	}
	expectRetryAfter(t, resp, 1, 1)
}

func TestPages(t *testing.T) {
	k := startTask(t, nil)
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/health":     {200, "Ok"},
		"/ready":      {200, "Ok"},
		"/":           {200, "the console"},
		"/index.html": {200, "the console"},
		"/nowhere":    {404, "Nothing is here. The console is at /, the WebSocket endpoint at /wss.\n"},
	} {
		if resp, body := k.get(path); resp.StatusCode != want.status || body != want.body {
			t.Errorf("%s: %s %q; want %d %q", path, resp.Status, body, want.status, want.body)
		}
	}
	resp, err := http.Post(k.http.URL+"/health", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /health: %s", resp.Status)
	}
}

func expectRetryAfter(t *testing.T, resp *http.Response, least, most int) {
	t.Helper()
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < least || n > most {
		t.Errorf("Retry-After %q; want %d to %d", resp.Header.Get("Retry-After"), least, most)
	}
}
