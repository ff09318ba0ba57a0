package valkey

import (
	"errors"
	"strconv"
	"strings"

	"fairlead/internal/hub"
)

// run is what one pub/sub message carries: messages that follow one another.
type run struct {
	first    hub.Position
	lengths  string // LEN,LEN,…, checked
	payloads string
}

var errRun = errors.New("a pub/sub message that no task of this version sends")

// parseRun reads "EPOCH:OFFSET LEN,LEN,… PAYLOADS". It allocates nothing.
func parseRun(s string) (run, error) {
	position, rest, ok := strings.Cut(s, " ")
	if !ok {
		return run{}, errRun
	}
	first, err := hub.ParsePosition(position)
	if err != nil || first.Offset == 0 {
		return run{}, errRun
	}
	r := run{first: first}
	if r.lengths, r.payloads, ok = strings.Cut(rest, " "); !ok {
		return run{}, errRun
	}
	total := 0
	for list := r.lengths; list != ""; {
		var n int
		if n, list, ok = nextLength(list); !ok || n > len(r.payloads)-total {
			return run{}, errRun
		}
		total += n
	}
	if total != len(r.payloads) || r.lengths == "" {
		return run{}, errRun
	}
	return r, nil
}

// nextLength reads one length off the list.
func nextLength(list string) (n int, rest string, ok bool) {
	digits, rest, more := strings.Cut(list, ",")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || digits[0] == '+' || digits[0] == '-' || more && rest == "" {
		return 0, "", false
	}
	return n, rest, true
}

// next takes the first message off the run, which is not empty.
func (r *run) next() (position hub.Position, payload string) {
	n, rest, _ := nextLength(r.lengths)
	position, payload = r.first, r.payloads[:n]
	r.first.Offset++
	r.lengths, r.payloads = rest, r.payloads[n:]
	return position, payload
}

func (r *run) empty() bool { return r.lengths == "" }

// parseHead reads epoch and offset of a meta.
func parseHead(meta string) (hub.Position, bool) {
	epoch, rest, ok := strings.Cut(meta, " ")
	if !ok || !hub.ValidEpoch(epoch) {
		return hub.Position{}, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	offset, err := strconv.ParseUint(digits, 10, 64)
	return hub.Position{Epoch: epoch, Offset: offset}, err == nil
}
