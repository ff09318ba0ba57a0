//go:build integration

package valkey

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/hub"
)

func TestAMessageOfOneTaskReachesBothInOrder(t *testing.T) {
	s := start(t)
	a, b := open(t, quick(s.addr)), open(t, quick(s.addr))
	inA, inB := follow(t, a, "lobby"), follow(t, b, "lobby")
	for i := range 100 {
		mustPublish(t, a, "lobby", fmt.Sprint("message ", i))
	}
	eventually(t, "both have all", func() bool { return inA.count() == 100 && inB.count() == 100 })
	if !slices.Equal(inA.got(), inB.got()) || inA.got()[99] != "message 99" {
		t.Errorf("a %v\nb %v", inA.got(), inB.got())
	}
	if inA.position() != inB.position() || inA.position().Offset != 100 {
		t.Errorf("a is at %v, b at %v", inA.position(), inB.position())
	}
}

func TestTwoTasksThatPublishAtOnceGiveOneOrder(t *testing.T) {
	s := start(t)
	a, b := open(t, quick(s.addr)), open(t, quick(s.addr))
	inA, inB := follow(t, a, "lobby"), follow(t, b, "lobby")
	const each, goroutines = 2000, 3
	var wg, answered sync.WaitGroup
	for name, broker := range map[string]hub.Broker{"a": a, "b": b} {
		for g := range goroutines {
			answered.Add(each)
			wg.Go(func() {
				var last hub.Position
				for i := range each {
					broker.Publish("lobby", []byte(fmt.Sprintf("%s%d %d", name, g, i)), "", func(at hub.Position, err error) {
						defer answered.Done()
						if err != nil || at.Offset <= last.Offset {
							t.Errorf("%s%d %d: %v after %v, %v", name, g, i, at, last, err)
						}
						last = at
					})
				}
			})
		}
	}
	wg.Wait()
	answered.Wait()
	eventually(t, "both have all", func() bool { return inA.count() == 2*each*goroutines && inB.count() == 2*each*goroutines })
	if !slices.Equal(inA.got(), inB.got()) {
		t.Error("the two tasks saw two orders")
	}
	next := make(map[string]int)
	for _, text := range inA.got() {
		var sender string
		var i int
		if _, err := fmt.Sscan(text, &sender, &i); err != nil || i != next[sender] {
			t.Fatalf("%q is not message %d of its sender", text, next[sender])
		}
		next[sender]++
	}
}

func TestChannelsAreSubscribedToOnlyWhileWanted(t *testing.T) {
	s := start(t)
	b := open(t, quick(s.addr))
	subscribers := func() string { return s.do("PUBSUB", "NUMSUB", "fairlead:{a}") }
	for range 3 {
		follow(t, b, "a")
		if got := subscribers(); !strings.Contains(got, " 1]") {
			t.Errorf("NUMSUB says %s", got)
		}
		b.Unsubscribe("a")
		eventually(t, "the channel is unsubscribed from", func() bool { return strings.Contains(subscribers(), " 0]") })
	}
	// In one go, so that the server never hears of it.
	b.Subscribe("a", &sink{t: t})
	b.Unsubscribe("a")
	in := follow(t, b, "a")
	mustPublish(t, b, "a", "x")
	eventually(t, "the last subscription receives", func() bool { return in.count() == 1 })
}

func TestThousandsOfChannelsShareTheConnections(t *testing.T) {
	s := start(t)
	b := open(t, quick(s.addr))
	sinks := make([]*sink, 3000)
	for i := range sinks {
		sinks[i] = subscribe(t, b, fmt.Sprint("c", i))
	}
	for i, in := range sinks {
		eventually(t, fmt.Sprint("channel ", i, " is live"), in.live)
		b.Publish(fmt.Sprint("c", i), []byte("x"), "", func(hub.Position, error) {})
	}
	for i, in := range sinks {
		eventually(t, fmt.Sprint("channel ", i, " has its message"), func() bool { return in.count() == 1 })
	}
	if got := strings.Count(s.do("CLIENT", "LIST"), "name=fairlead"); got != 2 {
		t.Errorf("%d connections, want one for commands and one for pub/sub", got)
	}
}

func TestAnIdempotencyKeyGivesTheFirstPositionAgain(t *testing.T) {
	s := start(t)
	a, b := open(t, quick(s.addr)), open(t, quick(s.addr))
	in := follow(t, a, "lobby")
	first, err := publish(t, a, "lobby", "once", "key 1")
	if err != nil {
		t.Fatal(err)
	}
	mustPublish(t, a, "lobby", "between")
	again, err := publish(t, b, "lobby", "once", "key 1")
	if err != nil || again != first {
		t.Errorf("got %v, %v; want %v", again, err, first)
	}
	other, err := publish(t, b, "lobby", "other", "key 2")
	if err != nil || other.Offset != 3 {
		t.Errorf("got %v, %v; want offset 3", other, err)
	}
	eventually(t, "three messages came", func() bool { return in.count() == 3 })
	if got := in.got(); !slices.Equal(got, []string{"once", "between", "other"}) {
		t.Errorf("got %q", got)
	}
	if ttl := s.do("PTTL", "fairlead:{lobby}:k:key 1"); len(ttl) != 6 { // 299…: five minutes
		t.Errorf("the key lives %s ms", ttl)
	}
}

func TestPayloadsOfEveryKindArriveUnchanged(t *testing.T) {
	s := start(t)
	b := open(t, quick(s.addr))
	in := follow(t, b, "lobby")
	want := []string{"", " ", "\x00\r\n", "1,2 3", strings.Repeat("é", 40000), "{}", "fairlead:{lobby}"}
	var wg sync.WaitGroup
	for _, text := range want {
		wg.Add(1)
		b.Publish("lobby", []byte(text), "", func(_ hub.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	eventually(t, "all came", func() bool { return in.count() == len(want) })
	if got := in.got(); !slices.Equal(got, want) {
		t.Errorf("got %.200q", got)
	}
	h := past(t, b, "lobby", hub.Position{Epoch: in.position().Epoch})
	if !h.Complete || len(h.Messages) != len(want) {
		t.Fatalf("history: %v, %d messages", h.Complete, len(h.Messages))
	}
	for i, m := range h.Messages {
		if string(m.Payload) != want[i] {
			t.Errorf("history: message %d differs", i)
		}
	}
}

func TestHistoryIsCompleteOrSaysThatItIsNot(t *testing.T) {
	s := start(t)
	o := quick(s.addr)
	o.History.Messages = 300
	b := open(t, o)
	if h := past(t, b, "nobody", hub.Position{}); h.Head.Epoch != "" || h.Complete {
		t.Errorf("a channel that does not exist has %+v", h)
	}
	for i := range 200 {
		mustPublish(t, b, "lobby", fmt.Sprint(i+1))
	}
	head := past(t, b, "lobby", hub.Position{}).Head
	if head.Offset != 200 {
		t.Fatalf("the head is %v", head)
	}
	at := func(offset uint64) hub.Position { return hub.Position{Epoch: head.Epoch, Offset: offset} }
	for _, c := range []struct {
		name     string
		after    hub.Position
		complete bool
		messages int
	}{
		{"from the beginning", at(0), true, 200},
		{"the last two", at(198), true, 2},
		{"from the head", at(200), true, 0},
		{"from beyond the head", at(201), false, 0},
		{"of another epoch", hub.Position{Epoch: "other", Offset: 198}, false, 0},
	} {
		h := past(t, b, "lobby", c.after)
		if h.Complete != c.complete || len(h.Messages) != c.messages || h.Head != head {
			t.Errorf("%s: complete %v, %d messages, head %v", c.name, h.Complete, len(h.Messages), h.Head)
		}
		for i, m := range h.Messages {
			if m.Position.Offset != c.after.Offset+uint64(i)+1 || string(m.Payload) != fmt.Sprint(m.Position.Offset) {
				t.Errorf("%s: message %d is %v %q", c.name, i, m.Position, m.Payload)
			}
		}
	}
	for i := range 400 {
		mustPublish(t, b, "lobby", fmt.Sprint(i+201))
	}
	if h := past(t, b, "lobby", at(200)); h.Complete || len(h.Messages) != 0 || h.Head != at(600) {
		t.Errorf("after trimming: complete %v, %d messages, head %v", h.Complete, len(h.Messages), h.Head)
	}
	if h := past(t, b, "lobby", at(350)); !h.Complete || len(h.Messages) != 250 {
		t.Errorf("within the window: complete %v, %d messages", h.Complete, len(h.Messages))
	}
}

func TestTheWindowIsBoundedByBytesAndByAge(t *testing.T) {
	s := start(t)
	o := quick(s.addr)
	o.History.Bytes, o.History.Age = 64<<10, time.Second
	b := open(t, o)
	text := strings.Repeat("x", 4096)
	for range 200 {
		mustPublish(t, b, "big", text)
	}
	var n int
	fmt.Sscan(s.do("XLEN", "fairlead:{big}:s"), &n)
	if n < 16 || n > 20 {
		t.Errorf("the stream has %d messages of 4 KiB, want 16 to 18 or so", n)
	}
	eventually(t, "an abandoned stream is gone", func() bool {
		return s.do("EXISTS", "fairlead:{big}:s", "fairlead:{big}:t") == "0"
	})
	if s.do("EXISTS", "fairlead:{big}") != "1" {
		t.Error("and the epoch with it")
	}
	if at := mustPublish(t, b, "big", "next"); at.Offset != 201 {
		t.Errorf("the next message is %v", at)
	}

	// While messages go on coming, age alone trims.
	var before hub.Position
	deadline := time.Now().Add(3 * time.Second)
	for i := 0; time.Now().Before(deadline); i++ {
		at := mustPublish(t, b, "old", "x")
		if i == 0 {
			before = at
		}
	}
	if h := past(t, b, "old", before); h.Complete {
		t.Errorf("a message of 3 s ago is still there, with a window of 1 s; %d messages", len(h.Messages))
	}
	if first := s.do("XINFO", "STREAM", "fairlead:{old}:s"); strings.Contains(first, "first-entry:[1-0") {
		t.Errorf("nothing was trimmed: %s", first)
	}
}
