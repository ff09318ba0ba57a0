package dialect

import (
	"strconv"
	"time"
)

// AppendHello appends the first frame of resumable mode to a client that said
// since=now. Neither the channel's name nor a position needs escaping.
func AppendHello(dst []byte, channel, position string) []byte {
	dst = append(dst, `{"connection":"ok","channel":"`...)
	dst = append(dst, channel...)
	dst = append(dst, '"')
	dst = append(dst, positionHead...)
	dst = append(dst, position...)
	return append(dst, positionTail...)
}

// AppendResumedHello appends the first frame to a client that gave a position:
// recovered says that every message after position follows; if it is false,
// messages are missing before position, where the live stream begins.
func AppendResumedHello(dst []byte, channel, position string, recovered bool) []byte {
	dst = AppendHello(dst, channel, position)
	dst = append(dst[:len(dst)-1], `,"recovered":`...)
	dst = strconv.AppendBool(dst, recovered)
	return append(dst, '}')
}

// AppendReconnect appends the hint that goes before a close which the server
// wants: come back after so long, so that returns are paced.
func AppendReconnect(dst []byte, after time.Duration) []byte {
	dst = append(dst, `{"reconnect":{"afterMs":`...)
	dst = strconv.AppendInt(dst, after.Milliseconds(), 10)
	return append(dst, "}}"...)
}
