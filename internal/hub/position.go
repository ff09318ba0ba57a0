package hub

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Position is the place of a message in its channel: the place that a subscriber who was handed the message and all before it has
// reached. It is written epoch:offset, and is opaque to clients.
type Position struct {
	// Epoch names one life of the channel: 1 to MaxEpoch bytes of 0-9 a-z. A new one begins whenever continuity with what was
	// before cannot be proved. Positions of different epochs cannot be compared.
	Epoch string

	// Offset counts the messages of the epoch: the first has 1, and there are no gaps. 0 is before the first.
	Offset uint64
}

// MaxEpoch is the longest epoch, in bytes.
const MaxEpoch = 16

// ErrPosition says that a text is not a position. What ParsePosition returns wraps it and says what is wrong.
var ErrPosition = errors.New("not a position")

// String is epoch:offset.
func (p Position) String() string { return string(p.Append(nil)) }

// Append appends epoch:offset to dst, without allocating if dst has room.
func (p Position) Append(dst []byte) []byte {
	dst = append(dst, p.Epoch...)
	dst = append(dst, ':')
	return strconv.AppendUint(dst, p.Offset, 10)
}

// Zero reports whether p is the zero Position, which is no place in any channel.
func (p Position) Zero() bool { return p == Position{} }

// ParsePosition reads what String writes, and nothing else: no sign, no leading zero, no space. It is for texts from outside; the
// error wraps ErrPosition. Position.Epoch is a piece of s.
func ParsePosition(s string) (Position, error) {
	// The longest: an epoch, the colon, and the 20 digits of the largest offset. Checked first so that the error need not quote
	// whatever someone sent.
	if len(s) > MaxEpoch+1+20 {
		return Position{}, fmt.Errorf("%w: %d bytes, which is too long", ErrPosition, len(s))
	}
	epoch, digits, found := strings.Cut(s, ":")
	if !found {
		return Position{}, fmt.Errorf("%w: %q has no colon; a position looks like c7k2:1043", ErrPosition, s)
	}
	if !ValidEpoch(epoch) {
		return Position{}, fmt.Errorf("%w: %q does not begin with 1 to %d of 0-9 and a-z before the colon", ErrPosition, s, MaxEpoch)
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' { // ParseUint takes a sign
			return Position{}, fmt.Errorf("%w: %q has something other than digits after the colon", ErrPosition, s)
		}
	}
	offset, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '0' && digits != "0" {
		return Position{}, fmt.Errorf("%w: %q does not end in a number without leading zeros, below 2 to the 64th", ErrPosition, s)
	}
	return Position{Epoch: epoch, Offset: offset}, nil
}

// ValidEpoch reports whether s may be an epoch.
func ValidEpoch(s string) bool {
	if len(s) == 0 || len(s) > MaxEpoch {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
