package valkey

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"fairlead/internal/hub"
)

// subscription is one hub subscription, or one topic of the control channel. It moves between shards when its slot does.
type subscription struct {
	topic   string // the pub/sub channel, which is also the meta's key
	channel string
	sink    hub.Sink          // nil for a control topic
	control func(text string) // takes the messages of a control topic; must not wait

	gone  atomic.Bool // unsubscribed, or its hub is closed
	owner atomic.Pointer[shard]

	// mu guards the following, and is held around the sink's calls. A shard looks whether it is still the owner after locking, and a
	// move locks to change the owner, so that the sink never hears two shards at a time.
	mu      sync.Mutex
	at      hub.Position // what the sink has reached; the zero Position before the first Live
	sum     uint64       // of the payload at at, if it was received
	summed  bool
	behind  bool         // pub/sub does not join on to at: the stream is to be read
	owed    bool         // the sink is owed a Live: it is new, or heard Down
	down    bool         // the sink heard Down, and no Live since
	suspect hub.Position // a head beyond at that the last comparison saw; it may have been on its way
}

// seed makes the sums of this process; they are never sent.
var seed = maphash.MakeSeed()

// receive hands one message over. mu is held, and offset follows at.
func (s *subscription) receive(c *counters, offset uint64, payload string) {
	body := []byte(payload)
	s.at.Offset = offset
	s.sum, s.summed = maphash.String(seed, payload), true
	c.received.Add(1)
	if err := s.sink.Receive(hub.Message{Payload: body, Position: s.at}); err != nil {
		s.gone.Store(true) // the hub is closed
	}
}

// live tells the sink where it stands, if it is owed that. mu is held.
func (s *subscription) live() {
	s.behind = false
	if !s.owed {
		return
	}
	s.owed, s.down = false, false
	s.sink.Live(s.at)
}

// restart tells the sink that the next message follows head, whatever was before. mu is held.
func (s *subscription) restart(c *counters, head hub.Position) {
	if !s.at.Zero() {
		c.breaks.Add(1)
	}
	s.at, s.summed, s.suspect = head, false, hub.Position{}
	s.owed = true
	s.live()
}

// lose tells the sink, once, that the broker is not reachable. owner is who thinks so.
func (s *subscription) lose(owner *shard, why *failure) {
	if s.sink == nil || s.gone.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner.Load() != owner || s.down {
		return
	}
	s.owed, s.down = true, true
	s.sink.Down(why)
}
