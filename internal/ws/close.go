package ws

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"
)

// lingerTime bounds how long a finished connection waits for the peer's FIN.
const lingerTime = 2 * time.Second

// maxCloseReason is what a close frame has room for beside its code.
const maxCloseReason = maxControlPayload - 2

// Close starts the close handshake: what is queued leaves first, then the close
// frame, and the peer's answer is awaited for Options.CloseTimeout. A reason
// over 123 bytes is cut. Closing twice, or after the peer has closed, does
// nothing.
func (c *Conn) Close(code StatusCode, reason string) {
	c.mu.Lock()
	c.startClose(code, reason, CauseServer)
	c.mu.Unlock()
}

// Abort drops the connection without a word (the peer sees a reset).
func (c *Conn) Abort() {
	c.mu.Lock()
	c.drop(&End{Code: CloseAbnormal, Cause: CauseAborted})
	c.mu.Unlock()
}

// startClose queues our close frame. mu is held.
func (c *Conn) startClose(code StatusCode, reason string, cause Cause) {
	if c.state != stateOpen {
		return
	}
	c.state = stateClosing
	c.end = &End{Code: code, Reason: reason, Cause: cause}
	c.arm(c.engine.opts.CloseTimeout)
	c.putClose(code, reason)
}

// putClose sends a close frame; CloseNoStatus sends one without a payload. mu
// is held.
func (c *Conn) putClose(code StatusCode, reason string) {
	var payload [maxControlPayload]byte
	n := 0
	if code != CloseNoStatus {
		binary.BigEndian.PutUint16(payload[:], uint16(code))
		n = 2 + copy(payload[2:], cutReason(reason))
	}
	var frame [2 + maxControlPayload]byte
	c.putBytes(AppendFrame(frame[:0], OpClose, false, payload[:n]))
}

// cutReason shortens a reason to what fits, between characters.
func cutReason(reason string) string {
	if len(reason) <= maxCloseReason {
		return reason
	}
	reason = reason[:maxCloseReason]
	for len(reason) > 0 && !utf8.ValidString(reason) {
		reason = reason[:len(reason)-1]
	}
	return reason
}

// peerClosed handles the peer's close frame: an answer to ours, or a request
// that is answered with the same code (RFC 6455 §5.5.1). Owner only.
func (c *Conn) peerClosed(payload []byte) error {
	code, reason, err := parseClose(payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case stateOpen:
		c.end = &End{Code: code, Reason: reason, Cause: CausePeer}
		c.state = stateLinger
		c.putClose(code, "")
	case stateClosing:
		c.state = stateLinger
	}
	c.linger()
	return nil
}

func parseClose(payload []byte) (StatusCode, string, error) {
	switch {
	case len(payload) == 0:
		return CloseNoStatus, "", nil
	case len(payload) == 1:
		return 0, "", protocolError("close frame with half a status code")
	}
	code := StatusCode(binary.BigEndian.Uint16(payload))
	if !code.Sendable() {
		return 0, "", protocolError("close frame with a status code that must not be sent")
	}
	if !utf8.Valid(payload[2:]) {
		return 0, "", &ProtocolError{CloseInvalidPayload, "close reason is not valid UTF-8"}
	}
	return code, string(payload[2:]), nil
}

// fail closes after a violation. What the peer says from here on cannot be
// trusted to be frames, so no answer is awaited. Owner only.
func (c *Conn) fail(err *ProtocolError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state >= stateLinger {
		return
	}
	first := c.state == stateOpen
	c.state = stateLinger
	if first {
		c.end = &End{Code: err.Code, Reason: err.Reason, Cause: CauseProtocol}
		c.putClose(err.Code, err.Reason)
	}
	c.linger()
}

// linger ends our side: FIN goes behind what is queued, which has CloseTimeout to
// leave, and then the peer has lingerTime to end its own side. mu is held.
func (c *Conn) linger() {
	if c.out != nil || c.held {
		c.arm(c.engine.opts.CloseTimeout)
		return
	}
	c.arm(min(lingerTime, c.engine.opts.CloseTimeout))
	c.tr.finishWrite()
}

// inputEnded is the backend's word that nothing more comes: err, or nil for the
// peer's FIN. A peer that has closed only its own half still reads, so answers
// that are queued behind its close frame, or behind a violation, leave first.
// Owner only.
func (c *Conn) inputEnded(err error) {
	c.mu.Lock()
	flushing := err == nil && c.state == stateLinger && c.out != nil
	if flushing {
		c.ended = true
		c.tr.stopRead()
	}
	c.mu.Unlock()
	if !flushing {
		c.finish(err)
	}
}

// broken handles a write error: the peer is gone. mu is held.
func (c *Conn) broken(err error) {
	c.drop(&End{Code: CloseAbnormal, Cause: CauseVanished, Err: err})
}

// drop ends the connection at once; end counts only where none was known. mu is
// held.
func (c *Conn) drop(end *End) {
	if c.state == stateDone {
		return
	}
	if c.end == nil {
		c.end = end
	}
	c.state = stateLinger
	c.dropQueue()
	c.deadline = 0
	c.tr.hangUp()
}

// errSilent and errStalled are what End.Err says about peers that the sweep
// gave up.
var (
	errSilent  = errors.New("no frame came between two pings")
	errStalled = errors.New("no byte was taken in time")
)

// arm sets the deadline to d from now. mu is held.
func (c *Conn) arm(d time.Duration) {
	c.deadline = c.engine.now() + int64(d)
	if !c.timed {
		c.timed = true
		c.engine.addTimed(c)
	}
}

// check looks at the connection's deadline and says whether it still has one.
func (c *Conn) check(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.state == stateOpen && c.out == nil
	if c.state == stateDone || c.deadline == 0 || idle {
		c.timed = false
		c.engine.removeTimed(c)
		return
	}
	if now < c.deadline {
		return
	}
	switch c.state {
	case stateOpen:
		c.drop(&End{Code: CloseAbnormal, Cause: CauseStalled, Err: errStalled})
	case stateClosing:
		if c.end.Cause == CauseServer {
			c.end.Cause = CauseCloseTimeout
		}
		c.drop(c.end)
	case stateLinger:
		c.drop(c.end)
	}
}

// pong answers a ping. Owner only.
func (c *Conn) pong(payload []byte) {
	var frame [2 + maxControlPayload]byte
	b := AppendFrame(frame[:0], OpPong, false, payload)
	c.mu.Lock()
	if c.state == stateOpen {
		c.putBytes(b)
	}
	c.mu.Unlock()
}

var pingFrame = NewBatch(OpPing, nil)

// ping asks the peer for a sign of life, and drops it if the last question got
// none. A connection with output waiting is the write stall's business.
func (c *Conn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || c.held || c.out != nil {
		return
	}
	if !c.heard.Swap(false) {
		c.drop(&End{Code: CloseAbnormal, Cause: CauseNoPong, Err: errSilent})
		return
	}
	c.put(pingFrame)
}
