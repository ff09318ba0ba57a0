package ws

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// sampleJSON is a message of about n bytes that looks like what applications
// send: repeated keys, values that differ.
func sampleJSON(tb testing.TB, n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	words := []string{"position", "ready", "harbour", "vessel", "mooring", "tide", "north", "lantern", "signal", "cargo", "berth", "pilot"}
	word := func() string { return words[r.IntN(len(words))] }
	type entry struct {
		ID    int     `json:"id"`
		Name  string  `json:"name"`
		At    string  `json:"at"`
		Value float64 `json:"value"`
		OK    bool    `json:"ok"`
	}
	var entries []entry
	for size := 0; size < n-40; size += 88 {
		entries = append(entries, entry{
			r.IntN(1e6), word() + " " + word(),
			fmt.Sprintf("2026-03-%02dT%02d:%02d:%02dZ", 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60)),
			float64(r.IntN(1e6)) / 1e4, r.IntN(2) == 0,
		})
	}
	p, err := json.Marshal(map[string]any{"message": map[string]any{"type": "update", "entries": entries}})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// noise does not compress.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(2, 3))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// stdInflate is the standard library's reading of a compressed message.
func stdInflate(compressed []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(compressed), strings.NewReader(inflateTail))))
}

func TestDeflatedMessagesReadBackTheSame(t *testing.T) {
	tests := []struct {
		name    string
		payload []byte
		smaller bool
	}{
		{"a short text repeated", bytes.Repeat([]byte("Hello "), 20), true},
		{"JSON of 256 bytes", sampleJSON(t, 256, 1), true},
		{"JSON of 16 KiB", sampleJSON(t, 16<<10, 2), true},
		{"JSON beyond one window", sampleJSON(t, 200<<10, 3), true},
		{"a megabyte of zeros", make([]byte, 1<<20), true},
		{"an empty message, which does not shrink", nil, false},
		{"one byte", []byte("x"), false},
		{"five letters", []byte("Hello"), false},
		{"noise", noise(5000), false},
		{"noise beyond one block", noise(100_000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, smaller := Deflate([]byte("before"), tt.payload)
			if smaller != tt.smaller {
				t.Fatalf("%d bytes became %d; smaller = %v, want %v", len(tt.payload), len(out)-6, smaller, tt.smaller)
			}
			if !bytes.HasPrefix(out, []byte("before")) {
				t.Fatalf("what stood in dst is gone")
			}
			out = out[len("before"):]
			if !smaller {
				if len(out) != 0 {
					t.Fatalf("%d bytes were appended all the same", len(out))
				}
				return
			}
			if len(out) >= len(tt.payload) {
				t.Errorf("%d bytes became %d", len(tt.payload), len(out))
			}
			if bytes.HasSuffix(out, []byte(deflateTail)) {
				t.Error("the tail is still there")
			}
			back, err := stdInflate(out)
			if err != nil || !bytes.Equal(back, tt.payload) {
				t.Errorf("the standard library reads %d bytes back: %v", len(back), err)
			}
			back, err = inflate(nil, out, len(tt.payload))
			if err != nil || !bytes.Equal(back, tt.payload) {
				t.Errorf("inflate reads %d bytes back: %v", len(back), err)
			}
		})
	}
}

func TestManyGoroutinesMayDeflateAndInflateAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		payload := sampleJSON(t, 500+100*i, uint64(i))
		wg.Go(func() {
			for range 20 {
				out, _ := Deflate(nil, payload)
				back, err := inflate(nil, out, 1<<20)
				if err != nil || !bytes.Equal(back, payload) {
					t.Errorf("read back %d bytes of %d: %v", len(back), len(payload), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// A message fits a window when no reference in it reaches back further, which
// its size alone guarantees. Here every reference is made as far as can be.
func TestAMessageAsLongAsTheWindowStaysWithinIt(t *testing.T) {
	for bits := 8; bits < 15; bits++ { // 15 is DEFLATE's own limit
		size := 1 << bits
		payload := sampleJSON(t, size+200, uint64(bits))[:size]
		copy(payload[size-100:], payload[:100]) // a match from end to end
		out, smaller := Deflate(nil, payload)
		if !smaller {
			t.Fatalf("%d bits: not smaller", bits)
		}
		if !DeflatedFits(len(payload), bits) || DeflatedFits(len(payload)+1, bits) {
			t.Errorf("%d bits: the border is not at %d bytes", bits, size)
		}
		if back, err := stdInflate(out); err != nil || !bytes.Equal(back, payload) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func FuzzDeflateRoundTrip(f *testing.F) {
	f.Add([]byte("Hello"), uint8(1))
	f.Add([]byte(`{"message":{"id":1,"name":"harbour"}}`), uint8(40))
	f.Add([]byte{0}, uint8(255))
	f.Add(noise(300), uint8(2))
	f.Add([]byte("\x00\x00\xff\xff"), uint8(9))
	f.Fuzz(func(t *testing.T, unit []byte, times uint8) {
		payload := bytes.Repeat(unit, int(times))
		out, smaller := Deflate([]byte("x"), payload)
		if out[0] != 'x' {
			t.Fatal("what stood in dst is gone")
		}
		if !smaller {
			if len(out) != 1 {
				t.Fatal("appended without being smaller")
			}
			return
		}
		out = out[1:]
		if len(out) >= len(payload) {
			t.Fatalf("%d bytes became %d", len(payload), len(out))
		}
		back, err := inflate(nil, out, len(payload))
		if err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("inflate: %v", err)
		}
		if back, err = stdInflate(out); err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("the standard library: %v", err)
		}
	})
}

func BenchmarkDeflate(b *testing.B) {
	for _, n := range []int{200, 256, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var payloads [8][]byte
			for i := range payloads {
				payloads[i] = sampleJSON(b, n, uint64(i))
			}
			b.ReportAllocs()
			var dst []byte
			in, out := 0, 0
			for i := 0; b.Loop(); i++ {
				p := payloads[i%len(payloads)]
				dst, _ = Deflate(dst[:0], p)
				in, out = in+len(p), out+len(dst)
			}
			b.ReportMetric(float64(out)/float64(in), "out/in")
			b.SetBytes(int64(len(payloads[0])))
		})
	}
}
