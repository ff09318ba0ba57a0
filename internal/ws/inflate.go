package ws

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// errTooBig: a message inflates to more than the limit (close with 1009).
var errTooBig = errors.New("compressed message is too big when inflated")

// errCorrupt: the bytes of a compressed message are no DEFLATE data (1007).
var errCorrupt = errors.New("compressed message is corrupt")

const (
	inflateWindow = 32 << 10 // the farthest that DEFLATE refers back
	inflateStep   = 512      // the least that dst grows by

	// maxFinalBlocks bounds the restarts after blocks with BFINAL. Each may
	// copy the window for two bytes of input; senders that set BFINAL at all do
	// so once a message.
	maxFinalBlocks = 1024
)

// inflate appends to dst what a compressed message (RFC 7692 §7.2.2) inflates
// to, at most limit bytes (0 or more). The error is errTooBig as it is, or wraps errCorrupt;
// then nothing is appended, but dst may have grown.
//
// A message claims no size, and none is guessed from its own: dst doubles as
// bytes really arrive, so a bomb costs the limit and a constant.
//
// Blocks with BFINAL set may stand anywhere (§7.2.3.4); the next block starts
// at the next byte (§7.2.1) and may refer to what came before. A message that
// ends with such a block is complete without the empty block that should follow
// it, and one of no bytes at all is empty: zlib takes both, so such senders
// exist. A message cut anywhere else is corrupt, as is one that still carries
// the tail its sender had to remove; only a stored block that lacks as many
// bytes as the tail has takes the tail for them, with zlib as with us.
func inflate(dst, compressed []byte, limit int) ([]byte, error) {
	if len(compressed) == 0 {
		return dst, nil
	}
	z := <-inflaters
	if z == nil {
		z = newInflater()
	}
	out, err := z.run(dst, compressed, limit)
	z.source = inflateSource{}
	inflaters <- z
	if err != nil {
		return out[:len(dst)], err
	}
	return out, nil
}

// inflaters bounds how many decompressors exist. They never wait for anything,
// so one a processor is all that can be used. Each holds 40 KiB from its first
// use on.
var inflaters = func() chan *inflater {
	n := runtime.GOMAXPROCS(0)
	c := make(chan *inflater, n)
	for range n {
		c <- nil
	}
	return c
}()

// inflater is a reusable decompressor. It is the standard library's: the one of
// klauspost/compress is as fast at 200 bytes and nearly twice as fast at 16 KiB,
// but does not clear a Huffman table that a block declares empty, and goes on by
// the one before, which may be another client's. Here outsiders choose the
// bytes.
type inflater struct {
	source inflateSource
	stream io.Reader
	probe  [1]byte // a local one would escape
}

func newInflater() *inflater {
	z := new(inflater)
	z.stream = flate.NewReader(&z.source)
	return z
}

func (z *inflater) run(dst, compressed []byte, limit int) ([]byte, error) {
	base := len(dst)
	z.source = inflateSource{rest: compressed}
	for range maxFinalBlocks {
		window := dst[max(base, len(dst)-inflateWindow):]
		if err := z.stream.(flate.Resetter).Reset(&z.source, window); err != nil {
			return dst, fmt.Errorf("%w: %w", errCorrupt, err)
		}
		var err error
		if dst, err = z.drain(dst, base, limit); err != nil {
			return dst, err
		}
		switch left := z.unread(); {
		case left == 0 || left == -len(deflateTail) || left == -len(inflateTail):
			return dst, nil
		case left < 0:
			return dst, fmt.Errorf("%w: it ends within a block", errCorrupt)
		}
	}
	return dst, fmt.Errorf("%w: it has more than %d final blocks", errCorrupt, maxFinalBlocks)
}

// drain reads up to the end of a final block. A full dst grows only once there
// is a byte for the new room, as most often there is none.
func (z *inflater) drain(dst []byte, base, limit int) ([]byte, error) {
	for {
		room := limit - (len(dst) - base)
		free := dst[len(dst) : len(dst)+min(cap(dst)-len(dst), room)]
		full := len(free) == 0
		if full {
			free = z.probe[:]
		}
		n, err := z.stream.Read(free)
		switch {
		case full && n > 0:
			if room == 0 {
				return dst, errTooBig
			}
			dst = append(enlarge(dst, min(room, max(inflateStep, len(dst)-base))), z.probe[0])
		case !full:
			dst = dst[:len(dst)+n]
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, fmt.Errorf("%w: %w", errCorrupt, err)
		}
	}
}

// enlarge makes room for exactly n more bytes. slices.Grow would round up by a
// quarter, past the limit.
func enlarge(dst []byte, n int) []byte {
	larger := make([]byte, len(dst), len(dst)+n)
	copy(larger, dst)
	return larger
}

// unread is how much of the message the stream left; below zero, how much it
// took of the tail.
func (z *inflater) unread() int { return len(z.source.rest) - z.source.atTail }

// inflateTail is what the sender removed, and a final empty block, so that a
// whole message ends with io.EOF and no other does.
const inflateTail = deflateTail + "\x01\x00\x00\xff\xff"

// inflateSource reads a message and then inflateTail. It is an io.ByteReader so
// that the decompressor takes no byte more than it needs.
type inflateSource struct {
	rest   []byte
	atTail int // how much of the tail was read
}

func (s *inflateSource) ReadByte() (byte, error) {
	if len(s.rest) > 0 {
		b := s.rest[0]
		s.rest = s.rest[1:]
		return b, nil
	}
	if s.atTail == len(inflateTail) {
		return 0, io.EOF
	}
	s.atTail++
	return inflateTail[s.atTail-1], nil
}

func (s *inflateSource) Read(p []byte) (int, error) {
	if len(s.rest) > 0 {
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	if s.atTail == len(inflateTail) {
		return 0, io.EOF
	}
	n := copy(p, inflateTail[s.atTail:])
	s.atTail += n
	return n, nil
}
