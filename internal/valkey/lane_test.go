package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"fairlead/internal/hub"
)

func batchOf(texts ...string) []item {
	var batch []item
	for _, text := range texts {
		channel, key, _ := strings.Cut(text, "#")
		batch = append(batch, item{channel: channel, key: key, payload: []byte("x")})
	}
	return batch
}

func TestMessagesOfAChannelShareACallAndKeepTheirOrder(t *testing.T) {
	b := &Broker{o: Options{Prefix: "p:"}}
	batch := batchOf("a", "b", "a", "a#key", "a", "a", "b", "a#key2", "a#key3")
	var got []string
	for _, c := range b.together(batch) {
		text := c.topic
		for _, it := range c.items {
			for i := range batch {
				if it == &batch[i] {
					text += fmt.Sprint(" ", i)
				}
			}
		}
		got = append(got, text)
	}
	want := "p:{a} 0 2|p:{b} 1 6|p:{a} 3|p:{a} 4 5|p:{a} 7|p:{a} 8"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}

	many := make([]item, maxTogether+1)
	for i := range many {
		many[i].channel = "a"
	}
	if calls := b.together(many); len(calls) != 2 || len(calls[0].items) != maxTogether {
		t.Errorf("%d messages make %d calls", len(many), len(calls))
	}
	large := []item{{channel: "a", payload: make([]byte, maxTogetherBytes)}, {channel: "a", payload: []byte("x")}}
	if calls := b.together(large); len(calls) != 2 {
		t.Errorf("a full call took one more")
	}
}

var errPlain = errors.New("made by the test")

func TestWhatALaterCallHasOvertakenIsNotSentAgain(t *testing.T) {
	b := &Broker{refreshC: make(chan struct{}, 1)}
	again, lost := reply("NOSCRIPT no such script"), errPlain
	calls := []*call{
		{topic: "a", err: again}, {topic: "b", err: again}, {topic: "a", err: again}, {topic: "b"}, {topic: "c", err: again}, {topic: "c", err: lost},
	}
	got, pause := b.unexecuted(calls)
	if len(got) != 2 || got[0] != calls[0] || got[1] != calls[2] || pause {
		t.Errorf("got %d calls, pause %v", len(got), pause)
	}
	if _, pause = b.unexecuted([]*call{{topic: "a", err: reply("MOVED 1 x:1")}}); !pause || len(b.refreshC) != 1 {
		t.Error("a slot that moved asks for no refresh")
	}
}

func TestALaneTakesBatchesThatAreBounded(t *testing.T) {
	l := &lane{ready: make(chan struct{}, 1)}
	for i := range maxBatch + 10 {
		l.put(item{channel: fmt.Sprint(i)})
	}
	l.put(item{payload: make([]byte, maxBatchBytes+1)})
	l.put(item{payload: []byte("x")})
	for _, want := range []int{maxBatch, 10, 1, 1, 0} {
		// The large message does not fit behind the ten, and nothing fits behind it.
		if got := l.take(nil); len(got) != want {
			t.Fatalf("took %d, want %d", len(got), want)
		}
	}
}

func TestRoomIsWaitedForAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := room{limit: 100}
		never := make(chan struct{})
		if !r.enter(1000, time.Second, never) {
			t.Fatal("what is larger than all must fit alone")
		}
		began := time.Now()
		if r.enter(1, time.Second, never) || time.Since(began) != time.Second {
			t.Errorf("gave up after %v", time.Since(began))
		}
		entered := make(chan bool)
		go func() { entered <- r.enter(50, time.Second, never) }()
		synctest.Wait()
		r.leave(1000)
		if !<-entered {
			t.Error("did not enter when there was room")
		}
		closed := make(chan struct{})
		close(closed)
		if r.enter(60, time.Hour, closed) {
			t.Error("entered after the end")
		}
	})
}

func TestTheInboxStopsItsReaderWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		q := newInbox(100, done)
		q.put(event{topic: "1"}, 80)
		put := 0
		go func() {
			for range 2 {
				q.put(event{topic: "2"}, 80)
				put++
			}
		}()
		synctest.Wait()
		if put != 0 {
			t.Error("more than the limit was put")
		}
		q.put(event{topic: "free"}, 0) // costs nothing, so it does not wait
		if got := q.take(nil); len(got) != 2 {
			t.Errorf("took %d", len(got))
		}
		synctest.Wait()
		if put != 1 {
			t.Errorf("%d were put after one was taken", put)
		}
		close(done)
		synctest.Wait()
		if put != 2 {
			t.Error("the reader still waits at the end")
		}
	})
}

func TestBackoffIsRandomAndBounded(t *testing.T) {
	for failures := range 40 {
		limit := minBackoff << min(failures, 10)
		seen := make(map[time.Duration]bool)
		for range 100 {
			d := backoff(failures, 2*time.Second)
			if d <= 0 || d > limit || d > 2*time.Second {
				t.Fatalf("%v after %d failures", d, failures)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("%d different waits in 100", len(seen))
		}
	}
}

func TestErrorsSayWhatHappenedAndAreUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		cause Cause
		words string
	}{
		"refused":      {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, CauseRefused, "connection refused"},
		"name":         {&net.DNSError{Err: "no such host", Name: "cache"}, CauseRefused, "name was not found"},
		"deadline":     {context.DeadlineExceeded, CauseTimeout, "no answer in time"},
		"closing":      {context.Canceled, CauseClosed, "closed"},
		"reset":        {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, CauseLost, "connection failed"},
		"replica":      {reply("READONLY You can't write against a read only replica."), CauseReadonly, "read-only replica"},
		"memory":       {reply("OOM command not allowed when used memory > 'maxmemory'."), CauseMemory, "out of memory"},
		"loading":      {reply("LOADING Redis is loading the dataset in memory"), CauseLoading, "loads its data"},
		"unknown":      {reply("ERR something else"), CauseOther, "something else"},
		"max clients":  {reply("ERR max number of clients reached"), CauseRefused, "maxclients"},
		"cluster down": {reply("CLUSTERDOWN Hash slot not served"), CauseCluster, "cluster is down"},
	} {
		f := explain("cache:6379", c.err)
		if f.cause != c.cause || !strings.Contains(f.Error(), c.words) || !errors.Is(f, hub.ErrUnavailable) {
			t.Errorf("%s: %v, %q", name, f.cause, f)
		}
	}
	for _, c := range Causes() {
		if c.String() == "" {
			t.Errorf("cause %d has no name", c)
		}
	}
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	_, err := New(Options{Hosts: []string{"nowhere"}, Prefix: "a{b}", DB: 1, Cluster: ClusterYes, History: History{Messages: -1}})
	if err == nil {
		t.Fatal("taken")
	}
	for _, part := range []string{"nowhere", "brace", "database 0", "history window"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v says nothing of %s", err, part)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a broker without an address was made")
	}
}
