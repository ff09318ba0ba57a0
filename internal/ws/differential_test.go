package ws

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// The parser beside another server's, gorilla/websocket's, on the same bytes.
// What both take they must read alike; where one refuses, the difference must
// be one of these, and the bytes must show it:
//
//   - a length that is not in its shortest form: only we refuse it;
//   - text that is not UTF-8: only we look, and at the byte that decides;
//   - a close frame with one byte: only we refuse it;
//   - a close reason that is not UTF-8: 1007 here, 1002 there;
//   - close code 1014: only we know it;
//   - a length with its top bit set: refused there without a close frame, and
//     before the masking key has come;
//   - RSV1 on a frame that does not begin a message, with compression: only we
//     refuse it;
//   - deflate data: judged there as it comes, here at the message's end;
//     there, bytes behind a final block are thrown away, a block that is cut
//     may take its end from the tail, no bytes at all are no message, and the
//     size is not bounded.

// reading is what one of the two made of a stream.
type reading struct {
	events  []event
	unread  []byte     // what a message that was not finished had brought
	refused error      // nil: all was taken, as far as it went
	code    StatusCode // of the close frame for refused; 0 without one
	inHead  bool       // the stream ended within a header
}

// event is a message or a control frame.
type event struct {
	op      Opcode
	code    StatusCode // of a close
	payload string     // of a close, the reason
}

func (e event) String() string {
	if e.op == OpClose {
		return fmt.Sprintf("close %d %q", e.code, e.payload)
	}
	return fmt.Sprintf("opcode %d %q", e.op, e.payload)
}

// message and control make reading a sink that treats a close as Conn does.
func (r *reading) message(op Opcode, p []byte) {
	r.events = append(r.events, event{op: op, payload: string(p)})
}

func (r *reading) control(op Opcode, p []byte) (bool, error) {
	if op != OpClose {
		r.events = append(r.events, event{op: op, payload: string(p)})
		return true, nil
	}
	code, reason, err := parseClose(p)
	if err == nil {
		r.events = append(r.events, event{op, code, reason})
	}
	return false, err
}

func ourReading(in []byte, limit int, compressed bool) *reading {
	p := parser{limit: limit, deflate: compressed}
	defer p.release()
	r := new(reading)
	r.refused = p.feed(bytes.Clone(in), r)
	var bad *ProtocolError
	if errors.As(r.refused, &bad) {
		r.code = bad.Code
	}
	r.inHead = p.part != nil && !p.part.inPayload && p.part.headLen > 0
	return r
}

// tape is a connection that has already said everything.
type tape struct {
	net.Conn // nothing of it is used
	in       io.Reader
	out      bytes.Buffer
}

func (t *tape) Read(p []byte) (int, error)     { return t.in.Read(p) }
func (t *tape) Write(p []byte) (int, error)    { return t.out.Write(p) }
func (*tape) Close() error                     { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) Header() http.Header              { return http.Header{} }
func (*tape) WriteHeader(int)                  {}
func (t *tape) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t, bufio.NewReadWriter(bufio.NewReaderSize(t, 4096), bufio.NewWriter(t)), nil
}

func theirReading(t *testing.T, in []byte, limit int, compressed bool) *reading {
	r := new(reading)
	line := &tape{in: bytes.NewReader(in)}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgradeRequest + deflateOfferAll + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&websocket.Upgrader{EnableCompression: compressed}).Upgrade(line, req, nil)
	if err != nil {
		t.Fatal(err)
	}
	line.out.Reset()
	c.SetReadLimit(int64(limit))
	note := func(op Opcode) func(string) error {
		return func(p string) error { r.events = append(r.events, event{op: op, payload: p}); return nil }
	}
	c.SetPingHandler(note(OpPing))
	c.SetPongHandler(note(OpPong))
	c.SetCloseHandler(func(code int, reason string) error {
		r.events = append(r.events, event{OpClose, StatusCode(code), reason})
		return nil
	})
	for {
		op, p, err := c.ReadMessage()
		if err == nil {
			r.events = append(r.events, event{op: Opcode(op), payload: string(p)})
			continue
		}
		r.unread = p
		var end *websocket.CloseError
		if !errors.As(err, &end) && err != io.EOF {
			r.refused = err
		}
		break
	}
	if out := line.out.Bytes(); len(out) >= 4 && out[0] == finClose {
		r.code = StatusCode(binary.BigEndian.Uint16(out[2:]))
	}
	return r
}

// wire is what a plain walk over the frames finds.
type wire struct {
	longForm  bool // a length is not in its shortest form
	lateRSV1  bool // RSV1 is set on a frame that does not begin a message
	halfClose bool // a close has one byte
	topBit    bool // a length has its top bit set
	odd       int  // the first message whose deflate data are among the differences, or -1

	messages int
	deflated bool
	message  []byte // what has come of the one that stands open
}

func walk(in []byte) *wire {
	w := &wire{odd: -1}
	for len(in) >= 2 {
		b0, size, head := in[0], uint64(in[1]&maskLength), 2
		op := Opcode(b0 & maskOpcode)
		w.lateRSV1 = w.lateRSV1 || b0&bitRSV1 != 0 && op != OpText && op != OpBinary
		switch {
		case size == length16 && len(in) >= 4:
			size, head = uint64(binary.BigEndian.Uint16(in[2:])), 4
			w.longForm = w.longForm || size < length16
		case size == length64 && len(in) >= 10:
			size, head = binary.BigEndian.Uint64(in[2:]), 10
			w.longForm = w.longForm || size <= 0xffff
			w.topBit = w.topBit || size>>63 != 0
		}
		if len(in) < head+4 {
			break
		}
		key := [4]byte(in[head:])
		in = in[head+4:]
		payload := in[:min(size, uint64(len(in)))]
		in = in[len(payload):]
		w.frame(b0, payload, key, uint64(len(payload)) == size)
	}
	w.judge(false)
	return w
}

func (w *wire) frame(b0 byte, payload []byte, key [4]byte, whole bool) {
	op := Opcode(b0 & maskOpcode)
	first := op == OpText || op == OpBinary
	w.halfClose = w.halfClose || op == OpClose && len(payload) == 1
	if op.control() {
		return
	}
	if first {
		w.judge(false)
		w.deflated = b0&bitRSV1 != 0
	}
	for i, b := range payload {
		w.message = append(w.message, b^key[i%4])
	}
	if whole && b0&bitFin != 0 {
		w.judge(true)
		w.messages++
	}
}

// judge says whether the deflate data so far are odd: they end before or behind
// the place where they have to.
func (w *wire) judge(whole bool) {
	z := w.message
	w.message = nil
	if !w.deflated || w.odd >= 0 || z == nil && !whole {
		return
	}
	if whole && len(z) == 0 {
		w.odd = w.messages
		return
	}
	if whole {
		z = append(z, inflateTail...)
	}
	source := bytes.NewReader(z)
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(source), differentialLimit+1))
	onTime := whole && (source.Len() == 0 || source.Len() == len(inflateTail)-len(deflateTail))
	if len(out) > differentialLimit || err == nil && !onTime {
		w.odd = w.messages
	}
}

const differentialLimit = 1 << 20

// disagree says how the two readings differ beyond what is listed above.
func disagree(in []byte, ours, theirs *reading, compressed bool) error {
	w := walk(in)
	if compressed && w.odd >= 0 {
		// Up to there they must agree; behind it, and on refusing, they need not
		// if both came so far.
		var both bool
		ours.events, both = upTo(ours.events, w.odd)
		theirEvents, theyToo := upTo(theirs.events, w.odd)
		if theirs.events = theirEvents; both && theyToo {
			return differ(ours.events, theirs.events)
		}
	}
	n := 0
	for n < len(ours.events) && n < len(theirs.events) && ours.events[n] == theirs.events[n] {
		n++
	}
	a, b := ours.events[n:], theirs.events[n:]
	switch {
	case len(a) > 0 && len(b) > 0:
		return differ(a, b)
	case ours.refused != nil && len(a) == 0 && excused(ours, theirs, b, w, compressed):
		return nil
	case theirs.refused != nil && len(b) == 0 && theirExcuse(ours, theirs, a, w, compressed):
		return nil
	case len(a) > 0 || len(b) > 0:
		return differ(a, b)
	case (ours.refused == nil) != (theirs.refused == nil):
		return errors.New("only one of them refuses")
	case ours.code != theirs.code:
		return errors.New("the close codes differ")
	}
	return nil
}

func differ(a, b []event) error {
	if !slices.Equal(a, b) {
		return fmt.Errorf("here they part:\nours   %.300v\ntheirs %.300v", a, b)
	}
	return nil
}

// upTo is the events up to the n-th message, and whether there is one.
func upTo(events []event, n int) ([]event, bool) {
	if n == 0 {
		return nil, true
	}
	for i, e := range events {
		if !e.op.control() {
			if n--; n == 0 {
				return events[:i+1], true
			}
		}
	}
	return events, false
}

// excused: we refuse earlier, or otherwise, and more is the rest of their
// events.
func excused(ours, theirs *reading, more []event, w *wire, compressed bool) bool {
	var bad *ProtocolError
	errors.As(ours.refused, &bad)
	switch {
	case strings.Contains(bad.Reason, "shortest form"):
		return w.longForm
	case strings.Contains(bad.Reason, "RSV1 is set on"):
		return compressed && w.lateRSV1
	case strings.Contains(bad.Reason, "half a status code"):
		return w.halfClose && slices.Equal(more, []event{{op: OpClose, code: CloseNoStatus}})
	case strings.Contains(bad.Reason, "close reason"):
		return theirs.code == CloseProtocolError && strings.Contains(theirs.refused.Error(), "utf8")
	case bad.Code == CloseTooBig:
		return compressed
	case bad == errNotUTF8:
		for _, e := range more {
			if !e.op.control() {
				return e.op == OpText && !utf8.ValidString(e.payload)
			}
		}
		return verdict(string(theirs.unread)) >= 0
	}
	return false
}

// theirExcuse: they refuse earlier, or without a close frame, and more is the
// rest of our events.
func theirExcuse(ours, theirs *reading, more []event, w *wire, compressed bool) bool {
	var corrupt flate.CorruptInputError
	switch {
	case theirs.refused == websocket.ErrReadLimit && w.topBit:
		return len(more) == 0 && (ours.inHead || ours.code == CloseProtocolError)
	case strings.Contains(theirs.refused.Error(), "bad close code 1014"):
		return len(more) == 1 && more[0].code == CloseBadGateway
	case compressed && (errors.As(theirs.refused, &corrupt) || theirs.refused == io.ErrUnexpectedEOF):
		for _, e := range more {
			if !e.op.control() {
				return false
			}
		}
		return true
	}
	return false
}

// scripted makes frames out of fuzz bytes, most of them in order, where raw
// bytes hardly ever have the mask bit and a fitting length.
func scripted(in []byte) []byte {
	var out []byte
	for len(in) >= 2 {
		ops := [8]Opcode{OpContinuation, OpText, OpBinary, OpPing, OpPong, OpClose, OpText, OpContinuation}
		b0 := in[0]&(bitFin|bitRSV1) | byte(ops[in[0]&7])
		n := min(int(in[1]), len(in)-2)
		out = append(out, bigFrame(b0, in[2:2+n], [4]byte{in[1]})...)
		in = in[2+n:]
	}
	return append(out, in...)
}

func fuzzDifferential(f *testing.F, limit int, compressed bool) {
	f.Fuzz(func(t *testing.T, in []byte, script bool) {
		if script {
			in = scripted(in)
		}
		theirLimit := limit
		if compressed {
			theirLimit = 0
		}
		ours, theirs := ourReading(in, limit, compressed), theirReading(t, in, theirLimit, compressed)
		if err := disagree(in, ours, theirs, compressed); err != nil {
			t.Fatalf("%v\nours   %v, %v\ntheirs %v, %v, unread %q", err, ours.events, ours.refused, theirs.events, theirs.refused, theirs.unread)
		}
		for _, e := range ours.events {
			if e.op == OpText && !utf8.ValidString(e.payload) {
				t.Fatalf("took %q for text", e.payload)
			}
		}
	})
}

func FuzzDifferential(f *testing.F) {
	addStreams(f)
	fuzzDifferential(f, testLimit, false)
}

func FuzzDifferentialDeflate(f *testing.F) {
	addStreams(f)
	for _, z := range []string{
		"", "\x00", "\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "\x00\x05\x00\xfa\xffHello\x00", "\x00\x05\x00\xfa\xffH", "\x07", "\x02\x13\x00\x00",
		deflated(words(3000)), deflated(strings.Repeat("\xff", 500)), deflated(strings.Repeat("\x00", 3<<20)),
	} {
		f.Add(clientFrame(finText|bitRSV1, z), false)
		f.Add(join(clientFrame(byte(OpBinary)|bitRSV1, z[:len(z)/2]), clientFrame(finPing, "p"), clientFrame(finCont, z[len(z)/2:]), clientFrame(finText, "after")), false)
		f.Add(join(clientFrame(byte(OpText)|bitRSV1, z), clientFrame(finPing|bitRSV1, ""), clientFrame(finCont, "")), false)
	}
	fuzzDifferential(f, differentialLimit, true)
}

// addStreams adds the conformance suite's kinds of stream, whole and cut.
func addStreams(f *testing.F) {
	c := clientFrame
	for _, in := range [][]byte{
		join(c(finText, "hello"), c(finBinary, "\xff\x00"), c(finPing, "p"), c(finPong, "q"), c(finClose, closePayload(CloseNormal, "bye"))),
		join(c(byte(OpText), "φά"), c(finPing, ""), c(byte(OpContinuation), "ρο"), c(finCont, "ς"), c(finText, "")),
		join(c(finText, "good"), c(finText, "\xed\xa0\x80"), c(finText, "late")),
		join(c(byte(OpText), "\xcf"), c(finPing, "p"), c(finCont, "x"), c(finText, "late")),
		join(c(byte(OpText), "ok\xf4\x90"), c(finBinary, "within")),
		join(c(finText, words(testLimit)), c(finBinary, words(testLimit+1))),
		join(c(byte(OpBinary), words(600)), c(finPing, words(125)), c(finCont, words(600))),
		{finText, bitMask | 126, 0, 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'},
		{finText, bitMask | 127, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'},
		{finBinary, bitMask | 127, 0x80, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0},
		{finBinary, bitMask | 127, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		c(finPing, words(126)), c(byte(OpPing), "p"), c(finCont, "x"), join(c(byte(OpText), "a"), c(finText, "b")),
		c(finText|bitRSV1, "x"), c(finText|bitRSV2, "x"), c(finPing|bitRSV3, ""), c(bitFin|3, ""), c(bitFin|11, ""), {finText, 1, 'x'},
		c(finClose, ""), c(finClose, "\x03"), c(finClose, closePayload(CloseBadGateway, "")), c(finClose, closePayload(1005, "")), c(finClose, closePayload(3000, "\xff")),
		join(c(byte(OpText), "a"), c(finClose, closePayload(4999, words(123))), c(finCont, "b")),
	} {
		f.Add(in, false)
		f.Add(in[:len(in)-1], false)
	}
	f.Add([]byte("\x81\x05hello\x01\x02ab\x83\x01p\x80\x01c\x85\x02\x03\xe8"), true)
	f.Add([]byte("\x41\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x80\x00\x82\x01\xff"), true)
}
