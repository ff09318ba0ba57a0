package ws

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"runtime"
	"testing"
	"time"
	"unicode/utf8"
)

// The conformance suite: rows of client frames, what an echo server must answer
// and how the connection must end, played over TCP on both backends. Sections
// are numbered as in the Autobahn test suite, so that a row and a case of a run
// of that suite can be found from one another; "beyond" is what it leaves out.
// The verdicts are strict: what was answered before a violation arrives before
// the close frame, and nothing is read that comes after it.

// row is one exchange.
type row struct {
	section, says string
	send          [][]byte // frames, or what claims to be one
	want          []answer
	end           ending
}

// answer is a frame the server has to send.
type answer struct {
	b0      byte
	payload string
}

func text(p string) answer { return answer{finText, p} }
func blob(p string) answer { return answer{finBinary, p} }
func pong(p string) answer { return answer{finPong, p} }

// ending is how the connection has to end. The zero value: the client closes
// with 1000 once it has every answer, and is answered with 1000.
type ending struct {
	kind  endKind
	code  StatusCode // failed: the server's; answered: what Closed reports
	reply string     // answered: the payload of the server's close frame
}

type endKind uint8

const (
	afterwards endKind = iota // the client closes after the row
	failed                    // the server fails the connection
	answered                  // a close frame of the row is answered
)

func fails(code StatusCode) ending { return ending{kind: failed, code: code} }

// closes: the row's close frame of this code gets the same code back.
func closes(code StatusCode) ending {
	if code == CloseNoStatus {
		return ending{kind: answered, code: code}
	}
	return ending{kind: answered, code: code, reply: closePayload(code, "")}
}

// A cut is how a row's bytes are handed to the kernel. All but the first wait
// until the server has read each piece, so that it really meets the pieces.
type cut struct {
	name     string
	pieces   func(frames [][]byte) [][]byte
	lockstep bool
}

var cuts = []cut{
	{"in one write", func(f [][]byte) [][]byte { return [][]byte{join(f...)} }, false},
	{"frame by frame", func(f [][]byte) [][]byte { return f }, true},
	{"octet by octet", octets, true},
}

// octets cuts into single bytes, long streams into some sixty odd pieces.
func octets(frames [][]byte) [][]byte {
	all := join(frames...)
	if len(all) <= 300 {
		return chop(all, 1)
	}
	return chop(all, len(all)/60|1)
}

func chop(p []byte, size int) [][]byte {
	var pieces [][]byte
	for len(p) > 0 {
		n := min(size, len(p))
		pieces = append(pieces, p[:n])
		p = p[n:]
	}
	return pieces
}

// suiteOptions are those of an echo server that a suite is run against. It must
// not ping: the answers are compared frame by frame.
func suiteOptions(b Backend) Options {
	return Options{Backend: b, MaxMessageBytes: 64 << 20, MaxQueueBytes: 256 << 20, MinDeflateBytes: 1, PingInterval: -1}
}

// play runs rows in every cut on both backends.
func play(t *testing.T, rows []row, headers string) {
	t.Parallel()
	onBothBackends(t, func(t *testing.T, b Backend) {
		t.Parallel()
		s := serve(t, suiteOptions(b))
		for _, r := range rows {
			t.Run(r.section+" "+r.says, func(t *testing.T) {
				for i, cut := range cuts {
					if i == 1 && len(r.send) == 1 {
						continue // the same as in one write
					}
					t.Run(cut.name, func(t *testing.T) { r.play(t, s, cut, headers) })
				}
			})
		}
	})
}

func (r row) play(t *testing.T, s *testServer, cut cut, headers string) {
	t.Helper()
	s.settle(t)
	c := s.dialTCP(t)
	c.upgrade(headers)
	read := s.Stats().BytesIn
	for _, piece := range cut.pieces(r.send) {
		if _, err := c.Write(piece); err != nil {
			t.Fatalf("the server broke the stream off: %v", err)
		}
		read += int64(len(piece))
		if cut.lockstep {
			s.awaitRead(t, read)
		}
	}
	for _, a := range r.want {
		c.expect(a.b0, a.payload)
	}
	r.end.check(t, s, c)
}

// awaitRead waits until the engine has read n bytes in all.
func (s *testServer) awaitRead(t *testing.T, n int64) {
	t.Helper()
	for i, start := 0, time.Now(); s.stats.bytesIn.Load() < n; i++ {
		if i < 20 {
			runtime.Gosched()
			continue
		}
		time.Sleep(20 * time.Microsecond)
		if time.Since(start) > 10*time.Second {
			t.Fatalf("the server has read %d bytes of %d", s.stats.bytesIn.Load(), n)
		}
	}
}

// settle forgets what a row before that failed may have left.
func (s *testServer) settle(t *testing.T) {
	t.Helper()
	eventually(t, "the last row's connection is gone", func() bool { return s.Len() == 0 })
	for len(s.ended) > 0 {
		<-s.ended
	}
}

// check plays the end of a connection and compares it with the ending.
func (e ending) check(t *testing.T, s *testServer, c *rawClient) {
	t.Helper()
	want := End{Code: e.code, Cause: CausePeer}
	switch e.kind {
	case afterwards:
		want.Code = CloseNormal
		c.send(clientFrame(finClose, closePayload(CloseNormal, "")))
		c.expect(finClose, closePayload(CloseNormal, ""))
	case answered:
		c.expect(finClose, e.reply)
	case failed:
		want.Cause = CauseProtocol
		b0, p, err := c.frame()
		if err != nil || b0 != finClose {
			t.Fatalf("got frame %#x %.80q, %v; want the close frame", b0, p, err)
		}
		if len(p) < 2 || len(p) > maxControlPayload || !utf8.Valid(p[2:]) {
			t.Fatalf("close frame %q is not well made", p)
		}
		if got := StatusCode(binary.BigEndian.Uint16(p)); got != e.code {
			t.Fatalf("closed with %v (%s); want %v", got, p[2:], e.code)
		}
	}
	c.expectEOF()
	c.Close()
	if got := s.end(t); got.Code != want.Code || got.Cause != want.Cause {
		t.Errorf("ended with %v, %v; want %v, %v", got.Code, got.Cause, want.Code, want.Cause)
	}
}

// bigFrame is clientFrame for long payloads, with any key.
func bigFrame(b0 byte, payload []byte, key [4]byte) []byte {
	var dst []byte
	switch n := len(payload); {
	case n < 126:
		dst = []byte{b0, bitMask | byte(n)}
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16([]byte{b0, bitMask | 126}, uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64([]byte{b0, bitMask | 127}, uint64(n))
	}
	dst = append(dst, key[:]...)
	head := len(dst)
	dst = append(dst, payload...)
	subtle.XORBytes(dst[head:], dst[head:], bytes.Repeat(key[:], len(payload)/4+1))
	return dst
}

// fragmented cuts a payload into frames of size bytes each. b0 is the first
// frame's byte, FIN aside.
func fragmented(b0 byte, payload []byte, size int) [][]byte {
	parts := chop(payload, size)
	if len(parts) == 0 {
		parts = [][]byte{nil}
	}
	var frames [][]byte
	for i, p := range parts {
		first := b0 &^ bitFin
		if i > 0 {
			first = byte(OpContinuation)
		}
		if i == len(parts)-1 {
			first |= bitFin
		}
		frames = append(frames, bigFrame(first, p, [4]byte{byte(i), 0xa5, byte(size), 0x3c}))
	}
	return frames
}
