package ws

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Section 7: the close handshake.

func TestConformanceClose(t *testing.T) {
	f := clientFrame
	bye := f(finClose, closePayload(CloseNormal, ""))
	normal := closes(CloseNormal)
	rows := []row{
		{"7.1.1", "a message, then the close", [][]byte{f(finText, "hello")}, []answer{text("hello")}, ending{}},
		{"7.1.2", "a second close is not answered", [][]byte{bye, f(finClose, "")}, nil, normal},
		{"7.1.3", "a ping behind the close is not answered", [][]byte{bye, f(finPing, "late")}, nil, normal},
		{"7.1.4", "a message behind the close is not read", [][]byte{bye, f(finText, "late")}, nil, normal},
		{"7.1.5", "a close within a message ends it", [][]byte{f(byte(OpText), "one"), bye, f(finCont, "two")}, nil, normal},
		{"beyond", "garbage behind the close is not judged", [][]byte{bye, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}}, nil, normal},
		{"beyond", "a violation behind a violation is not judged", [][]byte{f(finText, "\xff"), f(bitFin|3, "")}, nil, fails(CloseInvalidPayload)},

		{"7.3.1", "a close without a code", [][]byte{f(finClose, "")}, nil, closes(CloseNoStatus)},
		{"7.3.2", "a close with half a code", [][]byte{f(finClose, "\x03")}, nil, fails(CloseProtocolError)},
		{"7.3.3", "a close with a code", [][]byte{bye}, nil, normal},
		{"7.3.4", "a close with a reason", [][]byte{f(finClose, closePayload(CloseNormal, "gone fishing"))}, nil, normal},
		{"7.3.5", "a close with the longest reason", [][]byte{f(finClose, closePayload(CloseNormal, words(123)))}, nil, normal},
		{"7.3.6", "a close with a reason too long", [][]byte{f(finClose, closePayload(CloseNormal, words(124)))}, nil, fails(CloseProtocolError)},
		{"beyond", "a close with a reason outside ASCII", [][]byte{f(finClose, closePayload(CloseNormal, "φάρος 🛟"))}, nil, normal},

		{"7.5.1", "a reason with a surrogate", [][]byte{f(finClose, closePayload(CloseNormal, "φάρος\xed\xa0\x80 and on"))}, nil, fails(CloseInvalidPayload)},
		{"7.5.1", "a reason that ends within a character", [][]byte{f(finClose, closePayload(CloseNormal, "φάρο\xcf"))}, nil, fails(CloseInvalidPayload)},
	}
	for i, code := range []StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		rows = append(rows, row{fmt.Sprintf("7.7.%d", i+1), fmt.Sprintf("code %d is answered with itself", code),
			[][]byte{f(finClose, closePayload(code, "because"))}, nil, closes(code)})
	}
	for _, code := range []StatusCode{1012, 1013, 1014} { // registered after the RFC
		rows = append(rows, row{"beyond", fmt.Sprintf("code %d is answered with itself", code),
			[][]byte{f(finClose, closePayload(code, ""))}, nil, closes(code)})
	}
	for i, code := range []StatusCode{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		rows = append(rows, row{fmt.Sprintf("7.9.%d", i+1), fmt.Sprintf("code %d must not be sent", code),
			[][]byte{f(finClose, closePayload(code, ""))}, nil, fails(CloseProtocolError)})
	}
	for i, code := range []StatusCode{5000, 65535} {
		rows = append(rows, row{fmt.Sprintf("7.13.%d", i+1), fmt.Sprintf("code %d belongs to nobody", code),
			[][]byte{f(finClose, closePayload(code, ""))}, nil, fails(CloseProtocolError)})
	}
	rows = append(rows, row{"beyond", "code 1015 must not be sent", [][]byte{f(finClose, closePayload(1015, ""))}, nil, fails(CloseProtocolError)})
	play(t, rows, "")
}

// 7.1.6: a long message, a short one, the close and a ping in one go. How much
// is echoed before the close's answer is the server's business; that nothing is
// torn or out of order, and nothing follows, is not.
func TestConformanceCloseBehindMuchData(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		long := words(256 << 10)
		for range 5 {
			c := s.dial(t)
			c.send(join(clientFrame(finText, long), clientFrame(finText, "short"), clientFrame(finClose, closePayload(CloseNormal, "")), clientFrame(finPing, "late")))
			echoes := []string{long, "short"}
			for {
				b0, p, err := c.frame()
				if err != nil {
					t.Fatalf("no answer to the close: %v", err)
				}
				if b0 == finClose {
					if string(p) != closePayload(CloseNormal, "") {
						t.Fatalf("close frame %q", p)
					}
					break
				}
				if b0 != finText || len(echoes) == 0 || string(p) != echoes[0] {
					t.Fatalf("frame %#x of %d bytes is no echo that was due", b0, len(p))
				}
				echoes = echoes[1:]
			}
			c.expectEOF()
			c.Close()
			if end := s.end(t); end.Code != CloseNormal || end.Cause != CausePeer {
				t.Errorf("ended with %+v", end)
			}
		}
	})
}

// What the client says after our close frame is taken until its answer comes;
// a violation there ends the stream without a second close frame.
func TestConformanceServerClosesFirst(t *testing.T) {
	f := clientFrame
	for name, r := range map[string]struct {
		send  [][]byte
		cause Cause
	}{
		"and is answered":                       {[][]byte{f(finClose, closePayload(CloseGoingAway, ""))}, CauseServer},
		"and is answered with another code":     {[][]byte{f(finClose, closePayload(CloseNormal, ""))}, CauseServer},
		"and is answered behind data and pings": {[][]byte{f(finText, "x"), f(finPing, "x"), f(finClose, "")}, CauseServer},
		"and the answer is faulty":              {[][]byte{f(finClose, "\x03")}, CauseServer},
		"and a violation comes instead":         {[][]byte{f(bitFin|3, "")}, CauseServer},
		"and text that is not UTF-8 comes":      {[][]byte{f(finText, "\xff")}, CauseServer},
	} {
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				s := serve(t, suiteOptions(b), func(s *testServer) {
					s.onOpen = func(c *Conn) { c.Close(CloseGoingAway, "tide") }
				})
				c := s.dial(t)
				c.expect(finClose, closePayload(CloseGoingAway, "tide"))
				c.send(join(r.send...))
				c.expectEOF()
				c.Close()
				if end := s.end(t); end.Code != CloseGoingAway || end.Reason != "tide" || end.Cause != r.cause {
					t.Errorf("ended with %+v", end)
				}
			})
		})
	}
}

// A client may end its side right behind its last frame and still be owed the
// answer: FIN says that it has no more to send, not that it stopped reading.
func TestConformanceAnswersReachAHalfClosedPeer(t *testing.T) {
	for name, r := range map[string]row{
		"behind its close frame": {send: [][]byte{clientFrame(finClose, closePayload(CloseNormal, ""))}, end: closes(CloseNormal)},
		"behind a violation":     {send: [][]byte{clientFrame(bitFin|3, "")}, end: fails(CloseProtocolError)},
	} {
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				s := serve(t, suiteOptions(b))
				for range 50 {
					c := s.dial(t)
					c.send(join(r.send...))
					c.Conn.(*net.TCPConn).CloseWrite()
					r.end.check(t, s, c)
				}
			})
		})
	}
}

// A server that lingers for the client's FIN must not do so for ever, nor for a
// client that goes on sending.
func TestConformanceLingerEnds(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		opts := suiteOptions(b)
		opts.CloseTimeout = deadlineGrain
		s := serve(t, opts)
		c := s.dial(t)
		c.send(clientFrame(finClose, closePayload(CloseNormal, "")))
		c.expect(finClose, closePayload(CloseNormal, ""))
		c.expectEOF()
		junk := []byte(strings.Repeat("\xff", 100))
		for len(s.ended) == 0 {
			if _, err := c.Write(junk); err != nil {
				break
			}
		}
		if end := s.end(t); end.Code != CloseNormal || end.Cause != CausePeer {
			t.Errorf("ended with %+v", end)
		}
	})
}
