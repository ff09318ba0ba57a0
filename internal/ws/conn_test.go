package ws

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestEcho(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b, MaxMessageBytes: 1 << 20, MaxQueueBytes: 8 << 20})
		c := s.dial(t)
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			c.send(clientFrame(finText, words(n)))
			c.expect(finText, words(n))
		}
		c.send(clientFrame(finPing, "are you there"))
		c.expect(finPong, "are you there")
		c.send(clientFrame(finClose, closePayload(CloseNormal, "bye")))
		c.expect(finClose, closePayload(CloseNormal, ""))
		c.expectEOF()
		c.Close()
		if end := s.end(t); end.Code != CloseNormal || end.Reason != "bye" || end.Cause != CausePeer {
			t.Errorf("ended with %+v", end)
		}
	})
}

func TestUpgradeMayFollowOtherRequestsOnTheConnection(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b})
		c := s.dialTCP(t)
		for range 3 {
			c.send([]byte("GET /health HTTP/1.1\r\nHost: test\r\n\r\n"))
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != "Ok" {
				t.Fatalf("health said %q", body)
			}
		}
		c.upgrade("")
		c.send(clientFrame(finText, "hi"))
		c.expect(finText, "hi")
	})
}

func TestFramesRightBehindTheRequestAreRead(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b})
		early := join(clientFrame(finText, "early"), clientFrame(finText, "half of this is still to come"))
		c := s.dial(t, early[:len(early)-10]...)
		c.expect(finText, "early")
		c.send(early[len(early)-10:])
		c.expect(finText, "half of this is still to come")
		c2 := s.dial(t, clientFrame(finClose, closePayload(CloseNormal, ""))...)
		c2.expectClose(CloseNormal, "")
		c2.expectEOF()
	})
}

func TestGreetingComesFirstAndWhatWasWrittenMeanwhileFollows(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b}, func(s *testServer) {
			s.greeting = NewBatch(OpText, []byte("hello"))
			s.onOpen = func(c *Conn) {
				c.Write(NewBatch(OpText, []byte("one")))
				c.WriteMessage(OpText, []byte("two"))
			}
		})
		c := s.dial(t)
		for _, want := range []string{"hello", "one", "two"} {
			c.expect(finText, want)
		}
	})
}

func TestCloseBeforeOpenStillGreets(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b}, func(s *testServer) {
			s.greeting = NewBatch(OpText, []byte("hello"))
			s.onOpen = func(c *Conn) { c.Close(CloseGoingAway, "not now") }
		})
		c := s.dial(t)
		c.expect(finText, "hello")
		c.expect(finClose, closePayload(CloseGoingAway, "not now"))
	})
}

func TestViolationClosesWithItsCodeAndTouchesNobodyElse(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b, MaxMessageBytes: 1000})
		bystander := s.dial(t)
		for name, v := range map[string]struct {
			in   []byte
			code StatusCode
		}{
			"reserved opcode":          {clientFrame(bitFin|5, ""), CloseProtocolError},
			"no mask":                  {[]byte{finText, 0}, CloseProtocolError},
			"half a close code":        {clientFrame(finClose, "\x03"), CloseProtocolError},
			"close code 1005":          {clientFrame(finClose, closePayload(1005, "")), CloseProtocolError},
			"close code 999":           {clientFrame(finClose, closePayload(999, "")), CloseProtocolError},
			"close reason not UTF-8":   {clientFrame(finClose, closePayload(1000, "\xff")), CloseInvalidPayload},
			"text not UTF-8":           {clientFrame(finText, "\xff"), CloseInvalidPayload},
			"message too big":          {clientFrame(finText, words(1001)), CloseTooBig},
			"RSV1 without negotiation": {clientFrame(finText|bitRSV1, "x"), CloseProtocolError},
		} {
			t.Run(name, func(t *testing.T) {
				c := s.dial(t)
				c.send(v.in)
				c.expectClose(v.code, "*")
				c.expectEOF()
				c.Close()
				if end := s.end(t); end.Code != v.code || end.Cause != CauseProtocol {
					t.Errorf("ended with %+v", end)
				}
			})
		}
		bystander.send(clientFrame(finText, "still here"))
		bystander.expect(finText, "still here")
	})
}

func TestServerCloseFlushesTakesWhatIsUnderWayAndAwaitsTheAnswer(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		got := make(chan string, 1)
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
			s.onMessage = func(_ *Conn, _ Opcode, p []byte) { got <- string(p) }
		})
		c := s.dial(t)
		conn := <-conns
		conn.WriteMessage(OpText, []byte("last words"))
		conn.Close(CloseGoingAway, "Server shutting down")
		conn.Close(CloseNormal, "a second close says nothing")
		conn.WriteMessage(OpText, []byte("too late"))
		c.expect(finText, "last words")
		c.expect(finClose, closePayload(CloseGoingAway, "Server shutting down"))
		c.send(clientFrame(finText, "under way"))
		if m := <-got; m != "under way" {
			t.Fatalf("got %q", m)
		}
		c.send(clientFrame(finClose, closePayload(CloseGoingAway, "")))
		c.expectEOF()
		c.Close()
		if end := s.end(t); end.Code != CloseGoingAway || end.Cause != CauseServer {
			t.Errorf("ended with %+v", end)
		}
	})
}

func TestSilentPeersAreDropped(t *testing.T) {
	t.Run("without a pong", func(t *testing.T) {
		onBothBackends(t, func(t *testing.T, b Backend) {
			s := serve(t, Options{Backend: b, PingInterval: 50 * time.Millisecond})
			c := s.dial(t)
			c.expect(finPing, "")
			if end := s.end(t); end.Cause != CauseNoPong || end.Code != CloseAbnormal {
				t.Errorf("ended with %+v", end)
			}
		})
	})
	t.Run("without an answer to our close", func(t *testing.T) {
		onBothBackends(t, func(t *testing.T, b Backend) {
			s := serve(t, Options{Backend: b, CloseTimeout: 50 * time.Millisecond}, func(s *testServer) {
				s.onMessage = func(c *Conn, _ Opcode, _ []byte) { c.Close(CloseNormal, "") }
			})
			c := s.dial(t)
			c.send(clientFrame(finText, "close me"))
			c.expect(finClose, closePayload(CloseNormal, ""))
			if end := s.end(t); end.Cause != CauseCloseTimeout || end.Code != CloseNormal {
				t.Errorf("ended with %+v", end)
			}
		})
	})
	t.Run("without FIN after a violation", func(t *testing.T) {
		onBothBackends(t, func(t *testing.T, b Backend) {
			s := serve(t, Options{Backend: b, CloseTimeout: 50 * time.Millisecond})
			c := s.dial(t)
			c.send([]byte{finText, 0})
			if end := s.end(t); end.Cause != CauseProtocol {
				t.Errorf("ended with %+v", end)
			}
		})
	})
	t.Run("but not one that answers", func(t *testing.T) {
		onBothBackends(t, func(t *testing.T, b Backend) {
			s := serve(t, Options{Backend: b, PingInterval: 50 * time.Millisecond})
			c := s.dial(t)
			for range 10 {
				c.expect(finPing, "")
				c.send(clientFrame(finPong, ""))
			}
			if s.Len() != 1 {
				t.Error("dropped")
			}
		})
	})
}

// A peer that sends one byte at a time is served, at the cost of its one frame.
func TestOneByteAtATime(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b})
		c := s.dial(t)
		for _, x := range join(clientFrame(byte(OpText), "sl"), clientFrame(finPing, "p"), clientFrame(finCont, "ow")) {
			c.send([]byte{x})
		}
		c.expect(finPong, "p")
		c.expect(finText, "slow")
	})
}

func TestVanishingPeersLeaveNothing(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b})
		for i := range 50 {
			c := s.dial(t)
			c.send(clientFrame(finText, "x")[:i%8])
			if i%2 == 0 {
				c.Conn.(*net.TCPConn).SetLinger(0) // a reset
			}
			c.Close()
		}
		for range 50 {
			if end := s.end(t); end.Cause != CauseVanished {
				t.Errorf("ended with %+v", end)
			}
		}
		eventually(t, "nobody left", func() bool { return s.Len() == 0 })
	})
}

// flood writes until the peer's and our kernel buffers are full and bytes wait.
func flood(t *testing.T, s *testServer, conn *Conn, n int) *Batch {
	t.Helper()
	b := NewBatch(OpBinary, bytes.Repeat([]byte("x"), n))
	for s.Stats().QueuedBytes == 0 {
		conn.Write(b)
	}
	return b
}

func TestSlowConsumerIsClosedAndNeverWaitedFor(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		const frame = 32 << 10
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, MaxQueueBytes: 256 << 10, CloseTimeout: 20 * time.Second}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		c := s.dial(t)
		conn := <-conns
		batch := flood(t, s, conn, frame)
		for i := 0; ; i++ {
			conn.Write(batch)
			conn.mu.Lock()
			closing, waiting := conn.state != stateOpen, conn.out
			if closing && waiting != nil && waiting.bytes > 2*frame {
				t.Errorf("%d bytes still wait after the queue was cut", waiting.bytes)
			}
			conn.mu.Unlock()
			if closing {
				break
			}
			if i > 10000 {
				t.Fatal("never closed")
			}
		}
		// It wakes up: whole frames, then the close frame, nothing torn.
		for {
			b0, p, err := c.frame()
			if err != nil {
				t.Fatal(err)
			}
			if b0 == finClose {
				if !strings.HasPrefix(string(p), closePayload(CloseTryAgainLater, "")) {
					t.Fatalf("close frame %q", p)
				}
				break
			}
			if b0 != finBinary || len(p) != frame {
				t.Fatalf("torn frame %#x of %d bytes", b0, len(p))
			}
		}
		c.send(clientFrame(finClose, closePayload(CloseTryAgainLater, "")))
		c.expectEOF()
		c.Close()
		if end := s.end(t); end.Code != CloseTryAgainLater || end.Cause != CauseSlow {
			t.Errorf("ended with %+v", end)
		}
	})
}

func TestPeerThatNeverReadsIsDropped(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, WriteStall: 100 * time.Millisecond, MaxQueueBytes: 64 << 20}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		s.dial(t)
		conn, batch := <-conns, NewBatch(OpBinary, make([]byte, 64<<10))
		for s.Stats().QueuedBytes < 16<<20 { // more than all the kernel's buffers
			conn.Write(batch)
		}
		if end := s.end(t); end.Cause != CauseStalled {
			t.Errorf("ended with %+v", end)
		}
	})
}

func TestQueueKeepsOrderAndEveryByte(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, MaxQueueBytes: 64 << 20}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		c := s.dial(t)
		conn := <-conns
		const n = 3000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range n {
				conn.WriteMessage(OpText, fmt.Appendf(nil, "%d %s", i, words(i%9000)))
			}
		}()
		<-sent // nothing was read so far, so most of it waits
		for i := range n {
			c.expect(finText, fmt.Sprintf("%d %s", i, words(i%9000)))
		}
	})
}

func TestCompressionIsNegotiatedAndUsed(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, Options{Backend: b})
		c := s.dialTCP(t)
		resp := c.upgrade("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
		if ext := resp.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(ext, "permessage-deflate; server_no_context_takeover; client_no_context_takeover") {
			t.Fatalf("extensions %q", ext)
		}
		c.send(clientFrame(finText|bitRSV1, deflated(words(5000))))
		b0, p, err := c.frame()
		if err != nil || b0 != finText|bitRSV1 {
			t.Fatalf("frame %#x, %v; want a deflated one", b0, err)
		}
		if out, err := inflate(nil, p, 5000); err != nil || string(out) != words(5000) {
			t.Fatalf("inflates to %.40q, %v", out, err)
		}
		c.send(clientFrame(finText, "tiny ones go as they are"))
		c.expect(finText, "tiny ones go as they are")
	})
}

func TestManyWritersOneConnection(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b, MaxQueueBytes: 64 << 20}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		c := s.dial(t)
		conn := <-conns
		const writers, each = 8, 200
		for w := range writers {
			go func() {
				for i := range each {
					conn.WriteMessage(OpText, fmt.Appendf(nil, "%d %d", w, i))
				}
			}()
		}
		var next [writers]int
		for range writers * each {
			_, p, err := c.frame()
			var w, i int
			if _, scan := fmt.Sscan(string(p), &w, &i); err != nil || scan != nil || i != next[w] {
				t.Fatalf("got %q, %v, %v; want number %d of this writer", p, err, scan, next[w])
			}
			next[w]++
		}
	})
}

// Connections open, talk, close and vanish while others do; under -race.
func TestChurn(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		var open atomic.Int64
		s := serve(t, Options{Backend: b, PingInterval: 20 * time.Millisecond, CloseTimeout: time.Second}, func(s *testServer) {
			s.onOpen = func(*Conn) { open.Add(1) }
		})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			all := NewBatch(OpText, []byte("to all"))
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i, c := range s.Conns() {
					c.Write(all)
					if i%7 == 6 {
						c.Close(CloseGoingAway, "")
					}
				}
				time.Sleep(time.Millisecond)
			}
		})
		var clients sync.WaitGroup
		for w := range 8 {
			clients.Go(func() {
				for i := range 25 {
					c := s.dial(t)
					c.Write(clientFrame(finText, words(i*100)))
					switch (w + i) % 3 {
					case 0:
						c.Write(clientFrame(finClose, closePayload(CloseNormal, "")))
						io.Copy(io.Discard, c.r)
					case 1:
						c.frame()
					}
					c.Close()
				}
			})
		}
		clients.Wait()
		close(stop)
		wg.Wait()
		eventually(t, "all connections ended", func() bool { return s.Len() == 0 })
		if open.Load() != 200 || len(s.ended) != 200 {
			t.Errorf("%d opened, %d ended; want 200 of each", open.Load(), len(s.ended))
		}
	})
}

func TestAcceptAfterShutdown(t *testing.T) {
	s := serve(t, Options{})
	s.Shutdown()
	c := s.dialTCP(t)
	c.send([]byte(upgradeRequest + "\r\n"))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v, %v", resp, err)
	}
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	onBothBackends(t, func(t *testing.T, b Backend) {
		if b == BackendPortable {
			// It hands each write to a goroutine; the bound is the epoll backend's.
			return
		}
		conns := make(chan *Conn, 1)
		s := serve(t, Options{Backend: b}, func(s *testServer) {
			s.onOpen = func(c *Conn) { conns <- c }
		})
		c := s.dial(t)
		go io.Copy(io.Discard, c.r)
		conn := <-conns
		batch := NewBatch(OpText, []byte(words(100)))
		if n := testing.AllocsPerRun(1000, func() { conn.Write(batch) }); n != 0 {
			t.Errorf("%v allocations a delivery", n)
		}
	})
}
