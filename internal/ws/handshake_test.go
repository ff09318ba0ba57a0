package ws

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// upgradeLines are the header lines of a valid request but for its key.
const upgradeLines = "Host: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"

// The key and the answer of RFC 6455 §1.3.
const (
	sampleKeyLine = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	sampleAccept  = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// parseRequest reads a request as net/http does; "" for a request line of
// "GET /wss HTTP/1.1".
func parseRequest(tb testing.TB, requestLine, headers string) *http.Request {
	tb.Helper()
	if requestLine == "" {
		requestLine = "GET /wss HTTP/1.1"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(requestLine + "\r\n" + headers + "\r\n")))
	if err != nil {
		tb.Fatalf("the test's own request is unreadable: %v", err)
	}
	return r
}

func TestHandshakesThatAreAccepted(t *testing.T) {
	const rest = "Host: h\r\nSec-WebSocket-Version: 13\r\n" + sampleKeyLine
	tests := []struct{ name, headers string }{
		{"the example of the RFC", upgradeLines + sampleKeyLine},
		{"tokens in any case", rest + "Upgrade: WebSocket\r\nConnection: UPGRADE\r\n"},
		{"tokens among others in a list", rest + "Upgrade: h2c, websocket\r\nConnection: keep-alive, Upgrade\r\n"},
		{"lists over several header lines", rest + "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n"},
		{"spaces, tabs and empty elements in a list", rest + "Upgrade: ,\t websocket \t,\r\nConnection: , ,keep-alive ,\tupgrade\r\n"},
		{"an explicitly empty body", upgradeLines + sampleKeyLine + "Content-Length: 0\r\n"},
		{"a subprotocol nobody speaks", upgradeLines + sampleKeyLine + "Sec-WebSocket-Protocol: chat, superchat\r\n"},
		{"an origin, which is not judged here", upgradeLines + sampleKeyLine + "Origin: https://elsewhere.test\r\n"},
		{"extensions that are broken", upgradeLines + sampleKeyLine + "Sec-WebSocket-Extensions: ;;\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, e := CheckHandshake(parseRequest(t, "", tt.headers), HandshakeOptions{Compression: true})
			if e != nil {
				t.Fatalf("refused: %v", e)
			}
			want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n\r\n"
			if got := string(h.AppendResponse(nil)); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			if h.WindowBits() != 0 {
				t.Errorf("WindowBits() = %d without an offer of compression", h.WindowBits())
			}
		})
	}
}

func TestHandshakesThatAreRefused(t *testing.T) {
	const valid = upgradeLines + sampleKeyLine
	without := func(name string) string {
		var kept []string
		for _, line := range strings.SplitAfter(valid, "\r\n") {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	tests := []struct {
		name, requestLine, headers string
		status                     int
		says                       string // a part of the message
	}{
		{"a POST", "POST /wss HTTP/1.1", valid, 405, `method was "POST". Use GET`},
		{"a HEAD", "HEAD /wss HTTP/1.1", valid, 405, "Use GET"},
		{"HTTP/1.0", "GET /wss HTTP/1.0", valid, 400, "HTTP/1.0"},
		{"HTTP/2", "GET /wss HTTP/2.0", valid, 505, "not HTTP/2"},
		{"no host", "", without("Host"), 400, "Host header is missing"},
		{"a plain request from a browser's address bar", "", "Host: h\r\nAccept: text/html\r\n", 426, "WebSocket client"},
		{"no Upgrade", "", without("Upgrade"), 426, "proxy dropped"},
		{"an Upgrade to something else", "", without("Upgrade") + "Upgrade: h2c\r\n", 426, "did not ask"},
		{"a token that only begins like websocket", "", without("Upgrade") + "Upgrade: websocket2, websocket/13, web socket\r\n", 426, "did not ask"},
		{"the Kelvin sign for a k", "", without("Upgrade") + "Upgrade: websoc\u212aet\r\n", 426, "did not ask"},
		{"no Connection", "", without("Connection"), 426, "does not list"},
		{"a Connection without upgrade", "", without("Connection") + "Connection: keep-alive\r\n", 426, "does not list"},
		{"no version", "", without("Sec-WebSocket-Version"), 426, "missing"},
		{"the version of a draft", "", without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n", 426, `is "8"`},
		{"a version with a leading zero", "", without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 013\r\n", 426, `is "013"`},
		{"a list of versions, which only servers send", "", without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 13, 8\r\n", 426, `is "13, 8"`},
		{"the version twice", "", valid + "Sec-WebSocket-Version: 13\r\n", 400, "Version header appears more than once"},
		{"no key", "", without("Sec-WebSocket-Key"), 400, "Key header is missing"},
		{"an empty key", "", upgradeLines + "Sec-WebSocket-Key:\r\n", 400, `is ""`},
		{"the key twice", "", valid + sampleKeyLine, 400, "Key header appears more than once"},
		{"two keys in one line", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==\r\n", 400, "not 16 bytes"},
		{"a key of 15 bytes", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", 400, "not 16 bytes"},
		{"a key of 17 bytes", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\r\n", 400, "not 16 bytes"},
		{"a key of 18 bytes", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFh\r\n", 400, "not 16 bytes"},
		{"a key without its padding", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400, "not 16 bytes"},
		{"a key in the URL alphabet", "", upgradeLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-_==\r\n", 400, "not 16 bytes"},
		{"a key with padding at the front", "", upgradeLines + "Sec-WebSocket-Key: ==dGhlIHNhbXBsZSBub25jZQ\r\n", 400, "not 16 bytes"},
		{"a very long key, of which the message shows the start", "", upgradeLines + "Sec-WebSocket-Key: " + strings.Repeat("A", 5000) + "\r\n", 400, `AAA"…`},
		{"a body with its length", "", valid + "Content-Length: 5\r\n", 400, "has a body"},
		{"a chunked body", "", valid + "Transfer-Encoding: chunked\r\n", 400, "has a body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, e := CheckHandshake(parseRequest(t, tt.requestLine, tt.headers), HandshakeOptions{})
			if h != nil || e == nil {
				t.Fatalf("CheckHandshake = %v, %v; want a refusal", h, e)
			}
			if e.Status != tt.status || !strings.Contains(e.Message, tt.says) {
				t.Errorf("refused with %d %q, want %d saying %q", e.Status, e.Message, tt.status, tt.says)
			}
			checkRefusal(t, e)
		})
	}
}

// checkRefusal holds for whatever is refused.
func checkRefusal(t *testing.T, e *HandshakeError) {
	t.Helper()
	switch e.Status {
	case http.StatusUpgradeRequired:
		if e.Header.Get("Upgrade") != "websocket" || e.Header.Get("Connection") != "Upgrade" || e.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("a 426 with the header %v", e.Header)
		}
	case http.StatusMethodNotAllowed:
		if e.Header.Get("Allow") != "GET" {
			t.Errorf("a 405 with the header %v", e.Header)
		}
	case http.StatusBadRequest, http.StatusHTTPVersionNotSupported:
		if len(e.Header) != 0 {
			t.Errorf("a %d with the header %v", e.Status, e.Header)
		}
	default:
		t.Errorf("an undocumented status %d", e.Status)
	}
	if !strings.HasSuffix(e.Message, ".") || len(e.Message) > 500 || strings.ContainsAny(e.Message, "\r\n") {
		t.Errorf("the message is no short sentence: %q", e.Message)
	}
	var err error = e
	if want := fmt.Sprintf("handshake refused with %d: %s", e.Status, e.Message); err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestARefusalsHeaderBelongsToItsReceiver(t *testing.T) {
	r := parseRequest(t, "", "Host: h\r\n")
	_, first := CheckHandshake(r, HandshakeOptions{})
	first.Header.Set("Sec-WebSocket-Version", "changed")
	_, second := CheckHandshake(r, HandshakeOptions{})
	if got := second.Header.Get("Sec-WebSocket-Version"); got != "13" {
		t.Errorf("the next refusal says version %q", got)
	}
}

func TestCompressionIsAgreedOnlyWhereItIsSwitchedOn(t *testing.T) {
	r := parseRequest(t, "", upgradeLines+sampleKeyLine+"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n")
	h, _ := CheckHandshake(r, HandshakeOptions{})
	if h.WindowBits() != 0 || bytes.Contains(h.AppendResponse(nil), []byte("Extensions")) {
		t.Errorf("agreed although switched off: %q", h.AppendResponse(nil))
	}
	h, _ = CheckHandshake(r, HandshakeOptions{Compression: true})
	want := "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10\r\n\r\n"
	if got := h.AppendResponse(nil); h.WindowBits() != 10 || !bytes.HasSuffix(got, []byte(want)) {
		t.Errorf("WindowBits() = %d, answer %q", h.WindowBits(), got)
	}
	if got := h.AppendResponse(nil); len(got) > maxResponse {
		t.Errorf("the longest answer has %d bytes, more than maxResponse", len(got))
	}
	if got := h.AppendResponse([]byte("before")); !bytes.HasPrefix(got, []byte("beforeHTTP/1.1 101 ")) {
		t.Errorf("AppendResponse did not append: %q", got)
	}
}

// A client of another library sends a fresh random key each time and checks
// the answer to it.
func TestAnotherLibrarysClientTakesTheAnswer(t *testing.T) {
	for _, compression := range []bool{false, true} {
		for range 20 {
			client, server := net.Pipe()
			failed := make(chan error, 1)
			go func() {
				defer server.Close()
				r, err := http.ReadRequest(bufio.NewReader(server))
				if err != nil {
					failed <- err
					return
				}
				h, e := CheckHandshake(r, HandshakeOptions{Compression: true})
				if e != nil {
					failed <- e
					return
				}
				_, err = server.Write(h.AppendResponse(nil))
				failed <- err
			}()
			dialer := websocket.Dialer{
				NetDial:           func(string, string) (net.Conn, error) { return client, nil },
				EnableCompression: compression,
			}
			c, response, err := dialer.Dial("ws://example.test/wss", nil)
			if serverErr := <-failed; err != nil || serverErr != nil {
				t.Fatalf("compression %v: client says %v, server says %v", compression, err, serverErr)
			}
			if got := response.Header.Get("Sec-WebSocket-Extensions") != ""; got != compression {
				t.Errorf("extension in the answer: %v, want %v", got, compression)
			}
			response.Body.Close()
			c.Close()
		}
	}
}

func TestAHandshakeAllocatesOnlyItsResult(t *testing.T) {
	r := parseRequest(t, "", upgradeLines+sampleKeyLine+"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
	buf := make([]byte, 0, maxResponse)
	got := testing.AllocsPerRun(100, func() {
		h, e := CheckHandshake(r, HandshakeOptions{Compression: true})
		if e != nil {
			t.Fatal(e)
		}
		buf = h.AppendResponse(buf[:0])
	})
	if got > 1 {
		t.Errorf("%v allocations, want the Handshake alone", got)
	}
}

func FuzzHandshakeHeaders(f *testing.F) {
	add := func(method, host, upgrade, connection, version, key, extensions string) {
		f.Add(method, 1, 1, host, upgrade, connection, version, key, extensions, int64(0))
	}
	add("GET", "h", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "permessage-deflate; client_max_window_bits")
	add("GET", "h", "h2c\nWebSocket", "keep-alive, UPGRADE", "13", "dGhlIHNhbXBsZSBub25jZQ==", "")
	add("GET", "h", "websocket", "Upgrade", "13\n13", "AAAAAAAAAAAAAAAAAAAAAA==\ndGhlIHNhbXBsZSBub25jZQ==", "x;;")
	add("POST", "", "", "", "8", "short", `permessage-deflate; server_max_window_bits="\9"`)
	add("GET", "h", "websocket", "upgrade", "13", "AAAAAAAAAAA\r\nAAAAAAAAA==", "")
	f.Add("GET", 2, 0, "h", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "", int64(-1))

	f.Fuzz(func(t *testing.T, method string, major, minor int, host, upgrade, connection, version, key, extensions string, length int64) {
		// A line feed in an argument stands for a further header line.
		header := http.Header{}
		set := func(name, value string) {
			if value != "" {
				header[name] = strings.Split(value, "\n")
			}
		}
		set("Upgrade", upgrade)
		set("Connection", connection)
		set("Sec-Websocket-Version", version)
		set("Sec-Websocket-Key", key)
		set("Sec-Websocket-Extensions", extensions)
		r := &http.Request{Method: method, ProtoMajor: major, ProtoMinor: minor, Host: host, Header: header, ContentLength: length}

		h, e := CheckHandshake(r, HandshakeOptions{Compression: true})
		if e != nil {
			if h != nil {
				t.Fatal("both a result and an error")
			}
			checkRefusal(t, e)
			return
		}
		if method != "GET" || major != 1 || minor < 1 || host == "" || length != 0 {
			t.Fatal("accepted in spite of its request line, host or body")
		}
		for name, value := range map[string]string{"Upgrade": "websocket", "Connection": "upgrade"} {
			if !slices.ContainsFunc(strings.Split(strings.Join(header[name], ","), ","), func(s string) bool {
				return strings.EqualFold(strings.Trim(s, " \t"), value)
			}) {
				t.Fatalf("accepted with %s: %q", name, header[name])
			}
		}
		if len(header["Sec-Websocket-Version"]) != 1 || len(header["Sec-Websocket-Key"]) != 1 {
			t.Fatal("accepted with repeated headers")
		}
		answer := h.AppendResponse(nil)
		if len(answer) > maxResponse {
			t.Fatalf("an answer of %d bytes", len(answer))
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), r)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("answer %q: %v", answer, err)
		}
		defer response.Body.Close()
		if len(response.Header.Get("Sec-WebSocket-Accept")) != acceptLen {
			t.Fatalf("answer %q", answer)
		}
		if got := response.Header.Get("Sec-WebSocket-Extensions") != ""; got != (h.WindowBits() != 0) {
			t.Fatalf("WindowBits() = %d, answer %q", h.WindowBits(), answer)
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	headers := upgradeLines + sampleKeyLine + "User-Agent: Mozilla/5.0\r\nOrigin: https://example.test\r\nAccept-Encoding: gzip\r\n"
	for _, compression := range []bool{false, true} {
		b.Run("compression="+strconv.FormatBool(compression), func(b *testing.B) {
			b.ReportAllocs()
			r := parseRequest(b, "", headers+"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
			buf := make([]byte, 0, maxResponse)
			for b.Loop() {
				h, e := CheckHandshake(r, HandshakeOptions{Compression: compression})
				if e != nil {
					b.Fatal(e)
				}
				buf = h.AppendResponse(buf[:0])
			}
		})
	}
}
