package ws

import "strings"

// The Sec-WebSocket-Extensions header (RFC 6455 §9.1) and the negotiation of
// permessage-deflate (RFC 7692 §7.1).
//
//	extension-list  = 1#extension
//	extension       = token *( ";" extension-param )
//	extension-param = token [ "=" ( token | quoted-string ) ]
//
// A quoted value must be a token once unquoted. Spaces and tabs may stand
// between any two parts, list elements may be empty, and several header lines
// are one list.
//
// What is agreed is always the same: no context is taken over in either
// direction. A kept context costs 32 KiB or more a connection each way, and
// makes every connection's encoding of a message its own; without one a message
// is deflated once for all. Both no_context_takeover parameters may be answered
// unasked (§7.1.1.1, §7.1.1.2).

const (
	deflateName      = "permessage-deflate"
	maxWindowBits    = 15
	defaultAgreement = deflateName + "; server_no_context_takeover; client_no_context_takeover"
)

// deflateAgreement is the outcome. The zero value: no extension.
type deflateAgreement struct {
	windowBits uint8 // the window the server keeps to, 8 to 15; 0: no extension
	asked      bool  // the client asked for that window, so the answer names it
}

// negotiateDeflate picks the first offer of permessage-deflate that can be
// accepted. An offer that §7.1 calls invalid is passed over, and the next one
// tried: clients send fallbacks in order of preference (§5.1).
//
// A header that breaks the grammar yields no extension at all, not even from an
// offer before the break. RFC 6455 §9.1 would have the handshake failed with a
// 400. That was rejected: compression is optional, the connection is sound
// without it, and the answer to a request would depend on whether compression
// is switched on here, for the header is not looked at otherwise.
func negotiateDeflate(lines []string) deflateAgreement {
	var agreed deflateAgreement
	for _, line := range lines {
		c := headerCursor{rest: line}
		for c.skipSpace(); c.rest != ""; c.skipSpace() {
			if c.accept(',') {
				continue
			}
			offer, ok := c.offer()
			if !ok {
				return deflateAgreement{}
			}
			if agreed.windowBits == 0 && offer.acceptable() {
				agreed = deflateAgreement{maxWindowBits, false}
				if offer.serverBits != 0 {
					agreed = deflateAgreement{offer.serverBits, true}
				}
			}
		}
	}
	return agreed
}

// appendTo writes the value of the answer's header. client_max_window_bits is
// never in it: it could only ask the client for a smaller window than it wants,
// and every message is inflated with the largest (§7.1.2.2). A client that
// named a size keeps to it without being told.
func (a deflateAgreement) appendTo(dst []byte) []byte {
	dst = append(dst, defaultAgreement...)
	if !a.asked {
		return dst
	}
	dst = append(dst, "; server_max_window_bits="...)
	if a.windowBits >= 10 {
		dst = append(dst, '1')
	}
	return append(dst, '0'+a.windowBits%10)
}

// DeflatedFits reports whether a deflated message may go to a connection whose
// window is 1<<windowBits bytes; 0 bits means no extension.
//
// RFC 7692 §7.1.2.1 bounds the window the server compresses with. Nothing is
// carried from one message to the next, so no reference reaches back further
// than the message's own start: a message of at most that many uncompressed
// bytes keeps the bound whatever window made it, and one shared encoding serves
// everybody it fits. Larger ones go out uncompressed; compressing once more for
// each size was rejected, as browsers ask for no limit. 15 bits is DEFLATE's own
// limit, which Deflate cannot pass.
//
// 8 bits is an ordinary case here: zlib cannot make such a raw stream and
// silently uses 9, but it can read one, and a reader with 9 reads 8.
func DeflatedFits(payloadLen int, windowBits int) bool {
	return windowBits == 15 || windowBits != 0 && payloadLen <= 1<<windowBits
}

// deflateOffer collects one element of the list.
type deflateOffer struct {
	deflate    bool // the extension is permessage-deflate
	invalid    bool // a parameter is unknown, repeated, or has a bad value
	seen       uint8
	serverBits uint8 // server_max_window_bits, or 0
}

func (o *deflateOffer) acceptable() bool { return o.deflate && !o.invalid }

// param notes one parameter (RFC 7692 §7.1: unknown names, bad values and
// repetitions make a server decline the offer).
func (o *deflateOffer) param(name, value string, hasValue bool) {
	var bit uint8
	ok := false
	switch name {
	case "server_no_context_takeover":
		bit, ok = 1, !hasValue
	case "client_no_context_takeover":
		bit, ok = 2, !hasValue
	case "server_max_window_bits": // needs a value in an offer
		bit = 4
		o.serverBits, ok = parseWindowBits(value)
	case "client_max_window_bits": // may say only that a limit would be understood
		bit, ok = 8, !hasValue
		if hasValue {
			_, ok = parseWindowBits(value)
		}
	}
	if !ok || o.seen&bit != 0 {
		o.invalid = true
	}
	o.seen |= bit
}

// parseWindowBits reads a decimal from 8 to 15 without leading zeros
// (§7.1.2.1). A missing value is the empty string.
func parseWindowBits(s string) (uint8, bool) {
	switch {
	case len(s) == 1 && (s[0] == '8' || s[0] == '9'):
		return s[0] - '0', true
	case len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5':
		return 10 + s[1] - '0', true
	}
	return 0, false
}

// headerCursor reads a header value from the left. rest is what is unread.
type headerCursor struct{ rest string }

// offer reads one list element up to, not including, the comma.
func (c *headerCursor) offer() (o deflateOffer, ok bool) {
	name, ok := c.token()
	if !ok {
		return o, false
	}
	o.deflate = name == deflateName
	for {
		c.skipSpace()
		if !c.accept(';') {
			return o, c.rest == "" || c.rest[0] == ','
		}
		c.skipSpace()
		param, ok := c.token()
		if !ok {
			return o, false
		}
		c.skipSpace()
		value, hasValue := "", c.accept('=')
		if hasValue {
			c.skipSpace()
			if value, ok = c.value(); !ok {
				return o, false
			}
		}
		o.param(param, value, hasValue)
	}
}

func (c *headerCursor) skipSpace() {
	for c.rest != "" && (c.rest[0] == ' ' || c.rest[0] == '\t') {
		c.rest = c.rest[1:]
	}
}

func (c *headerCursor) accept(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *headerCursor) token() (string, bool) {
	n := 0
	for n < len(c.rest) && isTokenByte(c.rest[n]) {
		n++
	}
	t := c.rest[:n]
	c.rest = c.rest[n:]
	return t, n > 0
}

func (c *headerCursor) value() (string, bool) {
	if !c.accept('"') {
		return c.token()
	}
	for i := 0; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '"':
			v := c.rest[:i]
			c.rest = c.rest[i+1:]
			return v, isToken(v)
		case '\\':
			return c.escapedValue()
		}
	}
	return "", false
}

// escapedValue reads a quoted string that holds a backslash. Nobody sends one,
// so it alone may allocate.
func (c *headerCursor) escapedValue() (string, bool) {
	var v strings.Builder
	for i := 0; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '"':
			c.rest = c.rest[i+1:]
			return v.String(), isToken(v.String())
		case '\\':
			if i++; i == len(c.rest) {
				return "", false
			}
		}
		v.WriteByte(c.rest[i])
	}
	return "", false
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isTokenByte: visible ASCII but for the separators (RFC 2616 §2.2).
func isTokenByte(b byte) bool {
	return b > ' ' && b < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?={}`, b) < 0
}
