//go:build integration

package valkey

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/hub"
	"fairlead/internal/valkey"
)

func TestACluster(t *testing.T) {
	nodes := startCluster(t, 3)
	o := quick(nodes[1].addr) // one is enough: it tells the others
	a, b := open(t, o), open(t, o)
	const channels, each = 60, 40
	var inA, inB []*sink
	for i := range channels {
		inA = append(inA, subscribe(t, a, fmt.Sprint("c", i)))
		inB = append(inB, subscribe(t, b, fmt.Sprint("c", i)))
	}
	for i := range channels {
		eventually(t, fmt.Sprint("c", i, " is live"), func() bool { return inA[i].live() && inB[i].live() })
	}

	t.Run("channels live on all servers, by sharded pub/sub", func(t *testing.T) {
		for _, n := range nodes {
			if got := n.do("PUBSUB", "SHARDCHANNELS", "fairlead:{c*"); len(strings.Fields(got)) < 5 {
				t.Errorf("%s has %s", n.addr, got)
			}
			if got := n.do("PUBSUB", "CHANNELS"); got != "[]" {
				t.Errorf("%s has unsharded channels %s", n.addr, got)
			}
		}
	})
	t.Run("every message arrives, in order", func(t *testing.T) {
		var answered sync.WaitGroup
		for i := range each {
			for c := range channels {
				answered.Add(1)
				a.Publish(fmt.Sprint("c", c), []byte(fmt.Sprint(i)), "", func(_ hub.Position, err error) {
					if err != nil {
						t.Error(err)
					}
					answered.Done()
				})
			}
		}
		answered.Wait()
		for c := range channels {
			eventually(t, fmt.Sprint("c", c, " has all"), func() bool { return inA[c].count() == each && inB[c].count() == each })
			for i, text := range inB[c].got() {
				if text != fmt.Sprint(i) {
					t.Fatalf("c%d: message %d is %q", c, i, text)
				}
			}
			if h := past(t, b, fmt.Sprint("c", c), hub.Position{Epoch: inA[c].position().Epoch}); !h.Complete || len(h.Messages) != each {
				t.Errorf("c%d: history %v, %d messages", c, h.Complete, len(h.Messages))
			}
		}
	})
	t.Run("an idempotency key shares its channel's slot", func(t *testing.T) {
		first, err := publish(t, a, "c0", "x", "key {other}")
		again, err2 := publish(t, b, "c0", "x", "key {other}")
		if err != nil || err2 != nil || first != again {
			t.Errorf("%v %v, %v %v", first, err, again, err2)
		}
	})
	t.Run("subscribers are counted", func(t *testing.T) {
		a.SetLocal(func(string) int { return 3 })
		b.SetLocal(func(string) int { return 4 })
		counted(t, a, 7, 2)
	})
	t.Run("a server that dies takes down its channels alone", func(t *testing.T) {
		nodes[2].kill()
		down := func() (n int) {
			for c := range channels {
				if !inA[c].live() {
					n++
				}
			}
			return n
		}
		eventually(t, "its channels are down", func() bool { return down() > 0 })
		if n := down(); n > channels*2/3 {
			t.Errorf("%d of %d channels are down", n, channels)
		}
		nodes[2].run() // without data
		for c := range channels {
			eventually(t, fmt.Sprint("c", c, " is live again"), func() bool { return inA[c].live() && inB[c].live() })
		}
		breaks := 0
		for c := range channels {
			breaks += inA[c].broken()
			name := fmt.Sprint("c", c)
			at := publishes(t, a, name, "again")
			eventually(t, name+" delivers", func() bool { return inA[c].position() == at && inB[c].position() == at })
		}
		if breaks == 0 || breaks > channels*2/3 {
			t.Errorf("%d of %d channels were broken", breaks, channels)
		}
	})
}

func TestASlotThatMovesTakesItsChannelAlong(t *testing.T) {
	nodes := startCluster(t, 2)
	o := quick(nodes[0].addr)
	a, b := open(t, o), open(t, o)
	in, other := follow(t, a, "lobby"), follow(t, b, "lobby")
	slot := nodes[0].do("CLUSTER", "KEYSLOT", "fairlead:{lobby}")
	from, to := nodes[0], nodes[1]
	if nodes[1].do("CLUSTER", "COUNTKEYSINSLOT", slot) != "0" {
		from, to = to, from
	}
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	var accepted []string
	publishing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := publish(t, a, "lobby", fmt.Sprint(i), ""); err == nil {
				accepted = append(accepted, fmt.Sprint(i))
			}
		}
	})
	eventually(t, "messages flow", func() bool { return in.count() > 50 })
	for range 3 {
		moveSlot(t, from, to, slot)
		from, to = to, from
		n := in.count()
		eventually(t, "messages flow on", func() bool { return in.count() > n+50 })
	}
	close(stop)
	publishing.Wait()
	eventually(t, "both have all", func() bool { return in.count() == len(accepted) && other.count() == len(accepted) })
	if !slices.Equal(in.got(), accepted) || !slices.Equal(other.got(), accepted) {
		t.Error("what came is not what was accepted")
	}
	if in.broken() != 0 || other.broken() != 0 {
		t.Errorf("%d and %d breaks", in.broken(), other.broken())
	}
}

// moveSlot moves a slot as redis-cli --cluster reshard does.
func moveSlot(t *testing.T, from, to *server, slot string) {
	t.Helper()
	idFrom, idTo := from.do("CLUSTER", "MYID"), to.do("CLUSTER", "MYID")
	to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", idFrom)
	from.do("CLUSTER", "SETSLOT", slot, "MIGRATING", idTo)
	host, port, _ := net.SplitHostPort(to.addr)
	for {
		keys := strings.Fields(strings.Trim(from.do("CLUSTER", "GETKEYSINSLOT", slot, "100"), "[]"))
		if len(keys) == 0 {
			break
		}
		from.do(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	}
	to.do("CLUSTER", "SETSLOT", slot, "NODE", idTo)
	from.do("CLUSTER", "SETSLOT", slot, "NODE", idTo)
}

func TestWhatTheURLSaysOfAClusterIsChecked(t *testing.T) {
	single, nodes := start(t), startCluster(t, 1)
	for name, c := range map[string]struct {
		options func(*valkey.Options)
		words   string
	}{
		"a single server is no cluster": {func(o *valkey.Options) { o.Hosts, o.Cluster = []string{single.addr}, valkey.ClusterYes }, "not a cluster"},
		"a cluster is no single server": {func(o *valkey.Options) { o.Hosts, o.Cluster = []string{nodes[0].addr}, valkey.ClusterNo }, "part of a cluster"},
		"a cluster has one database":    {func(o *valkey.Options) { o.Hosts, o.DB = []string{nodes[0].addr}, 3 }, "database"},
	} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			c.options(&o)
			b := open(t, o)
			if _, err := publish(t, b, "lobby", "x", ""); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// counted waits for a count over so many tasks: a task counts once it listens.
func counted(t *testing.T, b *valkey.Broker, subscribers, tasks int) {
	t.Helper()
	var n, from int
	var complete bool
	eventually(t, "all tasks are counted", func() bool {
		var err error
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if n, from, complete, err = b.Count(ctx, "lobby"); err != nil {
			t.Fatal(err)
		}
		return from == tasks && complete
	})
	if n != subscribers {
		t.Errorf("%d subscribers in %d tasks, want %d", n, from, subscribers)
	}
}
