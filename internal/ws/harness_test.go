package ws

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	before := openDescriptors()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		// A descriptor may be given back a moment after its last user is done.
		for deadline := time.Now().Add(5 * time.Second); openDescriptors() > before && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if after := openDescriptors(); after > before {
			fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after\n", before, after)
			code = 1
		}
	}
	os.Exit(code)
}

// openDescriptors counts this process's descriptors; 0 where /proc is not.
// The runtime's own poller is made before the first call.
func openDescriptors() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// onBothBackends runs a test on each backend this platform has.
func onBothBackends(t *testing.T, test func(t *testing.T, b Backend)) {
	backends := map[string]Backend{"portable": BackendPortable}
	if e, err := New(Options{Backend: BackendEpoll}); err == nil {
		e.Shutdown()
		backends["epoll"] = BackendEpoll
	} else if !errors.Is(err, ErrBackend) {
		t.Fatal(err)
	}
	for name, b := range backends {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// testServer is an engine behind net/http. Its handler echoes, unless onMessage
// is set.
type testServer struct {
	*Engine
	addr      string
	greeting  *Batch
	onMessage func(c *Conn, op Opcode, payload []byte)
	onOpen    func(c *Conn) // between Accept and Open
	http      *http.Server
	ended     chan End
}

func (s *testServer) Message(c *Conn, op Opcode, payload []byte) {
	if s.onMessage != nil {
		s.onMessage(c, op, payload)
		return
	}
	c.WriteMessage(op, payload)
}

func (s *testServer) Closed(_ *Conn, end End) { s.ended <- end }

func (s *testServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		io.WriteString(w, "Ok")
		return
	}
	hs, bad := CheckHandshake(r, HandshakeOptions{Compression: true})
	if bad != nil {
		http.Error(w, bad.Message, bad.Status)
		return
	}
	c, err := s.Accept(w, hs, s)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if s.onOpen != nil {
		s.onOpen(c)
	}
	c.Open(s.greeting)
}

func serve(t testing.TB, opts Options, configure ...func(*testServer)) *testServer {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{Engine: e, ended: make(chan End, 100000)}
	for _, f := range configure {
		f(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: s}
	done := make(chan struct{})
	go func() { s.http.Serve(l); close(done) }()
	t.Cleanup(func() {
		s.http.Close()
		<-done
		e.Shutdown()
		if n := e.Len(); n != 0 {
			t.Errorf("%d connections after Shutdown", n)
		}
		if n := e.Stats().QueuedBytes; n != 0 {
			t.Errorf("%d bytes booked in queues after Shutdown", n)
		}
	})
	return s
}

// end waits for the end of one connection.
func (s *testServer) end(t testing.TB) End {
	t.Helper()
	select {
	case end := <-s.ended:
		return end
	case <-time.After(10 * time.Second):
		t.Fatal("no connection ended")
		return End{}
	}
}

// rawClient speaks frames by hand.
type rawClient struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

const upgradeRequest = "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (s *testServer) dialTCP(t testing.TB) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &rawClient{t, nc, bufio.NewReader(nc)}
}

// dial upgrades; early is sent in the same write as the request.
func (s *testServer) dial(t testing.TB, early ...byte) *rawClient {
	t.Helper()
	c := s.dialTCP(t)
	c.upgrade("", early...)
	return c
}

func (c *rawClient) upgrade(headers string, early ...byte) *http.Response {
	c.t.Helper()
	c.send(append([]byte(upgradeRequest+headers+"\r\n"), early...))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("upgrade answered %d %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		c.t.Fatalf("accept value %q", got)
	}
	return resp
}

func (c *rawClient) send(p []byte) {
	c.t.Helper()
	if _, err := c.Write(p); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// frame reads one server frame.
func (c *rawClient) frame() (b0 byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[1]&bitMask != 0 {
		return 0, nil, errors.New("server frames must not be masked")
	}
	n := uint64(head[1])
	switch n {
	case length16:
		var x [2]byte
		_, err = io.ReadFull(c.r, x[:])
		n = uint64(binary.BigEndian.Uint16(x[:]))
	case length64:
		var x [8]byte
		_, err = io.ReadFull(c.r, x[:])
		n = binary.BigEndian.Uint64(x[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return head[0], payload, err
}

// expect reads one frame and compares it.
func (c *rawClient) expect(b0 byte, payload string) {
	c.t.Helper()
	got, p, err := c.frame()
	if err != nil || got != b0 || string(p) != payload {
		c.t.Fatalf("got frame %#x %.80q, %v; want %#x %.80q", got, p, err, b0, payload)
	}
}

// expectClose reads frames up to the close frame, then the end of the stream.
func (c *rawClient) expectClose(code StatusCode, reason string) {
	c.t.Helper()
	for {
		b0, p, err := c.frame()
		if err != nil {
			c.t.Fatalf("no close frame: %v", err)
		}
		if b0 != finClose {
			continue
		}
		if want := closePayload(code, reason); string(p) != want && (reason != "*" || !bytes.HasPrefix(p, []byte(closePayload(code, "")))) {
			c.t.Fatalf("close frame %q; want %q", p, want)
		}
		return
	}
}

// expectEOF says that the server ends the stream.
func (c *rawClient) expectEOF() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("got byte %#x, %v; want the end of the stream", b, err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

func words(n int) string { return strings.Repeat("fairlead ", n/9+1)[:n] }
