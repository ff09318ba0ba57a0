package ws

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// testKey masks the tests' client frames; any key will do.
var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// clientFrame builds a masked frame from its first byte (FIN, RSV, opcode).
func clientFrame(b0 byte, payload string) []byte {
	var dst []byte
	switch n := len(payload); {
	case n < 126:
		dst = []byte{b0, bitMask | byte(n)}
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16([]byte{b0, bitMask | 126}, uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64([]byte{b0, bitMask | 127}, uint64(n))
	}
	dst = append(dst, testKey[:]...)
	for i := range len(payload) {
		dst = append(dst, payload[i]^testKey[i%4])
	}
	return dst
}

const (
	finText   = bitFin | byte(OpText)
	finBinary = bitFin | byte(OpBinary)
	finCont   = bitFin | byte(OpContinuation)
	finClose  = bitFin | byte(OpClose)
	finPing   = bitFin | byte(OpPing)
	finPong   = bitFin | byte(OpPong)
)

func join(frames ...[]byte) []byte {
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	return all
}

func closePayload(code StatusCode, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// recorder is a sink that writes down what it was told.
type recorder struct {
	events  []string
	stopAt  Opcode // control opcode that ends the parsing; 0 is none
	stopped bool
}

func (r *recorder) message(op Opcode, payload []byte) {
	r.events = append(r.events, fmt.Sprintf("message %d %q", op, payload))
}

func (r *recorder) control(op Opcode, payload []byte) (bool, error) {
	r.events = append(r.events, fmt.Sprintf("control %d %q", op, payload))
	r.stopped = r.stopAt != 0 && op == r.stopAt
	return !r.stopped, nil
}

func (r *recorder) String() string { return strings.Join(r.events, "; ") }
