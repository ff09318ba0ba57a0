//go:build integration

package valkey

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/hub"
)

// Run by hand, alone on the machine:
//
//	go test -tags integration -run '^$' -bench . -benchtime 200000x ./internal/valkey
//
// BenchmarkCeiling is what redis-benchmark gets out of the same server with the same script, one message a call, on one connection;
// BenchmarkPublish is to be compared with it.

// startServer starts a redis-server of the benchmark's own.
func startServer(b *testing.B) string {
	program := os.Getenv("REDIS_SERVER")
	if program == "" {
		program = "redis-server"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", b.TempDir())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			b.Fatal("the server does not start")
		}
	}
}

func newBenchmark(b *testing.B, addr string) *Broker {
	broker, err := New(Options{Hosts: []string{addr}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(broker.Close)
	done := make(chan error, 1)
	broker.Publish("warm", nil, "", func(_ hub.Position, err error) { done <- err })
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return broker
}

const benchPayload = 100

func BenchmarkCeiling(b *testing.B) {
	addr := startServer(b)
	broker := newBenchmark(b, addr) // teaches the server the script
	_, port, _ := net.SplitHostPort(addr)
	for _, depth := range []int{1, 64, 512} {
		b.Run(fmt.Sprint("pipeline-", depth), func(b *testing.B) {
			args := []string{"-p", port, "-c", "1", "-P", strconv.Itoa(depth), "-n", strconv.Itoa(b.N), "--csv", "evalsha", broker.plain.publish.sha, "3"}
			args = append(args, keysOf("fairlead:{ceiling}")...)
			args = append(args, "nonce0", strings.Repeat("x", benchPayload))
			out, err := exec.Command("redis-benchmark", args...).Output()
			if err != nil {
				b.Fatal(err)
			}
			lines := strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == '\n' || r == '\r' })
			cells := strings.Split(lines[len(lines)-1], `","`)
			rate, err := strconv.ParseFloat(cells[1], 64)
			if err != nil {
				b.Fatalf("%q: %v", lines[len(lines)-1], err)
			}
			b.ReportMetric(rate, "messages/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// countingSink counts, and notes how long messages took that begin with a time.
type countingSink struct {
	n     atomic.Int64
	live  chan struct{}
	once  sync.Once
	delay func(time.Duration)
}

func (s *countingSink) Live(hub.Position) { s.once.Do(func() { close(s.live) }) }
func (s *countingSink) Down(error)        {}
func (s *countingSink) Receive(m hub.Message) error {
	s.n.Add(1)
	if s.delay != nil {
		at, _ := strconv.ParseInt(strings.TrimRight(string(m.Payload), " "), 10, 64)
		s.delay(time.Duration(time.Now().UnixNano() - at))
	}
	return nil
}

func BenchmarkPublish(b *testing.B) {
	for name, c := range map[string]struct{ channels, subscribed int }{
		"to-1-channel":                {1, 0},
		"to-1-channel-and-back":       {1, 1},
		"to-1000-channels":            {1000, 0},
		"to-1000-channels-and-back":   {1000, 1000},
		"to-100000-distinct-channels": {100000, 0},
	} {
		b.Run(name, func(b *testing.B) {
			broker := newBenchmark(b, startServer(b))
			sink := &countingSink{live: make(chan struct{})}
			for i := range c.subscribed {
				s := sink
				if i > 0 {
					s = &countingSink{live: make(chan struct{})}
				}
				broker.Subscribe(fmt.Sprint("c", i), s)
				<-s.live
			}
			names := make([]string, c.channels)
			for i := range names {
				names[i] = fmt.Sprint("c", i)
			}
			payload := []byte(strings.Repeat("x", benchPayload))
			var answered sync.WaitGroup
			var failed atomic.Int64
			answered.Add(b.N)
			done := func(_ hub.Position, err error) {
				if err != nil {
					failed.Add(1)
				}
				answered.Done()
			}
			b.ResetTimer()
			for i := range b.N {
				broker.Publish(names[i%len(names)], payload, "", done)
			}
			answered.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			if n := failed.Load(); n > 0 {
				b.Errorf("%d failed", n)
			}
		})
	}
}

// BenchmarkLatency publishes 1,000 messages a second in one task and measures until they are delivered in another.
func BenchmarkLatency(b *testing.B) {
	addr := startServer(b)
	here, there := newBenchmark(b, addr), newBenchmark(b, addr)
	var mu sync.Mutex
	var delays []time.Duration
	sink := &countingSink{live: make(chan struct{}), delay: func(d time.Duration) {
		mu.Lock()
		delays = append(delays, d)
		mu.Unlock()
	}}
	there.Subscribe("lobby", sink)
	<-sink.live
	n := max(b.N, 5000)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		here.Publish("lobby", fmt.Appendf(nil, "%-100d", time.Now().UnixNano()), "", func(_ hub.Position, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	for sink.n.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	slices.Sort(delays)
	for name, at := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		d := delays[min(len(delays)-1, int(float64(len(delays))*at))]
		b.ReportMetric(float64(d.Microseconds()), name+"-µs")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSubscribe subscribes to b.N channels and tells the time and the heap that each takes in this task.
func BenchmarkSubscribe(b *testing.B) {
	broker := newBenchmark(b, startServer(b))
	sinks := make([]countingSink, b.N)
	names := make([]string, b.N)
	for i := range sinks {
		sinks[i].live = make(chan struct{})
		names[i] = fmt.Sprint("channel-", i)
	}
	before := heap()
	b.ResetTimer()
	for i := range sinks {
		broker.Subscribe(names[i], &sinks[i])
	}
	for i := range sinks {
		<-sinks[i].live
	}
	b.StopTimer()
	b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/channel")
	for _, name := range names {
		broker.Unsubscribe(name)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
