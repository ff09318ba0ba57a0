package hub

// Member is a subscriber's place in its channel. Embed it by value in the session, so that joining allocates nothing; it has 32
// bytes. The zero value is in no channel. A Member must not be copied.
//
// A Member that left may join again once no pass that had begun before the Leave is still running; as nothing tells when that
// is, a session that wants to change channels should use a fresh Member. Join panics if it can tell that it is too early.
type Member struct {
	_  noCopy
	in *channel   // set by Join and kept after Leave
	to Subscriber // set by Join; passes read it without a lock
	// place and where are guarded by in.mu.
	place int32 // index in in.members, or in work.joining, as where says
	form  Form  // set by Join; passes read it without a lock
	where where
	// resumable is set by Join: continuity was promised to m.
	resumable bool
}

// Channel is the name of the channel that m joined last, and stays so after Leave; empty before the first Join. The session need
// not keep the name a second time. It must not be called while another goroutine calls Join with m.
func (m *Member) Channel() string {
	if m.in == nil {
		return ""
	}
	return m.in.name
}

// where says which list of its channel a Member is in.
type where uint8

const (
	out     where = iota // none
	joined               // channel.members
	joining              // work.joining: waits for the pass that it is not part of
	ahead                // past.ahead: has more than the channel
	late                 // work.late: the pass under way hands it the rest of a batch
	leaving              // channel.members and work.leaving: goes when the pass under way ends
	gone                 // work.late still, but has left
)

// noCopy makes go vet complain about copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// free reports whether m is in no list of a channel.
func (m *Member) free() bool {
	c := m.in
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.where == out
}
