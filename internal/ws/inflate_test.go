package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
)

// stdDeflate is a flushed stream of the standard library without its tail.
func stdDeflate(tb testing.TB, payload []byte, level int) []byte {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err = w.Write(payload); err == nil {
		err = w.Flush()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte(deflateTail))
}

// finished is a stream that ends with a block whose BFINAL is set.
func finished(tb testing.TB, payload []byte) []byte {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err = w.Write(payload); err == nil {
		err = w.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestMessagesThatInflate(t *testing.T) {
	long := sampleJSON(t, 100_000, 1)
	hello := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}
	// "Hello" in a final block of its own, then a block that copies it: the
	// reference crosses the border.
	across := []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x02, 0x13, 0x00, 0x00}
	tests := []struct {
		name       string
		compressed []byte
		want       []byte
	}{
		{"RFC 7692 §7.2.3.1: Hello in one block", hello, []byte("Hello")},
		{"§7.2.3.3: a block without compression", []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00}, []byte("Hello")},
		{"§7.2.3.4: a block with BFINAL", []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, []byte("Hello")},
		{"§7.2.3.5: two blocks", []byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, []byte("Hello")},
		{"§7.2.3.6: an empty message", []byte{0x00}, nil},
		{"an empty message of no bytes", nil, nil},
		{"an empty message as an empty fixed block", []byte{0x02, 0x00}, nil},
		{"empty blocks in a row", []byte{0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}, nil},
		{"BFINAL and nothing after it", []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, []byte("Hello")},
		{"BFINAL on the empty block at the end", []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x04}, []byte("Hello")},
		{"a final stored block that lacks what was removed", []byte{0x01}, nil},
		{"blocks after a final block", concat([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, hello), []byte("HelloHello")},
		{"final blocks in a row", concat(finished(t, []byte("one ")), finished(t, []byte("two ")), finished(t, long), []byte{0}), concat([]byte("one two "), long)},
		{"a reference across a final block", across, []byte("HelloHello")},
		{"several windows", stdDeflate(t, long, 6), long},
		{"level 1 of another library", stdDeflate(t, long, 1), long},
		{"Huffman codes alone", stdDeflate(t, long, flate.HuffmanOnly), long},
		{"stored blocks alone", stdDeflate(t, noise(100_000), 0), noise(100_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The limit is exact: all of it may be used.
			got, err := inflate([]byte("before"), tt.compressed, len(tt.want))
			if err != nil {
				t.Fatal(err)
			}
			if want := concat([]byte("before"), tt.want); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
			if len(tt.want) == 0 {
				return
			}
			if got, err = inflate([]byte("before"), tt.compressed, len(tt.want)-1); !errors.Is(err, errTooBig) || string(got) != "before" {
				t.Errorf("one byte over the limit: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestMessagesThatAreCorrupt(t *testing.T) {
	long := stdDeflate(t, sampleJSON(t, 5000, 1), 6)
	flipped := bytes.Clone(long)
	flipped[0] |= 0x06 // the reserved block type
	tests := []struct {
		name       string
		compressed []byte
	}{
		{"the reserved block type", []byte{0x07}},
		{"a long message with it", flipped},
		{"a message cut in the middle", long[:len(long)/2]},
		{"a message cut by its last byte", []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07}},
		{"a stored block that lacks a byte", []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l'}},
		{"a stored block whose lengths disagree", []byte{0x00, 0x05, 0x00, 0xfb, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00}},
		{"a message with its tail left on", concat(long, []byte(deflateTail))},
		{"a reference to before the message", []byte{0x02, 0x13, 0x00, 0x00}},
		{"garbage after a final block", []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff}},
		{"an empty Huffman table", []byte("$0\x80\x000\xfe000")},
		{"plain text", []byte(`{"not":"compressed at all"}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := inflate([]byte("before"), tt.compressed, 1<<20)
			if !errors.Is(err, errCorrupt) {
				t.Fatalf("error %v, want errCorrupt", err)
			}
			if string(got) != "before" {
				t.Errorf("dst is %d bytes long, want what it was", len(got))
			}
		})
	}
}

func TestFinalBlocksAreLimited(t *testing.T) {
	empty := []byte{0x03, 0x00} // a final block of nothing
	if _, err := inflate(nil, bytes.Repeat(empty, maxFinalBlocks), 10); err != nil {
		t.Errorf("%d final blocks: %v", maxFinalBlocks, err)
	}
	if _, err := inflate(nil, bytes.Repeat(empty, maxFinalBlocks+1), 10); !errors.Is(err, errCorrupt) {
		t.Errorf("one more: %v, want errCorrupt", err)
	}
}

func TestAReaderIsCleanAfterAnError(t *testing.T) {
	payload := sampleJSON(t, 3000, 7)
	good := stdDeflate(t, payload, 6)
	for range 3 * runtime.GOMAXPROCS(0) {
		if _, err := inflate(nil, good[:len(good)/2], 1<<20); !errors.Is(err, errCorrupt) {
			t.Fatal(err)
		}
		if _, err := inflate(nil, good, 100); !errors.Is(err, errTooBig) {
			t.Fatal(err)
		}
		if got, err := inflate(nil, good, len(payload)); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// bomb is about n/1024 bytes that inflate to n.
func bomb(tb testing.TB, n int) []byte {
	block := append(stdDeflate(tb, make([]byte, 1<<20), 9), deflateTail...)
	return bytes.TrimSuffix(bytes.Repeat(block, n>>20), []byte(deflateTail))
}

func TestABombCostsNoMoreThanItsLimit(t *testing.T) {
	const limit = 64 << 10
	compressed := bomb(t, 1<<30)
	run := func() {
		if _, err := inflate(nil, compressed, limit); !errors.Is(err, errTooBig) {
			t.Fatalf("error %v, want errTooBig", err)
		}
	}
	for range 2 * runtime.GOMAXPROCS(0) {
		run() // every pooled reader exists from here on
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	// Doubling up to the limit allocates less than twice the limit in all.
	if got := after.TotalAlloc - before.TotalAlloc; got > 2*limit+8<<10 {
		t.Errorf("%d bytes compressed, limit %d: %d bytes allocated", len(compressed), limit, got)
	}
	// With room for it in dst, nothing is.
	dst := make([]byte, 0, limit)
	if got := testing.AllocsPerRun(10, func() { _, _ = inflate(dst, compressed, limit) }); got != 0 {
		t.Errorf("%v allocations although dst had the room", got)
	}
}

func TestInflateGrowsWithWhatArrives(t *testing.T) {
	got, err := inflate([]byte("before"), stdDeflate(t, []byte("Hello"), 6), math.MaxInt)
	if err != nil || cap(got) > 1024 {
		t.Errorf("five bytes without a limit: cap %d, %v", cap(got), err)
	}
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, uint16(5))
	f.Add([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x02, 0x13, 0x00, 0x00}, uint16(100))
	f.Add([]byte{0x00}, uint16(0))
	f.Add([]byte{0x01}, uint16(0))
	f.Add([]byte{0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00}, uint16(4))
	f.Add(stdDeflate(f, sampleJSON(f, 600, 1), 6), uint16(2000))
	f.Add(bomb(f, 1<<20), uint16(60000))
	f.Fuzz(func(t *testing.T, compressed []byte, limit uint16) {
		got, err := inflate([]byte("x"), compressed, int(limit))
		if got[0] != 'x' || len(got) > 1+int(limit) {
			t.Fatalf("%d bytes under a limit of %d", len(got)-1, limit)
		}
		if cap(got) > 8+int(limit) {
			t.Fatalf("room for %d bytes under a limit of %d", cap(got), limit)
		}
		if err != nil && (len(got) != 1 || !errors.Is(err, errTooBig) && !errors.Is(err, errCorrupt)) {
			t.Fatalf("%d bytes and %v", len(got), err)
		}

		want, stdErr := stdMessage(compressed, int(limit))
		switch {
		case stdErr == nil:
			if err != nil || !bytes.Equal(got[1:], want) {
				t.Fatalf("%d bytes and %v, want %d", len(got)-1, err, len(want))
			}
		case errors.Is(err, errTooBig) != errors.Is(stdErr, errTooBig) || err == nil:
			t.Fatalf("the error is %v, but the standard library's %v", err, stdErr)
		}
	})
}

// stdMessage is inflate by means of the standard library and of no concern for
// what it costs.
func stdMessage(compressed []byte, limit int) (out []byte, err error) {
	if len(compressed) == 0 {
		return nil, nil
	}
	source := bytes.NewReader(concat(compressed, []byte(inflateTail)))
	stream := flate.NewReader(source)
	for range maxFinalBlocks {
		if err := stream.(flate.Resetter).Reset(source, out); err != nil {
			return nil, err
		}
		more, err := io.ReadAll(io.LimitReader(stream, int64(limit-len(out)+1)))
		if out = append(out, more...); len(out) > limit {
			return nil, errTooBig
		}
		if err != nil {
			return nil, err
		}
		if left := source.Len(); left <= len(inflateTail) {
			if left == 9 || left == 5 || left == 0 {
				return out, nil
			}
			return nil, io.ErrUnexpectedEOF
		}
	}
	return nil, errCorrupt
}

func BenchmarkInflate(b *testing.B) {
	for _, n := range []int{200, 1 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload := sampleJSON(b, n, 1)
			compressed := stdDeflate(b, payload, 6)
			dst := make([]byte, 0, len(payload))
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := inflate(dst, compressed, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("bomb", func(b *testing.B) {
		compressed := bomb(b, 1<<30)
		dst := make([]byte, 0, 64<<10)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = inflate(dst, compressed, 64<<10)
		}
	})
}
