package ws

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The opening handshake, server side (RFC 6455 §4.2). It is pure: a request in,
// the bytes of the answer out.
//
// No subprotocol is ever selected, so the answer has no Sec-WebSocket-Protocol,
// which §4.2.2 demands of a server that speaks none of those offered. A browser
// whose page asked for one then fails the connection (WHATWG WebSockets,
// "establish a WebSocket connection"); other clients carry on. Echoing the
// first offer would please browsers by claiming a protocol nobody here speaks,
// and refusing with a 400 would turn away the clients that carry on.

// HandshakeOptions is what the server is willing to agree to.
type HandshakeOptions struct {
	// Compression accepts permessage-deflate (RFC 7692) when it is offered.
	Compression bool
}

// Handshake is what was agreed with one client. It comes from CheckHandshake.
type Handshake struct {
	accept  [acceptLen]byte
	deflate deflateAgreement
}

// WindowBits is the LZ77 window that the client accepts on deflated messages, 8
// to 15, or 0 where permessage-deflate was not agreed.
func (h *Handshake) WindowBits() int { return int(h.deflate.windowBits) }

const (
	keyLen    = 24 // base64 of 16 bytes
	acceptLen = 28 // base64 of a SHA-1 sum

	// acceptGUID is the constant of RFC 6455 §1.3.
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// HandshakeError is the answer to a request that is not a valid opening
// handshake.
type HandshakeError struct {
	// Status is 400, 405, 426 or 505.
	Status int
	// Message is a plain sentence or two for whoever operates the client.
	Message string
	// Header holds the fields the status demands (Allow, Upgrade, Connection,
	// Sec-WebSocket-Version). It may be nil; it belongs to the receiver.
	Header http.Header
}

// Error is the status and the message.
func (e *HandshakeError) Error() string {
	return "handshake refused with " + strconv.Itoa(e.Status) + ": " + e.Message
}

// CheckHandshake judges an upgrade request by RFC 6455 §4.2.1, and agrees on
// extensions. The error, when not nil, is the HTTP answer to give:
//
//   - 505 for another major version than HTTP/1: the WebSockets of HTTP/2 start
//     with CONNECT (RFC 8441) and cannot be taken over from an HTTP server.
//   - 400 for HTTP/1.0. A 505 would say that HTTP/1 is not spoken here, and a
//     426 would invite the Upgrade that a 1.0 request must not use (RFC 9110
//     §7.8).
//   - 405 for any method but GET.
//   - 426 when the request does not ask for an upgrade to websocket, or for a
//     version other than 13.
//   - 400 for everything else that is wrong.
//
// The origin, the path and the subprotocols are not looked at.
func CheckHandshake(r *http.Request, o HandshakeOptions) (*Handshake, *HandshakeError) {
	if e := checkRequest(r); e != nil {
		return nil, e
	}
	if e := checkVersion(r.Header["Sec-Websocket-Version"]); e != nil {
		return nil, e
	}
	h := new(Handshake)
	if e := h.answerKey(r.Header["Sec-Websocket-Key"]); e != nil {
		return nil, e
	}
	if o.Compression {
		h.deflate = negotiateDeflate(r.Header["Sec-Websocket-Extensions"])
	}
	return h, nil
}

func checkRequest(r *http.Request) *HandshakeError {
	switch {
	case r.ProtoMajor != 1:
		return &HandshakeError{
			Status:  http.StatusHTTPVersionNotSupported,
			Message: "A WebSocket opens over HTTP/1.1 here, not HTTP/" + strconv.Itoa(r.ProtoMajor) + ". Let the client, or the proxy before this server, use HTTP/1.1.",
		}
	case r.ProtoMinor < 1:
		return badRequest("A WebSocket opens over HTTP/1.1, but the request used HTTP/1.0. If a proxy stands between, make it speak HTTP/1.1 to this server.")
	case r.Method != http.MethodGet:
		return &HandshakeError{
			Status:  http.StatusMethodNotAllowed,
			Message: "A WebSocket opens with a GET request, but the method was " + quoteShort(r.Method) + ". Use GET.",
			Header:  http.Header{"Allow": {http.MethodGet}},
		}
	case r.Host == "":
		return badRequest("The Host header is missing or empty. Send the host name of the URL in it.")
	case !listHasToken(r.Header["Upgrade"], "websocket"):
		return upgradeRequired("This is a WebSocket endpoint, and the request did not ask for one. Open it with a WebSocket client. If that was one, a proxy dropped its \"Upgrade: websocket\" header and must be told to pass it on.")
	case !listHasToken(r.Header["Connection"], "upgrade"):
		return upgradeRequired("The Connection header does not list \"Upgrade\", so the Upgrade header does not count. If a proxy stands between, make it send \"Connection: Upgrade\" to this server.")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// The server would read it as frames once it has taken the connection
		// over, and a proxy in between might see another request there.
		return badRequest("The request has a body, which an opening handshake cannot have. Send neither Content-Length nor Transfer-Encoding.")
	}
	return nil
}

func checkVersion(lines []string) *HandshakeError {
	switch {
	case len(lines) == 0:
		return upgradeRequired("The Sec-WebSocket-Version header is missing. Send version 13, the one of RFC 6455.")
	case len(lines) > 1:
		return badRequest("The Sec-WebSocket-Version header appears more than once. Send it once, with the value 13.")
	case trimSpace(lines[0]) != "13":
		return upgradeRequired("Sec-WebSocket-Version is " + quoteShort(lines[0]) + ", but this server speaks version 13 alone. Use a client that speaks RFC 6455.")
	}
	return nil
}

// answerKey checks Sec-WebSocket-Key and computes what proves that the
// handshake was understood: base64(SHA-1(key + GUID)) (RFC 6455 §4.2.2).
func (h *Handshake) answerKey(lines []string) *HandshakeError {
	switch {
	case len(lines) == 0:
		return badRequest("The Sec-WebSocket-Key header is missing. Send 16 random bytes in base64.")
	case len(lines) > 1:
		return badRequest("The Sec-WebSocket-Key header appears more than once. Send it once.")
	}
	key := trimSpace(lines[0])
	var salted [keyLen + len(acceptGUID)]byte
	n := copy(salted[:], key)
	copy(salted[keyLen:], acceptGUID)

	var raw [keyLen]byte
	if n == len(key) && n == keyLen {
		n, _ = base64.StdEncoding.Decode(raw[:], salted[:keyLen])
	}
	if n != 16 {
		return badRequest("Sec-WebSocket-Key is " + quoteShort(key) + ", which is not 16 bytes in base64 (24 characters, the last two \"==\"). Send 16 random bytes in base64.")
	}
	sum := sha1.Sum(salted[:])
	base64.StdEncoding.Encode(h.accept[:], sum[:])
	return nil
}

// maxResponse is the size of the longest answer.
const maxResponse = 288

// AppendResponse appends the whole 101 response, up to and with its empty line.
// It allocates only when dst has less than 288 bytes to spare.
func (h *Handshake) AppendResponse(dst []byte) []byte {
	dst = slices.Grow(dst, maxResponse)
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, h.accept[:]...)
	if h.deflate.windowBits != 0 {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = h.deflate.appendTo(dst)
	}
	return append(dst, "\r\n\r\n"...)
}

func badRequest(message string) *HandshakeError {
	return &HandshakeError{Status: http.StatusBadRequest, Message: message}
}

// upgradeRequired is a 426, which must name what to upgrade to in Upgrade, and
// therefore in Connection (RFC 9110 §15.5.22, §7.8), and the version that is
// spoken (RFC 6455 §4.4).
func upgradeRequired(message string) *HandshakeError {
	return &HandshakeError{
		Status:  http.StatusUpgradeRequired,
		Message: message,
		Header: http.Header{
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
			"Sec-Websocket-Version": {"13"},
		},
	}
}

// listHasToken reports whether a header, a comma-separated list over any number
// of lines, has token among its elements, in any case. token is lower-case.
func listHasToken(lines []string, token string) bool {
	for _, line := range lines {
		for more := true; more; {
			var element string
			element, line, more = strings.Cut(line, ",")
			if equalFold(trimSpace(element), token) {
				return true
			}
		}
	}
	return false
}

// equalFold is strings.EqualFold for ASCII alone, where U+212A, the Kelvin
// sign, is no k.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// trimSpace removes the optional white space of HTTP: spaces and tabs.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// quoteShort quotes what a client sent, cut to what a message bears.
func quoteShort(s string) string {
	const most = 40
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", s[:most])
}
