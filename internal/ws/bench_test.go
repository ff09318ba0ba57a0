package ws

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// benchPayload is a usual message: 100 bytes, 114 on the wire as a broadcast.
var benchPayload = strings.Repeat("fairlead ", 13)[:112]

// What a poller's read gives when clients send whole messages: the way that
// keeps nothing.
func BenchmarkParserWholeMessages(b *testing.B) {
	for _, n := range []int{16, 112, 1024, 16 << 10} {
		b.Run(fmt.Sprintf("payload=%d", n), func(b *testing.B) {
			frame := clientFrame(finText, words(n))
			input := make([]byte, len(frame))
			p := parser{limit: 64 << 10}
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				copy(input, frame) // unmasking changes it in place
				if err := p.feed(input, discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The long way: a message cut in two by a read.
func BenchmarkParserSplitMessage(b *testing.B) {
	frame := clientFrame(finText, benchPayload)
	input := make([]byte, len(frame))
	p := parser{limit: 64 << 10}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		copy(input, frame)
		if err := p.feed(input[:60], discard{}); err != nil {
			b.Fatal(err)
		}
		if err := p.feed(input[60:], discard{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmask(b *testing.B) {
	for _, n := range []int{7, 32, 112, 1024, 64 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			key := uint32(0x3d21fa37)
			for b.Loop() {
				key = unmask(p, key)
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, n := range []int{112, 1024, 64 << 10} {
		b.Run(fmt.Sprintf("payload=%d", n), func(b *testing.B) {
			payload := []byte(words(n))
			dst := make([]byte, 0, n+maxHeader)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendFrame(dst[:0], OpText, false, payload)
			}
		})
	}
}

// BenchmarkWrite sets a delivery beside the bare system call that it cannot do
// without. There are many peers, as in a fan-out: with one, the reader would fall
// behind and the rest be queued.
func BenchmarkWrite(b *testing.B) {
	const peers = 1000
	b.Run("conn", func(b *testing.B) {
		conns := make(chan *Conn, peers)
		s := serve(b, Options{MaxQueueBytes: 256 << 20}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		var all []*Conn
		for range peers {
			c := s.dial(b)
			throwAway(b, c.Conn)
			all = append(all, <-conns)
		}
		batch := NewBatch(OpText, []byte(benchPayload))
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			all[i].Write(batch)
			if i++; i == len(all) {
				i = 0
			}
		}
		b.ReportMetric(float64(s.Stats().QueuedBytes), "queued-B")
	})
	b.Run("write(2)", func(b *testing.B) {
		fds := make([]int, peers)
		for i := range fds {
			fds[i] = bareSocket(b)
		}
		frame := NewBatch(OpText, []byte(benchPayload)).Data
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			_, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fds[i]), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)))
			if errno != 0 {
				b.Fatal(errno)
			}
			if i++; i == len(fds) {
				i = 0
			}
		}
	})
}

// throwAway reads nc to its end.
func throwAway(b *testing.B, nc net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, nc)
	}()
	b.Cleanup(func() {
		nc.Close()
		<-done
	})
}

// bareSocket is the descriptor of one end of a loopback connection whose other
// end is read.
func bareSocket(b *testing.B) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	throwAway(b, client)
	nc, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || dupErr != nil {
		b.Fatal(err, dupErr)
	}
	b.Cleanup(func() { unix.Close(fd) })
	return fd
}
