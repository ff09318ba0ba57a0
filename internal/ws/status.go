package ws

import "strconv"

// StatusCode says why a connection was closed (RFC 6455 §7.4 and the IANA
// "WebSocket Close Code Number" registry).
type StatusCode uint16

// The registered close codes. Some are never sent: they name an end of which
// no close frame told.
const (
	CloseNormal             StatusCode = 1000
	CloseGoingAway          StatusCode = 1001
	CloseProtocolError      StatusCode = 1002
	CloseUnsupported        StatusCode = 1003
	CloseNoStatus           StatusCode = 1005 // never sent: the close frame held no code
	CloseAbnormal           StatusCode = 1006 // never sent: there was no close frame
	CloseInvalidPayload     StatusCode = 1007
	ClosePolicyViolation    StatusCode = 1008
	CloseTooBig             StatusCode = 1009
	CloseMandatoryExtension StatusCode = 1010 // clients only
	CloseInternal           StatusCode = 1011
	CloseServiceRestart     StatusCode = 1012
	CloseTryAgainLater      StatusCode = 1013
	CloseBadGateway         StatusCode = 1014
	CloseTLSHandshake       StatusCode = 1015 // never sent: there was no connection
)

// Sendable reports whether a close frame may carry c: the registered codes but
// for the three that stand for a missing frame, and 3000–4999, which belong to
// libraries and applications (RFC 6455 §7.4.2). Everything else received is a
// protocol error. 1012–1014 are newer than the RFC; refusing them, as a strict
// reading of its table would, breaks peers that use the registry.
func (c StatusCode) Sendable() bool {
	switch {
	case c >= 3000:
		return c <= 4999
	case c >= CloseInvalidPayload:
		return c <= CloseBadGateway
	default:
		return c >= CloseNormal && c <= CloseUnsupported
	}
}

// String is the code and, where it is registered, what it stands for:
// "1009 message too big".
func (c StatusCode) String() string {
	digits := strconv.Itoa(int(c))
	if name := c.name(); name != "" {
		return digits + " " + name
	}
	return digits
}

func (c StatusCode) name() string {
	switch c {
	case CloseNormal:
		return "normal closure"
	case CloseGoingAway:
		return "going away"
	case CloseProtocolError:
		return "protocol error"
	case CloseUnsupported:
		return "unsupported data"
	case CloseNoStatus:
		return "no status received"
	case CloseAbnormal:
		return "abnormal closure"
	case CloseInvalidPayload:
		return "invalid payload"
	case ClosePolicyViolation:
		return "policy violation"
	case CloseTooBig:
		return "message too big"
	case CloseMandatoryExtension:
		return "mandatory extension"
	case CloseInternal:
		return "internal error"
	case CloseServiceRestart:
		return "service restart"
	case CloseTryAgainLater:
		return "try again later"
	case CloseBadGateway:
		return "bad gateway"
	case CloseTLSHandshake:
		return "TLS handshake failed"
	}
	return ""
}
