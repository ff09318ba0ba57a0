package ws

import "unicode/utf8"

// utf8State checks text that arrives in pieces (RFC 6455 §8.1) and fails at the
// first byte that no continuation could make valid, so that a broken message is
// refused before its end. The zero value stands at the start of a text.
type utf8State struct {
	need   uint8 // continuation bytes still to come, or utf8Broken
	lo, hi uint8 // bounds of the next one while need > 0
}

const utf8Broken = 0xff

// feed takes the next piece and reports whether the text may still become
// valid. Once false it stays false.
//
// The sequences that piece borders cut are walked byte by byte; what lies
// between them is whole and left to utf8.Valid, which reads ASCII in words.
func (s *utf8State) feed(p []byte) bool {
	for s.need != 0 && len(p) > 0 {
		if !s.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	cut := len(p) - openTail(p)
	if !utf8.Valid(p[:cut]) {
		s.need = utf8Broken
	}
	for _, b := range p[cut:] {
		s.step(b)
	}
	return s.need != utf8Broken
}

// done reports whether the text may end here: valid so far, nothing incomplete.
func (s *utf8State) done() bool { return s.need == 0 }

// openTail is the length of a sequence that starts in p's last three bytes and
// does not end in p; 0 when there is none.
func openTail(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		b := p[len(p)-n]
		if b < utf8.RuneSelf {
			return 0
		}
		if b >= 0xc0 { // the first byte of a sequence
			if need, _, _ := utf8Lead(b); int(need) >= n && need != utf8Broken {
				return n
			}
			return 0
		}
	}
	return 0
}

// step takes one byte.
func (s *utf8State) step(b byte) bool {
	switch {
	case s.need == utf8Broken:
	case s.need == 0:
		s.need, s.lo, s.hi = utf8Lead(b)
	case b < s.lo || b > s.hi:
		s.need = utf8Broken
	default:
		s.need--
		s.lo, s.hi = 0x80, 0xbf
	}
	return s.need != utf8Broken
}

// utf8Lead says what follows a first byte (Unicode table 3-7). The bounds on
// the second byte exclude overlong forms (after E0 and F0), surrogates (ED) and
// everything above U+10FFFF (F4).
func utf8Lead(b byte) (need, lo, hi uint8) {
	switch {
	case b < 0x80:
		return 0, 0, 0
	case b >= 0xc2 && b <= 0xdf:
		return 1, 0x80, 0xbf
	case b == 0xe0:
		return 2, 0xa0, 0xbf
	case b == 0xed:
		return 2, 0x80, 0x9f
	case b >= 0xe1 && b <= 0xef:
		return 2, 0x80, 0xbf
	case b == 0xf0:
		return 3, 0x90, 0xbf
	case b >= 0xf1 && b <= 0xf3:
		return 3, 0x80, 0xbf
	case b == 0xf4:
		return 3, 0x80, 0x8f
	}
	return utf8Broken, 0, 0
}
