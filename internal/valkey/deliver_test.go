package valkey

import (
	"fmt"
	"slices"
	"testing"

	"fairlead/internal/hub"
)

// noteSink writes down what it hears.
type noteSink struct{ heard []string }

func (s *noteSink) Live(head hub.Position) { s.heard = append(s.heard, "live "+head.String()) }
func (s *noteSink) Down(error)             { s.heard = append(s.heard, "down") }
func (s *noteSink) Receive(m hub.Message) error {
	s.heard = append(s.heard, m.Position.String()+"="+string(m.Payload))
	return nil
}

// standing makes a shard and a subscription whose sink has reached at, by a message "x" if it has received any.
func standing(at hub.Position) (*shard, *subscription, *noteSink) {
	s := &shard{b: &Broker{refreshC: make(chan struct{}, 1)}, live: make(map[string]*subscription), want: make(map[string]*subscription)}
	sink := &noteSink{}
	sub := &subscription{topic: "t", sink: sink, at: at}
	if at.Offset > 0 {
		sub.sum, sub.summed = sumOf("x"), true
	}
	sub.owner.Store(s)
	s.live["t"], s.want["t"] = sub, sub
	return s, sub, sink
}

func seen(from, head string, entries ...string) view {
	v := view{}
	v.from, _ = hub.ParsePosition(from)
	v.head, _ = hub.ParsePosition(head)
	for _, e := range entries {
		var one entry
		fmt.Sscanf(e, "%d=%s", &one.offset, &one.payload)
		v.entries = append(v.entries, one)
	}
	return v
}

func TestWhatTheStreamSaysIsJoinedOnOrBreaks(t *testing.T) {
	for name, c := range map[string]struct {
		at    string // "" is a new subscription
		owed  bool
		view  view
		heard []string
		more  bool
	}{
		"a new subscription begins at the head":  {"", true, seen("", "e:7"), []string{"live e:7"}, false},
		"after an interruption nothing was lost": {"e:7", true, seen("e:7", "e:7", "7=x"), []string{"live e:7"}, false},
		"without one the sink is not told":       {"e:7", false, seen("e:7", "e:7", "7=x"), nil, false},
		"a gap is filled":                        {"e:7", false, seen("e:7", "e:9", "7=x", "8=a", "9=b"), []string{"e:8=a", "e:9=b"}, false},
		"and the sink is told after it":          {"e:7", true, seen("e:7", "e:8", "7=x", "8=a"), []string{"e:8=a", "live e:8"}, false},
		"a gap of which the first was trimmed":   {"e:7", false, seen("e:7", "e:9", "9=b"), []string{"live e:9"}, false},
		"one of which all were trimmed":          {"e:7", false, seen("e:7", "e:9"), []string{"live e:9"}, false},
		"the own message was trimmed":            {"e:7", false, seen("e:7", "e:8", "8=a"), []string{"e:8=a"}, false},
		"a hole within":                          {"e:7", false, seen("e:7", "e:10", "7=x", "8=a", "10=c"), []string{"e:8=a", "live e:10"}, false},
		"another epoch, which is young":          {"e:7", false, seen("e:7", "f:9"), []string{"live f:0"}, true},
		"another epoch, which is not":            {"e:7", false, seen("e:7", "f:9999"), []string{"live f:9999"}, false},
		"more than one answer holds":             {"e:7", true, seen("e:7", "e:99", "7=x", "8=a"), []string{"e:8=a"}, true},
		"from the very beginning":                {"e:0", false, seen("e:0", "e:2", "1=a", "2=b"), []string{"e:1=a", "e:2=b"}, false},
		"an older view says nothing":             {"e:9", false, seen("e:7", "e:9", "7=x", "8=a", "9=b"), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			at, _ := hub.ParsePosition(c.at)
			s, sub, sink := standing(at)
			sub.owed, sub.behind = c.owed, true
			more := s.join(nil, sub, c.view)
			if !slices.Equal(sink.heard, c.heard) || more != c.more {
				t.Errorf("heard %q, more %v", sink.heard, more)
			}
			if sub.behind != c.more {
				t.Errorf("behind is %v", sub.behind)
			}
		})
	}
}

func TestWhatPubSubBringsIsDeliveredOnceAndInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		texts  []string
		heard  []string
		behind bool
	}{
		"the next":                     {[]string{"e:8 1 a", "e:9 1 b"}, []string{"e:8=a", "e:9=b"}, false},
		"some together":                {[]string{"e:8 1,1,2 abcc"}, []string{"e:8=a", "e:9=b", "e:10=cc"}, false},
		"what was delivered already":   {[]string{"e:6 1,1 wx", "e:8 1 a"}, []string{"e:8=a"}, false},
		"some of which were delivered": {[]string{"e:7 1,1 xa"}, []string{"e:8=a"}, false},
		"a gap":                        {[]string{"e:9 1 b", "e:10 1 c"}, nil, true},
		"another epoch":                {[]string{"f:8 1 a"}, nil, true},
		"nothing that can be read":     {[]string{"hello", ""}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, sub, sink := standing(hub.Position{Epoch: "e", Offset: 7})
			for _, text := range c.texts {
				s.message(sub, text)
			}
			if !slices.Equal(sink.heard, c.heard) || sub.behind != c.behind {
				t.Errorf("heard %q, behind %v", sink.heard, sub.behind)
			}
		})
	}
}

func TestComparedHeadsTellALossFromAMessageOnItsWay(t *testing.T) {
	s, sub, _ := standing(hub.Position{Epoch: "e", Offset: 7})
	e := func(text string, before uint64) *event {
		return &event{kind: evHead, topic: "t", text: text, sub: sub, before: hub.Position{Epoch: "e", Offset: before}}
	}
	check := func(name string, want, got bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: behind is %v", name, got)
		}
		sub.behind = false
	}
	check("the same", false, s.head(sub, e("e 7 0 0 0", 7)))
	check("one that may be on its way", false, s.head(sub, e("e 8 0 0 0", 7)))
	sub.at.Offset = 8
	check("it came", false, s.head(sub, e("e 9 0 0 0", 8)))
	check("the next did not", true, s.head(sub, e("e 9 0 0 0", 8)))
	sub.suspect = hub.Position{}
	check("an answer older than what was delivered since", false, s.head(sub, e("e 8 0 0 0", 7)))
	check("less than was delivered when it was asked for", true, s.head(sub, e("e 7 0 0 0", 8)))
	check("no meta", true, s.head(sub, e("", 8)))
	check("another epoch", true, s.head(sub, e("f 8 0 0 0", 8)))
	sub.at = hub.Position{Epoch: "g", Offset: 1}
	check("asked for in an epoch that is over", false, s.head(sub, e("e 9 0 0 0", 8)))
}

func TestAShardThatIsNotTheOwnerAnyMoreStaysSilent(t *testing.T) {
	s, sub, sink := standing(hub.Position{Epoch: "e", Offset: 7})
	sub.owner.Store(new(shard))
	s.message(sub, "e:8 1 a")
	s.join(nil, sub, seen("e:7", "e:8", "7=x", "8=a"))
	sub.lose(s, errNoOwner)
	if sink.heard != nil {
		t.Errorf("heard %q", sink.heard)
	}
}

func TestDownIsToldOnceAndLiveAfterIt(t *testing.T) {
	s, sub, sink := standing(hub.Position{Epoch: "e", Offset: 7})
	sub.lose(s, errNoOwner)
	sub.lose(s, errNoOwner)
	s.join(nil, sub, seen("e:7", "e:7", "7=x"))
	sub.lose(s, errNoOwner)
	if want := []string{"down", "live e:7", "down"}; !slices.Equal(sink.heard, want) {
		t.Errorf("heard %q", sink.heard)
	}
}
