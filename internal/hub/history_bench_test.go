//go:build unix

package hub

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplay1000x1000 has 1,000 clients return to a lobby where each missed 1,000 messages of 100 bytes: all in the same form
// from the same position, or from positions all over, in 4 forms, while messages go on.
func BenchmarkReplay1000x1000(b *testing.B) {
	for _, spread := range []bool{false, true} {
		b.Run(fmt.Sprintf("spread=%v", spread), func(b *testing.B) {
			var used time.Duration
			var bytes, batches int64
			for b.Loop() {
				h := newByHand(Options{Encoder: placed{}, Linger: true, History: roomy})
				var at Position
				for range 2000 {
					h.Publish("c", make([]byte, 100), "", func(p Position, _ error) { at = p })
				}
				clients := make([]noop, 1000)
				replays := make([][]*Batch, len(clients)) // as a connection's queue holds them
				before, start := heap(), cpu()
				for i := range clients {
					f, since := Form(0), Position{at.Epoch, 1000}
					if spread {
						f, since.Offset = Form(i%4), uint64(500+i)
						h.Publish("c", make([]byte, 100), "", nil)
					}
					e, err := h.Enter(context.Background(), "c", Since{SincePosition, since})
					if err != nil {
						b.Fatal(err)
					}
					j := e.Join(&clients[i].Member, &clients[i], f)
					if n := j.replayed(); n < 1000 {
						b.Fatalf("recovered %v, replayed %d", j.Recovered, n)
					}
					replays[i] = j.Replay
					batches += int64(len(j.Replay))
				}
				used += cpu() - start
				bytes += heap() - before
				h.Close()
			}
			n := float64(b.N)
			b.ReportMetric(used.Seconds()*1000/n, "cpu-ms/storm")
			b.ReportMetric(float64(bytes)/n/1e6, "MB-held/storm")
			b.ReportMetric(float64(batches)/n/1000, "batches/client")
		})
	}
}

// BenchmarkWindowAppend is what keeping a message costs: publishing to a channel with nobody in it.
func BenchmarkWindowAppend(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", kept), func(b *testing.B) {
			o := Options{Encoder: placed{}, Linger: kept}
			if kept {
				o.History = HistoryOptions{Messages: 1000, Bytes: 1 << 20, Age: time.Hour, TotalBytes: 1 << 26}
			}
			h := newByHand(o)
			h.broker.Subscribe("c", h.channel("c")) // without a window there would be no channel
			payload := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				h.Publish("c", payload, "", nil)
			}
		})
	}
}

// BenchmarkSweep sweeps 100,000 channels that have one member and one message each.
func BenchmarkSweep(b *testing.B) {
	const n = 100_000
	h := newByHand(Options{Encoder: placed{}, Linger: true, History: roomy})
	members := make([]noop, n)
	for i := range members {
		name := fmt.Sprint(i)
		h.Join(name, &members[i].Member, &members[i], 0)
		h.Publish(name, []byte("x"), "", nil)
	}
	h.settle()
	now := time.Now()
	for b.Loop() {
		h.Sweep(now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/channel")
}
