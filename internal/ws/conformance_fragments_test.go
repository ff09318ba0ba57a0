package ws

import (
	"strings"
	"testing"
)

// Sections 5 and 10: fragmented messages, and control frames between fragments.

func TestConformanceFragmentation(t *testing.T) {
	const open, more = byte(OpText), byte(OpContinuation)
	f := clientFrame
	ping := f(finPing, "between")
	violation := fails(CloseProtocolError)
	// 5.16 and 5.17 send the same faulty group twice; its first frame decides.
	twice := func(frames ...[]byte) [][]byte { return append(frames, frames...) }
	rows := []row{
		{"5.1", "a ping that is a fragment", [][]byte{f(byte(OpPing), "one"), f(finCont, "two")}, nil, violation},
		{"5.2", "a pong that is a fragment", [][]byte{f(byte(OpPong), "one"), f(finCont, "two")}, nil, violation},
		{"5.3 5.4 5.5", "a text in two fragments", [][]byte{f(open, "one "), f(finCont, "two")}, []answer{text("one two")}, ending{}},
		{"5.6 5.7 5.8", "a ping between fragments is answered first", [][]byte{f(open, "one "), ping, f(finCont, "two")}, []answer{pong("between"), text("one two")}, ending{}},
		{"5.9 5.10 5.11", "a last continuation of nothing", [][]byte{f(finCont, "one"), f(finText, "never read")}, nil, violation},
		{"5.12 5.13 5.14", "a continuation of nothing", [][]byte{f(more, "one"), f(finText, "never read")}, nil, violation},
		{"5.15", "a continuation behind a whole fragmented message", [][]byte{f(open, "one "), f(finCont, "two"), f(more, "three"), f(finText, "four")}, []answer{text("one two")}, violation},
		{"5.16", "twice a continuation before its message", twice(f(more, "one"), f(open, "two"), f(finCont, "three")), nil, violation},
		{"5.17", "twice a last continuation before its message", twice(f(finCont, "one"), f(open, "two"), f(finCont, "three")), nil, violation},
		{"5.18", "a new message within a message", [][]byte{f(open, "one"), f(finText, "two")}, nil, violation},
		{"5.19 5.20", "five fragments and two pings", [][]byte{f(open, "1"), f(more, "2"), f(finPing, "first"), f(more, "3"), f(more, "4"), f(finPing, "second"), f(finCont, "5")},
			[]answer{pong("first"), pong("second"), text("12345")}, ending{}},

		{"beyond", "a close that is a fragment", [][]byte{f(byte(OpClose), closePayload(CloseNormal, "")), f(finCont, "")}, nil, violation},
		{"beyond", "a new fragmented message within a message", [][]byte{f(open, "one"), f(open, "two"), f(finCont, "three")}, nil, violation},
		{"beyond", "a binary within a text", [][]byte{f(open, "one"), f(finBinary, "two")}, nil, violation},
		{"beyond", "a binary in fragments that are not text", [][]byte{f(byte(OpBinary), "\xff"), f(more, "\x00"), f(finCont, "\xfe")}, []answer{blob("\xff\x00\xfe")}, ending{}},
		{"beyond", "empty fragments all around", [][]byte{f(open, ""), f(more, ""), f(more, "x"), f(more, ""), f(finCont, "")}, []answer{text("x")}, ending{}},
		{"beyond", "an unasked pong between fragments", [][]byte{f(open, "one "), f(finPong, "x"), f(finCont, "two")}, []answer{text("one two")}, ending{}},
		{"beyond", "full pings between all fragments", [][]byte{f(open, "a"), f(finPing, words(125)), f(more, "b"), f(finPing, words(125)), f(finPing, ""), f(finCont, "c")},
			[]answer{pong(words(125)), pong(words(125)), pong(""), text("abc")}, ending{}},
		{"beyond", "a close between fragments", [][]byte{f(open, "one"), f(finClose, closePayload(CloseGoingAway, "enough")), f(finCont, "two")}, nil, closes(CloseGoingAway)},
		{"beyond", "a violation between fragments", [][]byte{f(finText, "good"), f(open, "one"), f(finPing, words(126))}, []answer{text("good")}, violation},
		{"beyond", "a fragmented message behind another", [][]byte{f(open, "a"), f(finCont, "b"), f(byte(OpBinary), "c"), f(finCont, "d"), f(finText, "e")},
			[]answer{text("ab"), blob("cd"), text("e")}, ending{}},
	}
	long := []byte(words(65536))
	rows = append(rows, row{section: "10.1.1", says: "64 KiB in fragments of 1300", send: fragmented(finText, long, 1300), want: []answer{text(string(long))}})
	for _, size := range []int{125, 126, 65535} {
		rows = append(rows, row{section: "10.*", says: "64 KiB in fragments at a border of the length forms", send: fragmented(finBinary, long, size), want: []answer{blob(string(long))}})
	}
	play(t, rows, "")
}

// 5.19 and 5.20: a ping is answered while its message stands open, not after.
func TestConformancePingIsAnsweredInsideAMessage(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		c := s.dial(t)
		var whole strings.Builder
		b0 := byte(OpText)
		for range 20 {
			c.send(join(clientFrame(b0, "part, "), clientFrame(finPing, "still there?")))
			c.expect(finPong, "still there?")
			whole.WriteString("part, ")
			b0 = byte(OpContinuation)
		}
		c.send(clientFrame(finCont, "end"))
		c.expect(finText, whole.String()+"end")
		ending{}.check(t, s, c)
	})
}
