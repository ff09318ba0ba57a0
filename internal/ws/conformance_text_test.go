package ws

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// Section 6: text must be UTF-8 (RFC 6455 §8.1, RFC 3629), and one that cannot
// become UTF-8 any more is refused at the byte that shows it.

// sample is a text of one message.
type sample struct {
	section, says string
	text          string
	valid         bool
}

// rawRune is a code point in the UTF-8 pattern of n bytes (1 to 6), whether or
// not it may be written so: the six-byte forms are those of RFC 2279.
func rawRune(v uint32, n int) string {
	if n == 1 {
		return string([]byte{byte(v)})
	}
	b := make([]byte, n)
	for i := n - 1; i > 0; i-- {
		b[i] = 0x80 | byte(v&0x3f)
		v >>= 6
	}
	b[0] = byte(0xff<<(8-n)) | byte(v)
	return string(b)
}

const (
	light     = "φάρος" // two bytes each
	bothSides = "ahoy-§-€-ß-φάρος-船-🛟!"
)

func samples() []sample {
	var all []sample
	var section string
	n := 0
	in := func(s string) { section, n = s, 0 }
	add := func(valid bool, says, text string) {
		n++
		all = append(all, sample{fmt.Sprint(section, ".", n), says, text, valid})
	}
	in("6.2")
	add(true, "characters of all lengths", bothSides)
	in("6.3")
	add(false, "a surrogate among good text", light+rawRune(0xd800, 3)+"on and on")
	in("6.5")
	for _, c := range []string{"$", "§", "€", "𠜎", light} {
		add(true, fmt.Sprintf("a character of %d bytes behind ASCII", len(c)), "berth "+c)
	}
	in("6.6")
	for i := 1; i <= len(light); i++ {
		add(i%2 == 0, fmt.Sprintf("the first %d bytes of a word of two-byte characters", i), light[:i])
	}
	first := []uint32{0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000}
	last := []uint32{0x7f, 0x7ff, 0xffff, 0x1fffff, 0x3ffffff, 0x7fffffff}
	in("6.7")
	for i := range 4 {
		add(true, fmt.Sprintf("the smallest character of %d bytes", i+1), rawRune(first[i], i+1))
	}
	in("6.8")
	for i := 4; i < 6; i++ {
		add(false, fmt.Sprintf("the smallest form of %d bytes", i+1), rawRune(first[i], i+1))
	}
	in("6.9")
	for i := range 3 {
		add(true, fmt.Sprintf("the largest character of %d bytes", i+1), rawRune(last[i], i+1))
	}
	add(true, "the largest character of 4 bytes", rawRune(0x10ffff, 4))
	in("6.10")
	for i := 3; i < 6; i++ {
		add(false, fmt.Sprintf("the largest form of %d bytes", i+1), rawRune(last[i], i+1))
	}
	in("6.11")
	for _, v := range []uint32{0xd7ff, 0xe000, 0xfffd} {
		add(true, fmt.Sprintf("U+%04X", v), rawRune(v, 3))
	}
	add(true, "U+10FFFF", rawRune(0x10ffff, 4))
	add(false, "U+110000", rawRune(0x110000, 4))
	in("6.12")
	add(false, "a continuation byte alone", "\x80")
	add(false, "the last continuation byte alone", "\xbf")
	for i := 2; i <= 7; i++ {
		add(false, fmt.Sprintf("%d continuation bytes", i), strings.Repeat("\x80\xbf", 4)[:i])
	}
	add(false, "every continuation byte", byteRange(0x80, 0xbf, ""))
	in("6.13")
	for _, r := range [][2]byte{{0xc0, 0xdf}, {0xe0, 0xef}, {0xf0, 0xf7}, {0xf8, 0xfb}, {0xfc, 0xfd}} {
		add(false, fmt.Sprintf("the first bytes %#x to %#x, a space behind each", r[0], r[1]), byteRange(r[0], r[1], " "))
	}
	in("6.14")
	var broken strings.Builder
	for _, values := range [][]uint32{{0, 0, 0, 0, 0, 0}, last} {
		for i := 1; i < 6; i++ {
			cut := rawRune(values[i], i+1)[:i]
			broken.WriteString(cut)
			add(false, fmt.Sprintf("%#x in %d bytes without the last", values[i], i+1), cut)
		}
	}
	in("6.15")
	add(false, "incomplete characters one behind the other", broken.String())
	in("6.16")
	for _, p := range []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"} {
		add(false, fmt.Sprintf("bytes % x", p), p)
	}
	for i, what := range []string{"a slash", "the largest value", "a zero"} {
		in(fmt.Sprint("6.", 17+i))
		for n := 2; n <= 6; n++ {
			v := []uint32{'/', last[n-2], 0}[i]
			add(false, fmt.Sprintf("%s that needs fewer, in %d bytes", what, n), rawRune(v, n))
		}
	}
	high := []uint32{0xd800, 0xdb7f, 0xdb80, 0xdbff}
	in("6.20")
	for _, v := range append(high[:4:4], 0xdc00, 0xdf80, 0xdfff) {
		add(false, fmt.Sprintf("the surrogate U+%04X", v), rawRune(v, 3))
	}
	in("6.21")
	for _, h := range high {
		for _, l := range []uint32{0xdc00, 0xdfff} {
			add(false, fmt.Sprintf("the surrogate pair U+%04X U+%04X", h, l), rawRune(h, 3)+rawRune(l, 3))
		}
	}
	in("6.22") // 17 planes of two
	for plane := range rune(17) {
		for _, v := range []rune{plane<<16 | 0xfffe, plane<<16 | 0xffff} {
			add(true, fmt.Sprintf("the noncharacter U+%04X", v), string(v))
		}
	}
	in("6.23")
	for v := rune(0xfff9); v <= 0xffff; v++ {
		add(true, fmt.Sprintf("the special U+%04X", v), string(v))
	}
	return all
}

func byteRange(from, to byte, behind string) string {
	var s strings.Builder
	for b := int(from); b <= int(to); b++ {
		s.WriteByte(byte(b))
		s.WriteString(behind)
	}
	return s.String()
}

// verdict is the first byte that no continuation could make right, or -1 where
// more text could. It tries completions instead of knowing rules.
func verdict(s string) int {
	for i := range len(s) {
		if !completable(s[:i+1]) {
			return i
		}
	}
	return -1
}

func completable(s string) bool {
	for _, next := range []string{"", "\x80", "\x90", "\xa0"} {
		for _, rest := range []string{"", "\x80", "\x80\x80"} {
			if utf8.ValidString(s + next + rest) {
				return true
			}
		}
	}
	return false
}

func TestConformanceText(t *testing.T) {
	rows := []row{
		{section: "6.1.1", says: "an empty text", send: [][]byte{clientFrame(finText, "")}, want: []answer{text("")}},
		{section: "6.1.2", says: "an empty text in three fragments", send: [][]byte{clientFrame(byte(OpText), ""), clientFrame(byte(OpContinuation), ""), clientFrame(finCont, "")}, want: []answer{text("")}},
		{section: "6.1.3", says: "a text between empty fragments", send: [][]byte{clientFrame(byte(OpText), ""), clientFrame(byte(OpContinuation), "amid"), clientFrame(finCont, "")}, want: []answer{text("amid")}},
		{section: "6.2.2", says: "fragments that end between characters", send: fragmented(finText, []byte(light), 2), want: []answer{text(light)}},
		{section: "6.2.3", says: "a ping within a character", send: [][]byte{clientFrame(byte(OpText), "船"[:1]), clientFrame(finPing, "\xff"), clientFrame(finCont, "船"[1:])}, want: []answer{pong("\xff"), text("船")}},
		{section: "beyond", says: "half a character at the end is not taken from the next message", send: [][]byte{clientFrame(finText, "good"), clientFrame(finText, "\xcf"), clientFrame(finText, "\x86")},
			want: []answer{text("good")}, end: fails(CloseInvalidPayload)},
		{section: "beyond", says: "a binary of half a character, then a text", send: [][]byte{clientFrame(byte(OpBinary), "\xcf"), clientFrame(finCont, ""), clientFrame(finText, "x")},
			want: []answer{blob("\xcf"), text("x")}},
	}
	for _, s := range samples() {
		r := row{section: s.section, says: s.says, want: []answer{text(s.text)}}
		if !s.valid {
			r.want, r.end = nil, fails(CloseInvalidPayload)
		}
		if s.valid != utf8.ValidString(s.text) {
			t.Fatalf("%s: the sample %q is not what its row says", s.section, s.text)
		}
		r.send = [][]byte{clientFrame(finText, s.text)}
		rows = append(rows, r)
		// The same in fragments of one byte, and an empty one at the end.
		r.says += ", in one-byte fragments"
		r.send = fragmented(finText, []byte(s.text), 1)
		r.send[len(r.send)-1][0] &^= bitFin
		r.send = append(r.send, clientFrame(finCont, ""))
		rows = append(rows, r)
	}
	play(t, rows, "")
}

// 6.4, for every sample: at the byte that decides, and no later, the close
// comes, though the frame or the message is not at its end. Up to the byte
// before, a right continuation is taken.
func TestConformanceTextFailsFast(t *testing.T) {
	var rows []row
	all := append(samples(),
		sample{"6.4.1", "U+110000 among good text", light + rawRune(0x110000, 4) + "on", false},
		sample{"6.4.2", "a four-byte form out of range among good text", light + rawRune(0x1fffff, 4) + "on", false})
	for _, s := range all {
		at := verdict(s.text)
		if at < 0 {
			continue
		}
		fatal := s.text[:at+1]
		inFrame := clientFrame(finText, fatal+"and more that never comes")
		inFrame = inFrame[:len(inFrame)-len("and more that never comes")]
		inMessage := fragmented(finText, []byte(fatal), 1)
		inMessage[len(inMessage)-1][0] &^= bitFin
		inRest := fragmented(finText, []byte(fatal+"+"), 3)
		inRest[len(inRest)-1][0] &^= bitFin
		rows = append(rows,
			row{"6.4 " + s.section, s.says + ", inside its frame", [][]byte{clientFrame(finText, "good"), inFrame}, []answer{text("good")}, fails(CloseInvalidPayload)},
			row{"6.4 " + s.section, s.says + ", in one-byte fragments without end", inMessage, nil, fails(CloseInvalidPayload)},
			row{"6.4 " + s.section, s.says + ", in fragments of three without end", inRest, nil, fails(CloseInvalidPayload)})
		for _, end := range []string{"", "\x80", "\xa0", "\x90", "\x80\x80", "\xa0\x80", "\x90\x80\x80"} {
			if good := fatal[:at] + end; utf8.ValidString(good) {
				rows = append(rows, row{"6.4 " + s.section, s.says + ", put right at the last moment",
					[][]byte{clientFrame(byte(OpText), fatal[:at]), clientFrame(finCont, end)}, []answer{text(good)}, ending{}})
				break
			}
		}
	}
	play(t, rows, "")
}
