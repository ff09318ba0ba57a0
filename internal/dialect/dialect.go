// Package dialect is the client contract's JSON: what a client reads and
// writes on /wss, to the byte. It knows no socket and no channel.
//
//	server: {"connection":"ok"}                    first, to each connection
//	client: X                                      any valid JSON, text or binary
//	server: {"message":X}                          to every connection of the channel, as text
//	server: {"error":{"code":"…","message":"…"}}   to the sender alone
//
// In resumable mode, asked for with since=now or since=POSITION:
//
//	server: {"connection":"ok","channel":"lobby","position":"c7k2:1043"}
//	server: {"connection":"ok","channel":"lobby","position":"c7k2:1043","recovered":true}
//	server: {"message":X,"position":"c7k2:1044"}
//	server: {"reconnect":{"afterMs":1200}}         before a close that the server wants
package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Hello is the first frame of a connection in plain mode.
const Hello = `{"connection":"ok"}`

// ShutdownReason is the reason in the 1001 close frame of a drain.
const ShutdownReason = "Server shutting down"

// RestartReason is the reason in the 1013 close frame of a connection that has
// to resume because continuity of its channel was lost.
const RestartReason = "Continuity was lost: reconnect and resume"

const (
	messageHead  = `{"message":`
	messageTail  = `}`
	positionHead = `,"position":"`
	positionTail = `"}`
)

// Code names an error to a client. Codes are part of the contract; the message
// beside them is for people and may change.
type Code string

// The codes of errors that leave the connection open.
const (
	// InvalidJSON: the message was not JSON in UTF-8; nobody else has seen it.
	InvalidJSON Code = "invalid_json"
	// RateLimited: the connection sent faster than it may; nobody else has
	// seen the message.
	RateLimited Code = "rate_limited"
	// Unavailable: the broker did not take the message.
	Unavailable Code = "unavailable"
)

// Codes lists every code, for metrics that want their series to exist early.
func Codes() []Code { return []Code{InvalidJSON, RateLimited, Unavailable} }

// Error is what a sender is told.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// AppendFrame appends the error's JSON.
func (e *Error) AppendFrame(dst []byte) []byte {
	type body struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}
	// Cannot fail: two strings.
	p, _ := json.Marshal(map[string]body{"error": {e.Code, e.Message}})
	return append(dst, p...)
}

// Compact checks that p is one JSON value in UTF-8 (RFC 8259) and returns a copy
// of it without insignificant white space; numbers, escapes, key order and
// duplicates stay as they were sent. The error is an *Error with InvalidJSON.
//
// The UTF-8 check matters for binary messages: encoding/json would let broken
// bytes in strings pass, and every subscriber would get an invalid text frame.
func Compact(p []byte) ([]byte, error) {
	if len(bytes.TrimSpace(p)) == 0 {
		return nil, &Error{InvalidJSON, "the message is empty: send one JSON value"}
	}
	if !utf8.Valid(p) {
		return nil, &Error{InvalidJSON, "the message is not valid UTF-8: send JSON encoded in UTF-8"}
	}
	out := bytes.NewBuffer(make([]byte, 0, len(p)))
	if err := json.Compact(out, p); err != nil {
		return nil, &Error{InvalidJSON, "the message is not valid JSON: " + explain(p)}
	}
	return out.Bytes(), nil
}

// explain says what is wrong with p, and where: Compact's own error does not
// count its bytes.
func explain(p []byte) string {
	var value json.RawMessage
	err := json.Unmarshal(p, &value)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s (byte %d)", syntax, syntax.Offset)
	}
	return "it is cut off or nested too deeply"
}

// AppendMessage appends the frame that carries X, which Compact returned.
func AppendMessage(dst, x []byte) []byte {
	dst = append(dst, messageHead...)
	dst = append(dst, x...)
	return append(dst, messageTail...)
}

// AppendPositioned appends the frame that carries X and its position, which must
// need no escaping, as epoch:offset does not.
func AppendPositioned(dst, x, position []byte) []byte {
	dst = append(dst, messageHead...)
	dst = append(dst, x...)
	dst = append(dst, positionHead...)
	dst = append(dst, position...)
	return append(dst, positionTail...)
}

// PositionedSize is the length of what AppendPositioned appends.
func PositionedSize(x, position []byte) int {
	return len(messageHead) + len(x) + len(positionHead) + len(position) + len(positionTail)
}

// MessageSize is the length of what AppendMessage appends.
func MessageSize(x []byte) int { return len(messageHead) + len(x) + len(messageTail) }
