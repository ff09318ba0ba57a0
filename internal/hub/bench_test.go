package hub

import (
	"fmt"
	"testing"
	"time"
)

// noop is a subscriber that does nothing; delivering to it shows what the hub itself costs.
type noop struct{ Member }

func (*noop) Deliver(*Batch) {}
func (*noop) Lost()          {}

func joinMany(h *Hub, n int) {
	for range n {
		s := new(noop)
		h.Join("c", &s.Member, s, 0)
	}
}

// BenchmarkPass takes one message through a pass, on one goroutine and with the workers' own yielding.
func BenchmarkPass(b *testing.B) {
	for _, n := range []int{1, 100, 5000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			h := newByHand(Options{})
			joinMany(h.Hub, n)
			payload := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				h.Publish("c", payload, "", nil)
				h.settle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkPassByWorkers is the same with the hub's own workers, from Publish to the end of the pass.
func BenchmarkPassByWorkers(b *testing.B) {
	for _, n := range []int{1, 100, 5000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			ended := make(chan struct{}, 1)
			h := New(Options{
				Encoder: lines{},
				OnPass:  func(PassInfo) { ended <- struct{}{} },
				Now:     func() time.Time { return time.Time{} },
			})
			defer h.Close()
			joinMany(h, n)
			payload := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				h.Publish("c", payload, "", nil)
				<-ended
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkJoinLeave joins and leaves a lobby of 10,000, and a channel that is made and removed each time.
func BenchmarkJoinLeave(b *testing.B) {
	for _, others := range []int{10_000, 0} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			h := New(Options{Encoder: lines{}})
			defer h.Close()
			joinMany(h, others)
			s := new(noop)
			b.ReportAllocs()
			for b.Loop() {
				h.Join("c", &s.Member, s, 0)
				h.Leave(&s.Member)
			}
		})
	}
}

// BenchmarkPublish publishes to one channel with one subscriber as fast as the workers allow, and to a channel without any.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 0} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			h := New(Options{Encoder: lines{}})
			defer h.Close()
			joinMany(h, n)
			payload := make([]byte, 100)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				h.Publish("c", payload, "", nil)
			}
		})
	}
}

// BenchmarkIdleChannels reports what a channel with one idle subscriber costs, the subscriber itself apart.
func BenchmarkIdleChannels(b *testing.B) {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("user:%08d", i)
	}
	subscribers := make([]noop, len(names))
	for b.Loop() {
		h := New(Options{Encoder: lines{}})
		clear(subscribers) // they hold on to the channels of the last round
		before := heap()
		for i := range subscribers {
			h.Join(names[i], &subscribers[i].Member, &subscribers[i], 0)
		}
		b.ReportMetric(float64(heap()-before)/float64(len(names)), "B/channel")
		h.Close()
	}
}

// BenchmarkIdleMembers reports what a subscriber in a large channel costs, its Member included.
func BenchmarkIdleMembers(b *testing.B) {
	const n = 15_000
	for b.Loop() {
		h := New(Options{Encoder: lines{}})
		before := heap()
		subscribers := make([]noop, n)
		for i := range subscribers {
			h.Join("c", &subscribers[i].Member, &subscribers[i], 0)
		}
		b.ReportMetric(float64(heap()-before)/n, "B/member")
		h.Close()
	}
}
