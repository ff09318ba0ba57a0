package ws

import (
	"fmt"
	"sync"
	"unicode/utf8"
)

// ProtocolError is a violation that fails a connection; Code is what the close
// frame says (RFC 6455 §7.1.7).
type ProtocolError struct {
	Code   StatusCode
	Reason string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: %s (close %d)", e.Reason, e.Code)
}

func protocolError(reason string) error {
	return &ProtocolError{Code: CloseProtocolError, Reason: reason}
}

// sink takes what the parser found. Payloads are lent until the call returns.
type sink interface {
	// message takes a complete data message: unmasked, inflated, valid.
	message(op Opcode, payload []byte)
	// control takes a complete control frame. false ends the parsing: the
	// rest of the input is nobody's business any more.
	control(op Opcode, payload []byte) (proceed bool, err error)
}

// parser is the incremental reader of one connection's input (server side). It
// keeps bytes only while a frame or a message is incomplete; between messages
// it is a nil pointer and two words of settings.
//
// Bytes are judged as early as they can be: a header by its first two bytes, a
// message's size by its headers before a payload byte is kept, text byte by
// byte, so that a faulty peer is told at once and costs nothing.
type parser struct {
	part    *partial
	limit   int // bytes of one message, after inflation
	deflate bool
}

// partial is what an incomplete frame or message needs.
type partial struct {
	// The frame being received. While inPayload is false its header is being
	// collected in head[:headLen].
	head      [maxHeader]byte
	headLen   int
	inPayload bool
	frame     header
	left      uint64 // payload bytes still to come
	key       uint32 // masking key, rotated to the next byte

	// A control frame's payload; it may lie between the fragments of a message.
	ctl    [maxControlPayload]byte
	ctlLen int

	// The message being received; msgOp is OpContinuation between messages.
	msgOp    Opcode
	deflated bool
	text     utf8State
	buf      []byte
}

// keepBuf is the largest message buffer that goes back to the pool with its
// partial; larger ones are rare and the collector's.
const keepBuf = 16 << 10

var partials = sync.Pool{New: func() any { return new(partial) }}

func (p *parser) acquire() *partial {
	if p.part == nil {
		p.part = partials.Get().(*partial)
	}
	return p.part
}

// release gives the partial back, whatever it holds.
func (p *parser) release() {
	t := p.part
	if t == nil {
		return
	}
	p.part = nil
	buf := t.buf[:0]
	if cap(buf) > keepBuf {
		buf = nil
	}
	*t = partial{buf: buf}
	partials.Put(t)
}

// feed parses data, which it changes in place (unmasking) and does not keep.
// It returns a *ProtocolError when the connection has to fail.
func (p *parser) feed(data []byte, s sink) error {
	for len(data) > 0 {
		n, proceed, err := p.step(data, s)
		if err != nil || !proceed {
			p.release()
			return err
		}
		data = data[n:]
	}
	return nil
}

// step takes one whole frame if data holds one, else as much of one as it does.
func (p *parser) step(data []byte, s sink) (n int, proceed bool, err error) {
	if p.part == nil || (!p.part.inPayload && p.part.headLen == 0) {
		n, proceed, err = p.wholeFrame(data, s)
		if n > 0 || err != nil || !proceed {
			return n, proceed, err
		}
	}
	t := p.acquire()
	if !t.inPayload {
		n, err = p.takeHeader(t, data)
		if err != nil || !t.inPayload || t.left > 0 {
			return n, true, err
		}
		// An empty payload is complete with its header.
		proceed, err = p.frameDone(t, s)
		return n, proceed, err
	}
	n = len(data)
	if uint64(n) > t.left {
		n = int(t.left)
	}
	if err = t.takePayload(data[:n]); err != nil {
		return n, true, err
	}
	if t.left > 0 {
		return n, true, nil
	}
	proceed, err = p.frameDone(t, s)
	return n, proceed, err
}

// wholeFrame is the usual case: data begins with a complete frame that is a
// control frame or a message by itself. It is handled in place, with nothing
// kept. It returns 0 when the frame needs the long way.
func (p *parser) wholeFrame(data []byte, s sink) (n int, proceed bool, err error) {
	if len(data) < 2 {
		return 0, true, nil
	}
	size := headerSize(data)
	if len(data) < size {
		return 0, true, nil
	}
	h, err := decodeHeader(data[:size])
	if err != nil {
		return 0, true, err
	}
	if err = p.allow(data[0], h); err != nil {
		return 0, true, err
	}
	alone := h.op.control() || (h.fin && h.op != OpContinuation)
	if !alone || h.length > uint64(len(data)-size) {
		return 0, true, nil
	}
	n = size + int(h.length)
	payload := data[size:n]
	unmask(payload, h.mask)
	if h.op.control() {
		proceed, err = s.control(h.op, payload)
		return n, proceed, err
	}
	if h.rsv1 {
		return n, true, p.inflated(h.op, payload, s)
	}
	if h.op == OpText && !utf8.Valid(payload) {
		return n, true, errNotUTF8
	}
	s.message(h.op, payload)
	return n, true, nil
}

// takeHeader collects header bytes and judges them as soon as it can.
func (p *parser) takeHeader(t *partial, data []byte) (n int, err error) {
	for {
		size := headerSize(t.head[:t.headLen])
		took := copy(t.head[t.headLen:size], data[n:])
		t.headLen += took
		n += took
		if t.headLen >= 2 {
			// The first two bytes say most; a wrong one must not wait for
			// the rest of the header to arrive.
			h := header{
				op:     Opcode(t.head[0] & maskOpcode),
				fin:    t.head[0]&bitFin != 0,
				rsv1:   t.head[0]&bitRSV1 != 0,
				masked: t.head[1]&bitMask != 0,
				length: uint64(t.head[1] & maskLength),
			}
			if err := p.allowBits(t.head[0], h); err != nil {
				return n, err
			}
		}
		if t.headLen < size {
			return n, nil
		}
		if size == headerSize(t.head[:t.headLen]) {
			break
		}
	}
	h, err := decodeHeader(t.head[:t.headLen])
	if err != nil {
		return n, err
	}
	if err = p.allow(t.head[0], h); err != nil {
		return n, err
	}
	t.frame, t.left, t.key = h, h.length, h.mask
	t.headLen, t.inPayload = 0, true
	if !h.op.control() && h.op != OpContinuation {
		t.msgOp, t.deflated = h.op, h.rsv1
	}
	return n, nil
}

// allow says whether a frame with this header may come now.
func (p *parser) allow(b0 byte, h header) error {
	if err := p.allowBits(b0, h); err != nil {
		return err
	}
	if h.op.control() {
		return nil
	}
	limit := uint64(p.limit)
	have := uint64(0)
	if t := p.part; t != nil {
		have = uint64(len(t.buf))
	}
	if h.rsv1 || (p.part != nil && p.part.deflated && h.op == OpContinuation) {
		// Deflate may make what does not compress a little longer.
		limit += limit>>10 + 64
	}
	if h.length > limit || have+h.length > limit {
		return &ProtocolError{CloseTooBig, fmt.Sprintf("message is longer than %d bytes", p.limit)}
	}
	return nil
}

// allowBits judges what the first two bytes tell (RFC 6455 §5.1–5.5). h.length
// may still be the 7-bit form: all that counts here is whether it is over 125.
func (p *parser) allowBits(b0 byte, h header) error {
	inMessage := p.part != nil && p.part.msgOp != OpContinuation
	switch {
	case b0&(bitRSV2|bitRSV3) != 0:
		return protocolError("a reserved bit is set")
	case !h.op.known():
		return protocolError("reserved opcode")
	case !h.masked:
		return protocolError("client frames must be masked")
	case h.rsv1 && !p.deflate:
		return protocolError("RSV1 is set, but no extension was negotiated")
	case h.rsv1 && (h.op.control() || h.op == OpContinuation):
		return protocolError("RSV1 is set on a frame that does not begin a message")
	case h.op.control() && !h.fin:
		return protocolError("control frames must not be fragmented")
	case h.op.control() && h.length > maxControlPayload:
		return protocolError("control frame payload is over 125 bytes")
	case h.op == OpContinuation && !inMessage:
		return protocolError("continuation frame without a message to continue")
	case (h.op == OpText || h.op == OpBinary) && inMessage:
		return protocolError("new message before the last one was finished")
	}
	return nil
}

var errNotUTF8 = &ProtocolError{CloseInvalidPayload, "text message is not valid UTF-8"}

// takePayload takes payload bytes of the current frame. The buffer grows with
// what arrives, never with what a header claims.
func (t *partial) takePayload(data []byte) error {
	t.key = unmask(data, t.key)
	t.left -= uint64(len(data))
	if t.frame.op.control() {
		t.ctlLen += copy(t.ctl[t.ctlLen:], data)
		return nil
	}
	if t.msgOp == OpText && !t.deflated && !t.text.feed(data) {
		return errNotUTF8
	}
	t.buf = append(t.buf, data...)
	return nil
}

// frameDone acts on a frame that is complete.
func (p *parser) frameDone(t *partial, s sink) (proceed bool, err error) {
	t.inPayload = false
	if t.frame.op.control() {
		payload := t.ctl[:t.ctlLen]
		t.ctlLen = 0
		proceed, err = s.control(t.frame.op, payload)
		if proceed && err == nil && t.msgOp == OpContinuation {
			p.release()
		}
		return proceed, err
	}
	if !t.frame.fin {
		return true, nil
	}
	defer p.release()
	if t.deflated {
		return true, p.inflated(t.msgOp, t.buf, s)
	}
	if t.msgOp == OpText && !t.text.done() {
		return true, errNotUTF8
	}
	s.message(t.msgOp, t.buf)
	return true, nil
}

var inflateBuffers = sync.Pool{New: func() any { return new([]byte) }}

// inflated hands on a compressed message.
func (p *parser) inflated(op Opcode, payload []byte, s sink) error {
	lent := inflateBuffers.Get().(*[]byte)
	out, err := inflate((*lent)[:0], payload, p.limit)
	defer func() {
		if cap(out) <= keepBuf {
			*lent = out
			inflateBuffers.Put(lent)
		}
	}()
	switch {
	case err == errTooBig:
		return &ProtocolError{CloseTooBig, fmt.Sprintf("message inflates to more than %d bytes", p.limit)}
	case err != nil:
		return &ProtocolError{CloseInvalidPayload, "compressed message is corrupt"}
	case op == OpText && !utf8.Valid(out):
		return errNotUTF8
	}
	s.message(op, out)
	return nil
}
