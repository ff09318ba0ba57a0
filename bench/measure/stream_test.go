package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// serverFrame builds an unmasked frame from its first byte.
func serverFrame(b0 byte, payload []byte) []byte {
	var head []byte
	switch n := len(payload); {
	case n < 126:
		head = []byte{b0, byte(n)}
	case n <= 0xffff:
		head = binary.BigEndian.AppendUint16([]byte{b0, 126}, uint16(n))
	default:
		head = binary.BigEndian.AppendUint64([]byte{b0, 127}, uint64(n))
	}
	return append(head, payload...)
}

// follow feeds input in pieces and writes down what was seen.
func follow(input []byte, piece func() int) (messages int, controls []string, err error) {
	var s stream
	for len(input) > 0 {
		n := min(piece(), len(input))
		for rest := input[:n]; len(rest) > 0; {
			m, op, payload, after, err := s.next(rest)
			messages += m
			if err != nil {
				return messages, controls, err
			}
			if op != 0 {
				controls = append(controls, fmt.Sprintf("%x %q", op, payload))
			}
			rest = after
		}
		input = input[n:]
	}
	return messages, controls, nil
}

func TestStreamCountsWhateverThePieces(t *testing.T) {
	words := func(n int) []byte { return bytes.Repeat([]byte("fairlead "), n/9+1)[:n] }
	var input []byte
	for _, f := range [][]byte{
		serverFrame(finText, nil),
		serverFrame(finText, words(1)),
		serverFrame(finText, words(112)),
		serverFrame(bitFin|opPing, nil),
		serverFrame(finText, words(125)),
		serverFrame(finText, words(126)),
		serverFrame(bitFin|opBinary, words(112)),
		serverFrame(opText, words(5)),
		serverFrame(bitFin|opPing, []byte("between fragments")),
		serverFrame(opContinuation, nil),
		serverFrame(bitFin|opContinuation, words(5)),
		serverFrame(finText, words(70000)),
		serverFrame(bitFin|opClose, append([]byte{0x03, 0xe9}, "Server shutting down"...)),
		serverFrame(finText, nil),
	} {
		input = append(input, f...)
	}
	const messages = 9
	controls := []string{`9 ""`, `9 "between fragments"`, `8 "\x03\xe9Server shutting down"`}

	random := rand.New(rand.NewPCG(1, 2))
	pieces := map[string]func() int{
		"all at once":   func() int { return len(input) },
		"byte by byte":  func() int { return 1 },
		"two by two":    func() int { return 2 },
		"any, small":    func() int { return 1 + random.IntN(20) },
		"any, up to 64": func() int { return 1 + random.IntN(64<<10) },
	}
	for name, piece := range pieces {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				m, c, err := follow(input, piece)
				if err != nil || m != messages || fmt.Sprint(c) != fmt.Sprint(controls) {
					t.Fatalf("%d messages, controls %v, %v; want %d and %v", m, c, err, messages, controls)
				}
			}
		})
	}
}

func TestStreamRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"a masked frame":       {clientFrame(finText, []byte("x")), errMasked},
		"an unknown opcode":    {[]byte{bitFin | 3, 0}, errOpcode},
		"an unknown control":   {[]byte{bitFin | 0xb, 0}, errOpcode},
		"a long control frame": {serverFrame(bitFin|opPing, make([]byte, 126)), errLong},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 1000} {
				if _, _, err := follow(c.in, func() int { return size }); !errors.Is(err, c.want) {
					t.Errorf("in pieces of %d: %v; want %v", size, err, c.want)
				}
			}
		})
	}
}

func TestStreamAllocatesNothingForMessagesAndPings(t *testing.T) {
	input := append(bytes.Repeat(serverFrame(finText, make([]byte, 112)), 100), serverFrame(bitFin|opPing, nil)...)
	var s stream
	if n := testing.AllocsPerRun(100, func() {
		for rest := input; len(rest) > 0; {
			_, _, _, rest, _ = s.next(rest)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStream(b *testing.B) {
	input := bytes.Repeat(serverFrame(finText, make([]byte, 112)), 500)
	b.SetBytes(int64(len(input)))
	var s stream
	for b.Loop() {
		if _, _, _, _, err := s.next(input); err != nil {
			b.Fatal(err)
		}
	}
}
