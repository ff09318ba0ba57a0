package ws

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const testLimit = 1000

// parse feeds input in pieces of size bytes (0: all at once).
func parse(input []byte, size int, deflate bool) (*recorder, error) {
	p := parser{limit: testLimit, deflate: deflate}
	defer p.release()
	r := &recorder{stopAt: OpClose}
	input = bytes.Clone(input)
	if size == 0 {
		return r, p.feed(input, r)
	}
	for len(input) > 0 && !r.stopped {
		n := min(size, len(input))
		if err := p.feed(input[:n:n], r); err != nil {
			return r, err
		}
		input = input[n:]
	}
	return r, nil
}

func deflated(s string) string {
	out, ok := Deflate(nil, []byte(s))
	if !ok {
		panic("test data does not compress")
	}
	return string(out)
}

func TestParserTakes(t *testing.T) {
	long := strings.Repeat("compress me ", 40)
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"a text message":                    {clientFrame(finText, "hi"), `message 1 "hi"`},
		"a binary message of any bytes":     {clientFrame(finBinary, "\xff\x00"), `message 2 "\xff\x00"`},
		"an empty message":                  {clientFrame(finText, ""), `message 1 ""`},
		"lengths 125, 126 and over":         {join(clientFrame(finText, long[:125]), clientFrame(finText, long[:126])), fmt.Sprintf("message 1 %q; message 1 %q", long[:125], long[:126])},
		"two messages in one read":          {join(clientFrame(finText, "a"), clientFrame(finText, "b")), `message 1 "a"; message 1 "b"`},
		"a message in three fragments":      {join(clientFrame(byte(OpText), "a"), clientFrame(byte(OpContinuation), "b"), clientFrame(finCont, "c")), `message 1 "abc"`},
		"a fragmented message with nothing": {join(clientFrame(byte(OpText), ""), clientFrame(finCont, "")), `message 1 ""`},
		"a ping between fragments":          {join(clientFrame(byte(OpText), "a"), clientFrame(finPing, "p"), clientFrame(finCont, "b")), `control 9 "p"; message 1 "ab"`},
		"a close between fragments":         {join(clientFrame(byte(OpText), "a"), clientFrame(finClose, ""), clientFrame(finCont, "b")), `control 8 ""`},
		"nothing after a close":             {join(clientFrame(finClose, "\x03\xe8"), clientFrame(finText, "a")), `control 8 "\x03\xe8"`},
		"an unasked pong":                   {clientFrame(finPong, "x"), `control 10 "x"`},
		"a character split over fragments":  {join(clientFrame(byte(OpText), "\xe2\x82"), clientFrame(finCont, "\xac")), `message 1 "€"`},
		"a deflated message":                {clientFrame(finText|bitRSV1, deflated(long)), fmt.Sprintf("message 1 %q", long)},
		"a deflated message in fragments":   {join(clientFrame(byte(OpText)|bitRSV1, deflated(long)[:5]), clientFrame(finCont, deflated(long)[5:])), fmt.Sprintf("message 1 %q", long)},
		"a plain one though deflate is on":  {clientFrame(finText, "hi"), `message 1 "hi"`},
		"a message of exactly the limit":    {clientFrame(finBinary, strings.Repeat("x", testLimit)), fmt.Sprintf("message 2 %q", strings.Repeat("x", testLimit))},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 7, 100} {
				r, err := parse(c.in, size, true)
				if err != nil || r.String() != c.want {
					t.Fatalf("in pieces of %d: %v, %v; want %v", size, r, err, c.want)
				}
			}
		})
	}
}

func TestParserRefuses(t *testing.T) {
	raw := func(b ...byte) []byte { return b }
	for name, c := range map[string]struct {
		in   []byte
		code StatusCode
	}{
		"RSV1 without an extension":         {clientFrame(finText|bitRSV1, "x"), CloseProtocolError},
		"RSV2":                              {clientFrame(finText|bitRSV2, "x"), CloseProtocolError},
		"RSV3":                              {clientFrame(finPing|bitRSV3, ""), CloseProtocolError},
		"reserved data opcode 3":            {clientFrame(bitFin|3, ""), CloseProtocolError},
		"reserved data opcode 7":            {clientFrame(bitFin|7, ""), CloseProtocolError},
		"reserved control opcode 11":        {clientFrame(bitFin|11, ""), CloseProtocolError},
		"reserved control opcode 15":        {clientFrame(bitFin|15, ""), CloseProtocolError},
		"a frame without a mask":            {raw(finText, 1, 'x'), CloseProtocolError},
		"a fragmented ping":                 {clientFrame(byte(OpPing), ""), CloseProtocolError},
		"a ping of 126 bytes":               {clientFrame(finPing, strings.Repeat("x", 126)), CloseProtocolError},
		"a continuation of nothing":         {clientFrame(finCont, "x"), CloseProtocolError},
		"a continuation after the end":      {join(clientFrame(finText, "x"), clientFrame(finCont, "x")), CloseProtocolError},
		"a message within a message":        {join(clientFrame(byte(OpText), "x"), clientFrame(finText, "x")), CloseProtocolError},
		"a 16-bit length that fits 7":       {raw(finText, bitMask|126, 0, 125, 0, 0, 0, 0), CloseProtocolError},
		"a 64-bit length that fits 16":      {raw(finText, bitMask|127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0), CloseProtocolError},
		"a 64-bit length with the top bit":  {raw(finText, bitMask|127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), CloseProtocolError},
		"invalid UTF-8":                     {clientFrame(finText, "\xff"), CloseInvalidPayload},
		"an unfinished character":           {clientFrame(finText, "\xe2\x82"), CloseInvalidPayload},
		"an unfinished character at FIN":    {join(clientFrame(byte(OpText), "\xe2"), clientFrame(finCont, "\x82")), CloseInvalidPayload},
		"a message over the limit":          {clientFrame(finBinary, strings.Repeat("x", testLimit+1)), CloseTooBig},
		"fragments over the limit together": {join(clientFrame(byte(OpBinary), strings.Repeat("x", testLimit)), clientFrame(finCont, "x")), CloseTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 5} {
				_, err := parse(c.in, size, false)
				var p *ProtocolError
				if !errors.As(err, &p) || p.Code != c.code {
					t.Fatalf("in pieces of %d: %v; want close %d", size, err, c.code)
				}
			}
		})
	}
}

func TestParserRefusesWithDeflate(t *testing.T) {
	bomb := deflated(strings.Repeat("x", 100*testLimit))
	for name, c := range map[string]struct {
		in   []byte
		code StatusCode
	}{
		"RSV1 on a continuation":          {join(clientFrame(byte(OpText)|bitRSV1, "x"), clientFrame(finCont|bitRSV1, "x")), CloseProtocolError},
		"RSV1 on a ping":                  {clientFrame(finPing|bitRSV1, ""), CloseProtocolError},
		"garbage for deflate":             {clientFrame(finText|bitRSV1, "\xff\xff\xff\xff"), CloseInvalidPayload},
		"a bomb":                          {clientFrame(finBinary|bitRSV1, bomb), CloseTooBig},
		"invalid UTF-8 under compression": {clientFrame(finText|bitRSV1, deflated(strings.Repeat("\xff", 200))), CloseInvalidPayload},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 5} {
				_, err := parse(c.in, size, true)
				var p *ProtocolError
				if !errors.As(err, &p) || p.Code != c.code {
					t.Fatalf("in pieces of %d: %v; want close %d", size, err, c.code)
				}
			}
		})
	}
}

// What is wrong must be said at the first byte that shows it, and nothing kept.
func TestParserFailsFast(t *testing.T) {
	for name, in := range map[string][]byte{
		"a reserved opcode, by its two bytes":         {bitFin | 3, bitMask},
		"a missing mask, by its two bytes":            {finText, 126},
		"an oversized frame, by its header":           {finBinary, bitMask | 126, 0xff, 0xff, 0, 0, 0, 0},
		"a huge frame, by its header":                 {finBinary, bitMask | 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"an impossible character, inside its frame":   clientFrame(finText, "ok\xc0 and much more")[:9],
		"an overlong form by its second byte":         clientFrame(finText, "\xe0\x80 and much more")[:8],
		"a surrogate by its second byte":              clientFrame(finText, "\xed\xa0 and much more")[:8],
		"a code point over U+10FFFF, by its 2nd byte": clientFrame(finText, "\xf4\x90 and much more")[:8],
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1} {
				if _, err := parse(in, size, false); err == nil {
					t.Fatalf("pieces of %d: taken without a word", size)
				}
			}
		})
	}
}

func TestParserKeepsNothingBetweenMessages(t *testing.T) {
	p := parser{limit: testLimit}
	r := &recorder{}
	frame := clientFrame(finText, "hello")
	for i := range frame {
		if err := p.feed(bytes.Clone(frame[i:i+1]), r); err != nil {
			t.Fatal(err)
		}
		if inside := i < len(frame)-1; (p.part != nil) != inside {
			t.Fatalf("after byte %d of %d the parser holds %v", i+1, len(frame), p.part)
		}
	}
}

func TestParserAllocatesNothingForWholeMessages(t *testing.T) {
	p := parser{limit: testLimit}
	frame := clientFrame(finText, strings.Repeat("x", 200))
	buf := make([]byte, len(frame))
	var s discard
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, frame)
		if err := p.feed(buf, s); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

type discard struct{}

func (discard) message(Opcode, []byte)               {}
func (discard) control(Opcode, []byte) (bool, error) { return true, nil }

func TestUnmaskFitsAnySplit(t *testing.T) {
	plain := make([]byte, 100)
	for i := range plain {
		plain[i] = byte(i)
	}
	key := uint32(0x3d21fa37)
	want := bytes.Clone(plain)
	for i := range want {
		want[i] ^= testKey[i%4]
	}
	for split := range plain {
		got := bytes.Clone(plain)
		k := unmask(got[:split], key)
		unmask(got[split:], k)
		if !bytes.Equal(got, want) {
			t.Fatalf("split at %d: % x", split, got)
		}
	}
}

// FuzzParser checks that any input, however it is cut, gives one result.
func FuzzParser(f *testing.F) {
	f.Add(join(clientFrame(byte(OpText), "a"), clientFrame(finPing, "p"), clientFrame(finCont, "b")), uint64(1))
	f.Add(clientFrame(finText|bitRSV1, deflated(strings.Repeat("ab", 100))), uint64(2))
	f.Add(clientFrame(finBinary, strings.Repeat("x", testLimit+1)), uint64(3))
	f.Add(clientFrame(finText, "\xe2\x82"), uint64(4))
	f.Add(clientFrame(finClose, closePayload(1000, "bye")), uint64(5))
	f.Add([]byte{finText, bitMask | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, uint64(6))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		whole, wholeErr := parse(in, 0, true)
		p := parser{limit: testLimit, deflate: true}
		defer p.release()
		cut := &recorder{stopAt: OpClose}
		rng := rand.New(rand.NewPCG(seed, 0))
		var err error
		for rest := bytes.Clone(in); len(rest) > 0 && err == nil && !cut.stopped; {
			n := 1 + rng.IntN(len(rest))
			err = p.feed(rest[:n:n], cut)
			rest = rest[n:]
		}
		if whole.String() != cut.String() {
			t.Fatalf("whole: %v\ncut:   %v", whole, cut)
		}
		// A piece may end before the whole is known to be wrong in another way,
		// but right stays right and wrong stays wrong.
		if (wholeErr == nil) != (err == nil) {
			t.Fatalf("whole: %v, cut: %v", wholeErr, err)
		}
		if p.part != nil && cap(p.part.buf) > 4*testLimit {
			t.Fatalf("the parser holds %d bytes", cap(p.part.buf))
		}
	})
}
