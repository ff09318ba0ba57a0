package ws

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"
)

func TestTextThatArrivesInPieces(t *testing.T) {
	tests := []struct {
		name   string
		pieces []string
		failAt int  // the piece at which feed turns false; -1: none
		done   bool // what done says at the end
	}{
		{"nothing at all is text", nil, -1, true},
		{"empty pieces change nothing", []string{"", "a", ""}, -1, true},
		{"a letter cut in two", []string{"h\xc3", "\xa9"}, -1, true},
		{"a four-byte sequence byte by byte", []string{"\xf0", "\x9f", "\x9a", "\xa2"}, -1, true},
		{"the last code point of all", []string{"\xf4\x8f", "\xbf\xbf"}, -1, true},
		{"the first after the surrogates", []string{"\xee", "\x80\x80"}, -1, true},
		{"the last before the surrogates", []string{"\xed\x9f", "\xbf"}, -1, true},
		{"a cut followed by the next sequence", []string{"\xe2\x82", "\xac\xe2", "\x82\xac"}, -1, true},
		{"the end comes too early", []string{"ok\xe2\x82"}, -1, false},
		{"and stays too early over an empty piece", []string{"ok\xe2\x82", ""}, -1, false},

		{"a continuation byte alone", []string{"a\x80"}, 0, false},
		{"a continuation too many", []string{"\xc3", "\xa9\xa9"}, 1, false},
		{"an overlong slash of two bytes, at its first byte", []string{"\xc0"}, 0, false},
		{"C1 begins nothing either", []string{"x\xc1", "\x80"}, 0, false},
		{"an overlong form of three bytes, at its second", []string{"\xe0\x80"}, 0, false},
		{"the same over a cut", []string{"\xe0", "\x9f"}, 1, false},
		{"an overlong form of four bytes, at its second", []string{"\xf0\x8f"}, 0, false},
		{"a surrogate, at its second byte", []string{"\xed\xa0"}, 0, false},
		{"the same over a cut", []string{"\xed", "\xa0"}, 1, false},
		{"above the last code point, at its second byte", []string{"\xf4\x90"}, 0, false},
		{"F5 begins nothing", []string{"\xf5"}, 0, false},
		{"FF begins nothing", []string{"aaaaaaaaaaaaaaaaaaaaaaaaa\xff"}, 0, false},
		{"a sequence broken off by a letter", []string{"\xe2\x82", "a"}, 1, false},
		{"a sequence broken off within a piece", []string{"\xe2\x82a and more text to come"}, 0, false},
		{"broken once is broken for ever", []string{"\xff", "fine"}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s utf8State
			for i, p := range tt.pieces {
				want := tt.failAt < 0 || i < tt.failAt
				if got := s.feed([]byte(p)); got != want {
					t.Fatalf("feed of piece %d, %q, = %v, want %v", i, p, got, want)
				}
			}
			if got := s.done(); got != tt.done {
				t.Errorf("done() = %v, want %v", got, tt.done)
			}
		})
	}
}

func TestTheStateOfATextIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(utf8State{}); size > 8 {
		t.Errorf("utf8State has %d bytes", size)
	}
}

// extendable reports whether some bytes after p make it valid. It looks at
// nothing but utf8.Valid: a sequence that is open lacks one to three bytes, and
// the second one is all that is ever restricted.
func extendable(p []byte) bool {
	try := append([]byte(nil), p...)
	if utf8.Valid(try) {
		return true
	}
	for _, b := range []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf} {
		for more := range 3 {
			if utf8.Valid(append(append(try, b), "\x80\x80"[:more]...)) {
				return true
			}
		}
	}
	return false
}

// Every sequence of up to three bytes, and of four at the borders, byte by byte
// and whole, against utf8.Valid.
func TestEveryShortSequence(t *testing.T) {
	check := func(p []byte) {
		var piecewise, whole utf8State
		ok := true
		for i := range p {
			ok = piecewise.feed(p[i : i+1])
		}
		if got := whole.feed(p); got != ok || got != extendable(p) {
			t.Fatalf("% x: whole %v, byte by byte %v, extendable %v", p, got, ok, extendable(p))
		}
		if piecewise.done() != whole.done() || whole.done() != utf8.Valid(p) {
			t.Fatalf("% x: done %v, byte by byte %v, valid %v", p, whole.done(), piecewise.done(), utf8.Valid(p))
		}
	}
	border := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff}
	for a := range 256 {
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
			for _, c := range border {
				check([]byte{byte(a), byte(b), c})
			}
		}
	}
	for _, a := range border {
		for _, b := range border {
			for _, c := range border {
				for _, d := range border {
					check([]byte{a, b, c, d})
				}
			}
		}
	}
}

func FuzzUTF8(f *testing.F) {
	f.Add([]byte("plain text that is longer than a few machine words"), uint16(7), uint16(20))
	f.Add([]byte("h\u00e9 \u20ac \U0001f6a2"), uint16(2), uint16(9))
	f.Add([]byte("\xed\xa0\x80"), uint16(1), uint16(1))
	f.Add([]byte("\xf4\x90\x80\x80"), uint16(0), uint16(1))
	f.Add([]byte("\xe0\x80\xaf"), uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, p []byte, cut1, cut2 uint16) {
		i := int(cut1) % (len(p) + 1)
		j := i + int(cut2)%(len(p)-i+1)
		var s utf8State
		fed := 0
		for _, end := range []int{i, j, len(p)} {
			got := s.feed(p[fed:end])
			fed = end
			if want := extendable(p[:end]); got != want {
				t.Fatalf("fed %q, cut at %d and %d: feed = %v, want %v", p[:end], i, j, got, want)
			}
		}
		if got, want := s.done(), utf8.Valid(p); got != want {
			t.Fatalf("%q, cut at %d and %d: done = %v, utf8.Valid = %v", p, i, j, got, want)
		}
	})
}

func BenchmarkUTF8(b *testing.B) {
	texts := []struct{ name, text string }{
		{"ascii", strings.Repeat(`{"n":12345,"ok":true,"to":"berth"}`, 500)},
		{"mixed", strings.Repeat(`{"n":12345,"to":"Möwe","at":"Łódź"}`, 500)},
		{"dense", strings.Repeat("船は静かに港へ入る", 600)},
	}
	for _, tt := range texts {
		for _, n := range []int{125, 16000} {
			p := []byte(tt.text[:n])
			b.Run(fmt.Sprintf("%s/%d", tt.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				for b.Loop() {
					var s utf8State
					s.feed(p)
				}
			})
		}
	}
}
