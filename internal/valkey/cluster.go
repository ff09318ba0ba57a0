package valkey

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	vk "github.com/valkey-io/valkey-go"
)

const (
	// refreshEvery is how often the cluster is asked for its slots without a reason: a backstop.
	refreshEvery = 30 * time.Second
	// refreshGap is the least time between two questions, whatever the reasons.
	refreshGap = 100 * time.Millisecond
)

// table says which shard has which slot. It does not change once it is in use.
type table struct {
	cluster bool
	shards  map[string]*shard // by address
	single  *shard            // unless cluster
	owner   []*shard          // by slot, if cluster; nil: nobody has it
}

func (t *table) shardOf(channel string) *shard {
	if !t.cluster {
		return t.single
	}
	return t.owner[slotOf(channel)]
}

var errNoOwner = &failure{CauseCluster, "the broker's cluster has no server for the channel's slot", nil}

// run finds out what the server is, and then, if it is a cluster, keeps up with it.
func (b *Broker) run() {
	if b.o.Cluster == ClusterNo {
		b.useSingle()
		return
	}
	for failures, host := 0, 0; b.ctx.Err() == nil; failures++ {
		addr := b.o.Hosts[host%len(b.o.Hosts)]
		ranges, cluster, err := b.discover(addr)
		if err == nil && cluster {
			b.use(ranges)
			b.keepUp()
			return
		}
		if err == nil {
			b.useSingle()
			return
		}
		host++
		b.unknown(explain(addr, err))
		b.pauseUnknown(backoff(failures, b.o.MaxBackoff))
	}
	b.unknown(errBrokerClosed)
}

// unknown notes why it is not known what the server is, and tells the sinks.
func (b *Broker) unknown(why *failure) {
	old := b.last.Swap(why)
	if old == nil {
		close(b.first)
	}
	if b.ctx.Err() != nil {
		return
	}
	if old == nil || old.words != why.words {
		b.o.Log.Warn("no connection to the broker; trying again", "error", why)
	}
	b.tellUnknown()
}

func (b *Broker) tellUnknown() {
	b.mu.Lock()
	subs := make([]*subscription, 0, len(b.subs))
	for _, sub := range b.subs {
		subs = append(subs, sub)
	}
	b.mu.Unlock()
	for _, sub := range subs {
		sub.lose(nil, b.last.Load())
	}
}

func (b *Broker) pauseUnknown(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-b.ctx.Done():
			return
		case <-b.changed:
			b.tellUnknown()
		}
	}
}

// discover asks one server what it is.
func (b *Broker) discover(addr string) (ranges []slotRange, cluster bool, err error) {
	s, err := b.connect(b.ctx, addr)
	if err != nil {
		return nil, false, err
	}
	defer s.close()
	defer s.fail(errBrokerClosed)
	switch {
	case !s.cluster && b.o.Cluster == ClusterYes:
		return nil, false, &failure{CauseCluster, "broker " + addr + ": it is not a cluster, and ?cluster=yes says so", nil}
	case !s.cluster:
		return nil, false, nil
	}
	ranges, err = b.askSlots(s)
	return ranges, true, err
}

func (b *Broker) useSingle() {
	s := b.newShard(b.o.Hosts)
	b.install(&table{single: s, shards: map[string]*shard{"": s}})
	b.spawn(s.run, nil)
}

// use makes a table of what the cluster says, and moves subscriptions whose slot has another server now.
func (b *Broker) use(ranges []slotRange) {
	old := b.table.Load()
	t := &table{cluster: true, shards: make(map[string]*shard), owner: make([]*shard, slots)}
	var begun []*shard
	for _, r := range ranges {
		s := t.shards[r.addr]
		if s == nil && old != nil {
			s = old.shards[r.addr]
		}
		if s == nil {
			s = b.newShard([]string{r.addr})
			begun = append(begun, s)
		}
		t.shards[r.addr] = s
		for slot := r.from; slot <= r.to; slot++ {
			t.owner[slot] = s
		}
	}
	b.install(t)
	for _, s := range begun {
		b.spawn(s.run, nil)
	}
	if old == nil {
		return
	}
	for addr, s := range old.shards {
		if t.shards[addr] == nil {
			s.stop()
		}
	}
}

// install puts a table to use. Subscriptions are moved without b.mu, since their locks are held while a hub's channel is full.
func (b *Broker) install(t *table) {
	b.mu.Lock()
	b.table.Store(t)
	subs := make([]*subscription, 0, len(b.subs))
	for _, sub := range b.subs {
		subs = append(subs, sub)
	}
	b.mu.Unlock()
	if b.last.Swap(errUnknownYet) == nil {
		close(b.first)
	}
	for _, sub := range subs {
		next := t.shardOf(sub.channel)
		old := sub.owner.Load()
		if old == next {
			continue
		}
		sub.mu.Lock()
		sub.owner.Store(next)
		sub.mu.Unlock()
		if old != nil {
			old.remove(sub)
		}
		if next != nil {
			next.add(sub)
		} else {
			sub.lose(nil, errNoOwner)
		}
	}
}

// refresh asks for a look at the cluster's slots. It does not wait.
func (b *Broker) refresh() {
	select {
	case b.refreshC <- struct{}{}:
	default:
	}
}

// keepUp follows the cluster until the broker is closed.
func (b *Broker) keepUp() {
	for b.ctx.Err() == nil {
		timer := time.NewTimer(jitter(refreshEvery))
		select {
		case <-b.refreshC:
		case <-timer.C:
		case <-b.ctx.Done():
		}
		timer.Stop()
		if ranges := b.askAnyone(); ranges != nil {
			b.use(ranges)
		}
		b.wait(b.ctx, refreshGap)
	}
}

// askAnyone asks the servers there are sessions with, then those of the configuration.
func (b *Broker) askAnyone() []slotRange {
	for _, s := range b.table.Load().shards {
		if session := s.session.Load(); session != nil {
			if ranges, err := b.askSlots(session); err == nil {
				return ranges
			}
		}
	}
	for _, host := range b.o.Hosts {
		if b.ctx.Err() != nil {
			return nil
		}
		if ranges, cluster, err := b.discover(host); err == nil && cluster {
			return ranges
		}
	}
	return nil
}

// slotRange is a stretch of slots and its primary.
type slotRange struct {
	from, to int
	addr     string
}

var errSlots = errors.New("CLUSTER SLOTS gives an answer that cannot be read")

// askSlots reads the slots. CLUSTER SHARDS is newer, and wrong after a failover in Redis 7.0.
func (b *Broker) askSlots(s *session) ([]slotRange, error) {
	r := s.do(b.o.Timeout, s.client, s.client.B().ClusterSlots().Build())[0]
	rows, err := r.ToArray()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNoOwner
	}
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	ranges := make([]slotRange, 0, len(rows))
	for i := range rows {
		one, ok := parseSlots(&rows[i], host, port)
		if !ok {
			return nil, errSlots
		}
		ranges = append(ranges, one)
	}
	slices.SortFunc(ranges, func(a, b slotRange) int { return a.from - b.from })
	return ranges, nil
}

// parseSlots reads [from, to, [host, port, …], replicas…]. A host that the server does not know of itself is the one we asked.
func parseSlots(row *vk.ValkeyMessage, asked, port string) (r slotRange, ok bool) {
	parts, err := row.ToArray()
	if err != nil || len(parts) < 3 {
		return r, false
	}
	from, err1 := parts[0].AsInt64()
	to, err2 := parts[1].AsInt64()
	node, err3 := parts[2].ToArray()
	if err1 != nil || err2 != nil || err3 != nil || len(node) < 2 || from < 0 || to < from || to >= slots {
		return r, false
	}
	host, _ := node[0].ToString()
	if host == "" || host == "?" {
		host = asked
	}
	if n, err := node[1].AsInt64(); err == nil && n > 0 {
		port = strconv.FormatInt(n, 10)
	}
	return slotRange{int(from), int(to), net.JoinHostPort(host, port)}, true
}
