package ws

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What clients that misbehave cost. Bounds on memory are coarse, by several
// times, so that only growth of another order fails them.

// heapNow is the live heap and the stacks.
func heapNow() int64 {
	// The second collection empties what the first moved to the pools' victims.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// costs runs f and says what the live memory grew by; f returns with the
// situation standing.
func costs(f func()) int64 {
	before := heapNow()
	f()
	return heapNow() - before
}

// dialMany opens n connections and returns them with their server sides.
func (s *testServer) dialMany(t *testing.T, n int) []*rawClient {
	t.Helper()
	clients := make([]*rawClient, n)
	for i := range clients {
		clients[i] = s.dial(t)
	}
	eventually(t, "all are in", func() bool { return s.Len() == n })
	return clients
}

func TestCostOfHalfOpenClients(t *testing.T) {
	const clients, each = 200, 1 << 10
	claim := func(b0 byte) []byte { return []byte{b0, bitMask | 127, 0, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4} } // 64 MiB
	for name, in := range map[string][]byte{
		"one byte of a header":                 {finText},
		"a header but for its last byte":       claim(finBinary)[:13],
		"a claim of 64 MiB and nothing of it":  claim(finBinary),
		"a claim of 64 MiB and ten bytes":      append(claim(finText), "0123456789"...),
		"a compressed message that has begun":  append(claim(finText|bitRSV1), "0123456789"...),
		"a control frame but for its last":     clientFrame(finPing, words(125))[:130],
		"a message of a thousand empty pieces": append(clientFrame(byte(OpText), ""), bytes.Repeat(clientFrame(byte(OpContinuation), ""), 1000)...),
	} {
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				s := serve(t, suiteOptions(b), func(s *testServer) { s.onMessage = func(*Conn, Opcode, []byte) { t.Error("a message") } })
				conns := make([]*rawClient, clients)
				for i := range conns {
					conns[i] = s.dialTCP(t)
					conns[i].upgrade(deflateOfferAll)
				}
				grown := costs(func() {
					for _, c := range conns {
						c.send(in)
					}
					s.awaitRead(t, int64(clients*len(in)))
				})
				if grown > clients*each {
					t.Errorf("%d bytes for each client; at most %d", grown/clients, each)
				}
				if s.Len() != clients {
					t.Errorf("%d of %d are left", s.Len(), clients)
				}
			})
		})
	}
}

// A client that sends a byte at a time costs what it has sent, twice over at
// most for the buffer's growth, and on the portable backend a stack that grows.
func TestCostOfOneByteAtATime(t *testing.T) {
	const clients, size = 20, 2000
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		conns := s.dialMany(t, clients)
		frame := clientFrame(finText, words(size))
		grown := costs(func() {
			for i := range size {
				for _, c := range conns {
					c.send(frame[i : i+1])
				}
			}
			s.awaitRead(t, clients*size)
		})
		if most := int64(clients * (2*size + 8<<10)); grown > most {
			t.Errorf("%d bytes for %d sent by each; at most %d", grown/clients, size, most/clients)
		}
		for _, c := range conns {
			c.send(frame[size:])
			c.expect(finText, words(size))
		}
	})
}

// A client that asks for answers and never reads them fills its queue, and no
// more than a few times as much memory, however small the answers are.
func TestCostOfClientsThatNeverRead(t *testing.T) {
	const limit = 256 << 10
	for name, r := range map[string]struct {
		ask    []byte
		answer int
	}{
		"empty pings":    {clientFrame(finPing, ""), 2},
		"full pings":     {clientFrame(finPing, words(125)), 127},
		"tiny messages":  {clientFrame(finText, "x"), 3},
		"large messages": {bigFrame(finText, []byte(words(30000)), testKey), 30004},
	} {
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				conns := make(chan *Conn, 1)
				s := serve(t, Options{Backend: b, MaxQueueBytes: limit, PingInterval: -1, CloseTimeout: 20 * time.Second}, func(s *testServer) {
					s.onOpen = func(c *Conn) { conns <- c }
				})
				c := s.dial(t)
				conn := <-conns
				fillKernel(s, conn, limit/8)
				room := limit - int(s.Stats().QueuedBytes) - 8<<10
				n := max(1, room/r.answer)
				read := s.Stats().BytesIn
				grown := costs(func() {
					for range n {
						c.send(r.ask)
					}
					s.awaitRead(t, read+int64(n*len(r.ask)))
				})
				if grown > 8*limit {
					t.Errorf("%d answers wait and hold %d KiB; the queue's bound is %d KiB", n, grown>>10, limit>>10)
				}
				// Some more and the bound is passed: no answers, but a close.
				for range 2 * (limit - room + 16<<10) / r.answer {
					if _, err := c.Write(r.ask); err != nil {
						break
					}
				}
				eventually(t, "the queue is cut", func() bool { return s.Stats().QueuedBytes < limit/2 })
				c.expectClose(CloseTryAgainLater, "*")
				c.send(clientFrame(finClose, closePayload(CloseTryAgainLater, "")))
				c.expectEOF()
				c.Close()
				if end := s.end(t); end.Cause != CauseSlow {
					t.Errorf("ended with %+v", end)
				}
			})
		})
	}
}

// fillKernel writes until the kernel's buffers are full and about wait bytes wait.
func fillKernel(s *testServer, conn *Conn, wait int64) {
	full := NewBatch(OpBinary, make([]byte, 8<<10))
	for settled := 0; settled < 20; {
		if s.Stats().QueuedBytes < wait {
			settled = 0
			conn.Write(full)
			continue
		}
		settled++ // the kernel may still find room
		time.Sleep(time.Millisecond)
	}
}

// The same for shared frames, of which a queue holds only a reference: many
// tiny ones must not make it many times its bound.
func TestCostOfTinyBroadcastsToAClientThatNeverReads(t *testing.T) {
	const limit = 256 << 10
	onBothBackends(t, func(t *testing.T, b Backend) {
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, MaxQueueBytes: limit, PingInterval: -1}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		s.dial(t)
		conn := <-conns
		fillKernel(s, conn, limit/8)
		tiny := NewBatch(OpText, []byte("x"))
		most := heapNow()
		before := most
		for range 10 { // the queue may be cut before the last
			for range limit / 10 / len(tiny.Data) {
				conn.Write(tiny)
			}
			most = max(most, heapNow())
		}
		if grown := most - before; grown > 8*limit {
			t.Errorf("what waits holds %d KiB; the queue's bound is %d KiB", grown>>10, limit>>10)
		}
	})
}

// A client that reads as fast as messages come, but always some megabytes
// behind, must cost the same after a million messages as after a thousand.
func TestCostOfAClientThatStaysBehind(t *testing.T) {
	const behind, frames, size = 12 << 20, 200_000, 1 << 10
	onBothBackends(t, func(t *testing.T, b Backend) {
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, MaxQueueBytes: 64 << 20, PingInterval: -1}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		c := s.dial(t)
		conn := <-conns
		batch := NewBatch(OpBinary, make([]byte, size))
		c.r.Reset(c.Conn)
		chunk := make([]byte, 64<<10)
		fill := func() (n int) {
			for s.Stats().QueuedBytes < behind {
				conn.Write(batch)
				n++
			}
			return n
		}
		fill()
		grown := costs(func() {
			for n := 0; n < frames; n += fill() {
				if _, err := c.Read(chunk); err != nil {
					t.Fatal(err)
				}
				if s.Stats().QueuedBytes == 0 {
					t.Fatal("the client caught up: the test says nothing")
				}
			}
		})
		if grown > 2<<20 {
			t.Errorf("%d KiB more after %d messages, though no more of them wait", grown>>10, frames)
		}
	})
}

// A bomb costs the message limit a few times over, never what it inflates to,
// and neither does a stream of nothing but ends.
func TestCostOfBombs(t *testing.T) {
	const bombs, limit, each = 30, 64 << 10, 16
	zeros := deflated(strings.Repeat("\x00", 48<<20))
	for name, m := range map[string]struct {
		payload string
		code    StatusCode
	}{
		"48 MiB of zeros":          {zeros, CloseTooBig},
		"60 KiB of final blocks":   {strings.Repeat("\x03\x00", 30<<10), CloseInvalidPayload},
		"60 KiB of empty blocks":   {strings.Repeat("\x00\x00\x00\xff\xff", 12<<10) + "\xff", CloseInvalidPayload},
		"zeros and then a mistake": {zeros[:10000] + "\xff\xff\xff\xff", CloseTooBig},
	} {
		if len(m.payload) > limit {
			t.Fatalf("%s: the bomb itself has %d bytes", name, len(m.payload))
		}
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				s := serve(t, Options{Backend: b, MaxMessageBytes: limit, PingInterval: -1})
				conns := make([]*rawClient, bombs)
				for i := range conns {
					conns[i] = s.dialTCP(t)
					conns[i].upgrade(deflateOfferAll)
				}
				frame := clientFrame(finBinary|bitRSV1, m.payload)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for _, c := range conns {
					c.send(frame)
				}
				for _, c := range conns {
					c.expectClose(m.code, "*")
					c.expectEOF()
				}
				runtime.ReadMemStats(&after)
				// All that was ever allocated, garbage included.
				if grown := after.TotalAlloc - before.TotalAlloc; grown > bombs*each*limit {
					t.Errorf("a bomb made the server allocate %d KiB; the limit is %d KiB", grown/bombs>>10, limit>>10)
				}
			})
		})
	}
}

// Clients that vanish in the middle of anything leave no connection, queue,
// goroutine or descriptor.
func TestCostOfVanishingClients(t *testing.T) {
	echoes := bytes.Repeat(clientFrame(finText, words(60000)), 150)
	stages := map[string]func(c *rawClient){
		"at once":                 func(*rawClient) {},
		"within a header":         func(c *rawClient) { c.send(clientFrame(finText, words(300))[:3]) },
		"within a payload":        func(c *rawClient) { c.send(clientFrame(finText, words(300))[:100]) },
		"within a message":        func(c *rawClient) { c.send(clientFrame(byte(OpText), words(300))) },
		"within a close":          func(c *rawClient) { c.send(clientFrame(finClose, closePayload(CloseNormal, ""))[:7]) },
		"with an answer unread":   func(c *rawClient) { c.send(echoes[:len(echoes)/150]) },
		"behind their close":      func(c *rawClient) { c.send(clientFrame(finClose, "")) },
		"behind a violation":      func(c *rawClient) { c.send(clientFrame(finText, "\xff")) },
		"with megabytes awaiting": func(c *rawClient) { c.send(echoes) },
	}
	onBothBackends(t, func(t *testing.T, b Backend) {
		opts := suiteOptions(b)
		opts.MaxMessageBytes, opts.CloseTimeout = 0, time.Second
		s := serve(t, opts)
		first := s.dial(t) // what is made on demand is there
		ending{}.check(t, s, first)
		eventually(t, "the first is gone", func() bool { return s.Len() == 0 })
		goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
		for name, stage := range stages {
			n := 20
			if name == "with megabytes awaiting" {
				n = 4
			}
			for i := range n {
				c := s.dial(t)
				stage(c)
				if i%2 == 0 {
					c.Conn.(*net.TCPConn).SetLinger(0) // a reset
				}
				c.Close()
			}
			for range n {
				s.end(t)
			}
			eventually(t, name+": no connection and no byte booked", func() bool { return s.Len() == 0 && s.Stats().QueuedBytes == 0 })
		}
		eventually(t, fmt.Sprintf("no more than %d goroutines and %d descriptors", goroutines, descriptors), func() bool {
			return runtime.NumGoroutine() <= goroutines && openDescriptors() <= descriptors
		})
	})
}

// The ping rule ends clients that cannot answer because they never end what
// they have begun, however busy they are with it.
func TestCostOfFramesThatNeverEnd(t *testing.T) {
	head := clientFrame(finBinary, words(1<<20))[:14]
	for name, trickle := range map[string]bool{"and stands still": false, "and trickles": true} {
		t.Run(name, func(t *testing.T) {
			onBothBackends(t, func(t *testing.T, b Backend) {
				opts := suiteOptions(b)
				opts.PingInterval = 60 * time.Millisecond
				s := serve(t, opts)
				start := time.Now()
				c := s.dial(t)
				c.send(head)
				for sent := int64(len(head)); trickle && len(s.ended) == 0 && sent < 1<<20; sent++ {
					if _, err := c.Write([]byte{0}); err != nil {
						break
					}
					for len(s.ended) == 0 && s.stats.bytesIn.Load() < sent {
						time.Sleep(50 * time.Microsecond)
					}
				}
				if end := s.end(t); end.Cause != CauseNoPong || end.Code != CloseAbnormal {
					t.Errorf("ended with %+v", end)
				}
				if took := time.Since(start); took < opts.PingInterval/2 {
					t.Errorf("dropped after %v, before it could have answered", took)
				}
			})
		})
	}
}
