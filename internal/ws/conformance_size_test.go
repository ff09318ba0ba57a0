package ws

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Section 9: long messages, many fragments, small pieces, many messages, scaled
// so that they take seconds. The contents of echoes are compared, not only their
// lengths.

// sizeSamples are a text and a binary payload of n bytes.
func sizeSamples(n int) map[byte][]byte {
	return map[byte][]byte{
		finText:   []byte(strings.Repeat("mooring α·", n/12+1)[:n/12*12] + strings.Repeat("~", n%12)),
		finBinary: bytes.Repeat([]byte{0x00, 0xfe, 0x80, 0xff, 0x0a, 0x42, 0xc0}, n/7+1)[:n],
	}
}

// expectLong is expect without printing megabytes.
func (c *rawClient) expectLong(b0 byte, payload []byte) {
	c.t.Helper()
	got, p, err := c.frame()
	if err != nil || got != b0 || !bytes.Equal(p, payload) {
		c.t.Fatalf("got frame %#x of %d bytes, %v; want %#x with the same %d bytes", got, len(p), err, b0, len(payload))
	}
}

// sendWhile writes from another goroutine, so that a server that echoes early
// does not find the client's buffers full.
func (c *rawClient) sendWhile(pieces [][]byte, read func()) {
	c.t.Helper()
	sent := make(chan error, 1)
	go func() {
		var err error
		for _, p := range pieces {
			if _, err = c.Write(p); err != nil {
				break
			}
		}
		sent <- err
	}()
	read()
	if err := <-sent; err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// long is a message and the ways of sending it.
type long struct {
	section, says string
	b0            byte
	payload       []byte
	pieces        [][]byte
}

func longMessages() []long {
	const ki, mi = 1 << 10, 1 << 20
	key := [4]byte{0x9d, 0x02, 0xe7, 0x51}
	var all []long
	for kind, b0 := range []byte{finText, finBinary} {
		for i, n := range []int{64 * ki, 256 * ki, mi, 4 * mi, 8 * mi, 16 * mi} {
			if n > 4*mi && (n == 8*mi) != (b0 == finText) {
				continue // the two longest once each
			}
			p := sizeSamples(n)[b0]
			all = append(all, long{fmt.Sprintf("9.%d.%d", 1+kind, i+1), fmt.Sprintf("%d KiB in one frame", n/ki), b0, p, [][]byte{bigFrame(b0, p, key)}})
		}
		whole := sizeSamples(mi)[b0]
		for i := range 8 {
			size := 64 << (2 * i)
			frames := fragmented(b0, whole, size)
			if kind == 0 { // the other ends with its last full fragment
				frames[len(frames)-1][0] &^= bitFin
				frames = append(frames, clientFrame(finCont, ""))
			}
			all = append(all, long{fmt.Sprintf("9.%d.%d", 3+kind, i+1), fmt.Sprintf("1 MiB in fragments of %d bytes", size), b0, whole, [][]byte{join(frames...)}})
		}
		one := sizeSamples(256 * ki)[b0]
		for i := range 6 {
			size := 64 << i
			all = append(all, long{fmt.Sprintf("9.%d.%d", 5+kind, i+1), fmt.Sprintf("256 KiB in one frame, in writes of %d bytes", size), b0, one, chop(bigFrame(b0, one, key), size)})
		}
	}
	return all
}

func TestConformanceLongMessages(t *testing.T) {
	t.Parallel()
	all := longMessages()
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		for _, m := range all {
			t.Run(m.section+" "+m.says, func(t *testing.T) {
				s.settle(t)
				c := s.dial(t)
				c.sendWhile(m.pieces, func() { c.expectLong(m.b0, m.payload) })
				ending{}.check(t, s, c)
			})
		}
	})
}

func TestConformanceManyMessages(t *testing.T) {
	t.Parallel()
	const each = 300
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		for kind, b0 := range []byte{finText, finBinary} {
			for i, n := range []int{0, 16, 64, 256, 1024, 4096} {
				p := sizeSamples(n)[b0]
				frame := bigFrame(b0, p, [4]byte{4, 3, 2, 1})
				t.Run(fmt.Sprintf("9.%d.%d %d messages of %d bytes, one at a time", 7+kind, i+1, each, n), func(t *testing.T) {
					s.settle(t)
					c := s.dial(t)
					for range each {
						c.send(frame)
						c.expectLong(b0, p)
					}
					ending{}.check(t, s, c)
				})
				t.Run(fmt.Sprintf("9.%d.%d %d messages of %d bytes at once", 7+kind, i+1, each, n), func(t *testing.T) {
					s.settle(t)
					c := s.dial(t)
					c.sendWhile([][]byte{bytes.Repeat(frame, each)}, func() {
						for range each {
							c.expectLong(b0, p)
						}
					})
					ending{}.check(t, s, c)
				})
			}
		}
	})
}

// A message of exactly the limit is taken, one byte more is not, in one frame
// or in many.
func TestConformanceMessageLimit(t *testing.T) {
	t.Parallel()
	const limit = 5000
	onBothBackends(t, func(t *testing.T, b Backend) {
		opts := suiteOptions(b)
		opts.MaxMessageBytes = limit
		s := serve(t, opts)
		good, over := []byte(words(limit)), []byte(words(limit+1))
		for _, r := range []row{
			{section: "beyond", says: "exactly the limit", send: [][]byte{clientFrame(finText, string(good))}, want: []answer{text(string(good))}},
			{section: "beyond", says: "exactly the limit in fragments", send: fragmented(finText, good, 999), want: []answer{text(string(good))}},
			{section: "beyond", says: "one byte more", send: [][]byte{clientFrame(finText, string(over))}, end: fails(CloseTooBig)},
			{section: "beyond", says: "one byte more in fragments", send: fragmented(finText, over, 999), end: fails(CloseTooBig)},
			{section: "beyond", says: "one byte more in the last, empty but for it", send: fragmented(finText, over, limit), end: fails(CloseTooBig)},
			{section: "beyond", says: "many messages of the limit in a row", send: [][]byte{clientFrame(finText, string(good)), clientFrame(finBinary, string(good))},
				want: []answer{text(string(good)), blob(string(good))}},
		} {
			for _, cut := range cuts {
				t.Run(r.says+" "+cut.name, func(t *testing.T) { r.play(t, s, cut, "") })
			}
		}
	})
}
