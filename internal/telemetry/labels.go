package telemetry

import "strconv"

// The label values of the metrics. Each set is closed, so that no client can make series without end: a value outside
// of its set is counted as "other".

// CloseReason is why a connection ended.
type CloseReason string

// The close reasons. The engine's causes are spelt the same, so that one converts to the other; ClosedByDrain and
// ClosedByRateLimit say more than the engine can know.
const (
	ClosedByPeer       CloseReason = "peer"          // the client closed first
	ClosedByDrain      CloseReason = "drain"         // the task is stopping: 1001
	ClosedByRateLimit  CloseReason = "rate_limited"  // it went on beyond its message rate: 1008
	ClosedByServer     CloseReason = "server"        // closed by the server for another reason
	ClosedByProtocol   CloseReason = "protocol"      // the client broke the protocol: 1002, 1007, 1009
	ClosedVanished     CloseReason = "vanished"      // the transport ended without a close frame
	ClosedNoPong       CloseReason = "no_pong"       // silent between two pings
	ClosedSlowConsumer CloseReason = "slow_consumer" // its queue passed the bound: 1013
	ClosedWriteStall   CloseReason = "write_stall"   // it took no byte for too long
	ClosedCloseTimeout CloseReason = "close_timeout" // it did not answer the close frame
	ClosedAborted      CloseReason = "aborted"       // cut at the end of the drain's budget, or by a second signal
)

// RefusalReason is why an upgrade was refused.
type RefusalReason string

// The refusal reasons, with the HTTP status that the client saw.
const (
	RefusedHandshake    RefusalReason = "handshake"    // 400, 405, 426: no proper WebSocket handshake
	RefusedRequest      RefusalReason = "request"      // 400: the channel's name, another parameter
	RefusedUnauthorized RefusalReason = "unauthorized" // 401
	RefusedOrigin       RefusalReason = "origin"       // 403: the page's origin is not allowed
	RefusedRate         RefusalReason = "rate"         // 503: more upgrades a second than allowed
	RefusedCapacity     RefusalReason = "capacity"     // 503: the task is full
	RefusedNotReady     RefusalReason = "not_ready"    // 503: starting or draining
	RefusedBroker       RefusalReason = "broker"       // 503: a position was asked for and the broker does not answer
	RefusedInternal     RefusalReason = "internal"     // 500: the server's own fault
)

// MessageError is why a message was not taken; the code its sender sees.
type MessageError string

// The message errors of the client contract.
const (
	ErrorInvalidJSON MessageError = "invalid_json"
	ErrorRateLimited MessageError = "rate_limited"
	ErrorUnavailable MessageError = "unavailable"
)

const other = "other"

var (
	closeReasons = set(ClosedByPeer, ClosedByDrain, ClosedByRateLimit, ClosedByServer, ClosedByProtocol, ClosedVanished,
		ClosedNoPong, ClosedSlowConsumer, ClosedWriteStall, ClosedCloseTimeout, ClosedAborted)
	refusalReasons = set(RefusedHandshake, RefusedRequest, RefusedUnauthorized, RefusedOrigin, RefusedRate,
		RefusedCapacity, RefusedNotReady, RefusedBroker, RefusedInternal)
	messageErrors = set(ErrorInvalidJSON, ErrorRateLimited, ErrorUnavailable)
	states        = []string{"starting", stateReady, stateDraining, "stopped"}
)

// States with a meaning of their own for the EMF lines.
const (
	stateReady    = "ready"
	stateDraining = "draining"
)

func set[T ~string](values ...T) map[T]bool {
	m := make(map[T]bool, len(values))
	for _, v := range values {
		m[v] = true
	}
	return m
}

func label[T ~string](known map[T]bool, value T) string {
	if known[value] {
		return string(value)
	}
	return other
}

// codeLabel is a close code as a label: the registered ones by number, the ranges a client may choose from freely
// (RFC 6455 §7.4.2) as one each.
func codeLabel(code uint16) string {
	switch {
	case code >= 1000 && code <= 1015:
		return strconv.Itoa(int(code))
	case code >= 3000 && code <= 3999:
		return "3xxx"
	case code >= 4000 && code <= 4999:
		return "4xxx"
	}
	return other
}
