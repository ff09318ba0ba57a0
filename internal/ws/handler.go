package ws

// Handler is told what happens on one connection. All calls for a connection
// come from its owner, one after another, and must not block for long: many
// connections share a poller.
type Handler interface {
	// Message takes a complete text or binary message of at most
	// Options.MaxMessageBytes. payload is lent until the call returns and may
	// be changed in place. Messages that were under way when this side sent
	// its close frame still come; the peer had no chance to know.
	Message(c *Conn, op Opcode, payload []byte)
	// Closed is the last call, made once, when the descriptor is given back.
	Closed(c *Conn, end End)
}

// End says how a connection ended.
type End struct {
	// Code is what the close frame said that began the end: the peer's if it
	// closed first, else ours; CloseAbnormal when there was none.
	Code   StatusCode
	Reason string
	Cause  Cause
	// Err is the socket's error where there was one; for logs.
	Err error
}

// Cause is why a connection ended: the bounded set that metrics can carry.
type Cause uint8

// The causes. Those that drop a connection without a completed close handshake
// are told apart because each calls for another remedy.
const (
	CauseNone         Cause = iota
	CausePeer               // the peer sent a close frame first
	CauseServer             // this side closed, and the peer answered or hung up
	CauseProtocol           // the peer broke the protocol
	CauseVanished           // the transport ended without a close frame
	CauseNoPong             // nothing came between two pings
	CauseSlow               // its queue passed Options.MaxQueueBytes
	CauseStalled            // it took no byte for Options.WriteStall
	CauseCloseTimeout       // it did not answer the close frame in Options.CloseTimeout
	CauseAborted            // Conn.Abort
	causes
)

var causeNames = [causes]string{
	"none", "peer", "server", "protocol", "vanished", "no_pong", "slow_consumer",
	"write_stall", "close_timeout", "aborted",
}

// String returns the cause as a metric label.
func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return "unknown"
}

// Causes lists every cause a connection can end with, for metrics that want
// their series to exist before the first event.
func Causes() []Cause {
	all := make([]Cause, 0, causes-1)
	for c := CausePeer; c < causes; c++ {
		all = append(all, c)
	}
	return all
}
