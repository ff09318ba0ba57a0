package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/hub"
)

// Broker implements hub.Broker on Valkey or Redis. Its methods are safe for concurrent use.
type Broker struct {
	o           Options
	nonce       string
	credentials *credentials // nil without Options.Credentials
	plain       scripts      // for a single server
	sharded     scripts      // for a cluster
	lanes       [laneCount]lane
	room        room
	counters    counters
	asks        asks
	local       atomic.Pointer[func(channel string) int]

	ctx      context.Context
	cancel   context.CancelFunc
	table    atomic.Pointer[table]   // nil until it is known whether the server is a cluster
	last     atomic.Pointer[failure] // why table is nil; nil before the first attempt has ended
	first    chan struct{}           // closed when the first attempt has ended, or table is set
	changed  chan struct{}           // has a token if subs changed while table was nil
	refreshC chan struct{}           // has a token if the cluster is to be asked for its slots

	// mu guards the following.
	mu     sync.Mutex
	subs   map[string]*subscription // by topic
	closed bool
	wg     sync.WaitGroup // of every goroutine; Add under mu and not after closed
}

// New makes a broker and begins to connect, which it goes on trying until Close: a server that is down is no error here. The error is
// about the options.
func New(o Options) (*Broker, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Broker{
		o:        o,
		nonce:    newNonce(),
		plain:    newScripts(o.History, false),
		sharded:  newScripts(o.History, true),
		room:     room{limit: o.MaxWaiting},
		first:    make(chan struct{}),
		changed:  make(chan struct{}, 1),
		refreshC: make(chan struct{}, 1),
		subs:     make(map[string]*subscription),
	}
	if o.Credentials != nil {
		b.credentials = &credentials{ask: o.Credentials, timeout: o.Timeout}
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	for i := range b.lanes {
		b.lanes[i] = lane{b: b, ready: make(chan struct{}, 1)}
	}
	b.asks.init(b)
	b.spawn(b.run, nil)
	return b, nil
}

func (o *Options) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(o.Hosts) == 0 {
		fault("no address of a broker was given")
	}
	for _, host := range o.Hosts {
		if _, _, err := net.SplitHostPort(host); err != nil {
			fault("broker address %q: write host:port", host)
		}
	}
	if strings.ContainsAny(o.Prefix, "{}") {
		fault("the prefix %q has a brace, which would take the place of the channel's hash tag", o.Prefix)
	}
	if o.DB != 0 && o.Cluster == ClusterYes {
		fault("a cluster has only database 0, and %d was asked for", o.DB)
	}
	if o.History.Messages < 1 || o.History.Bytes < 1 || o.History.Age < time.Second || o.History.Age > 366*24*time.Hour {
		fault("the history window of %+v is none, or is longer than a year", o.History)
	}
	return errors.Join(faults...)
}

// SetLocal says how many subscribers a channel has in this task, for Count of any task. f must not wait. Until it is set they are 0.
func (b *Broker) SetLocal(f func(channel string) int) { b.local.Store(&f) }

// Close ends every connection. Messages under way are answered with an error, and sinks are not called any more when it returns.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
}

// spawn runs f in a goroutine that Close waits for; or instead, after Close, does what otherwise says.
func (b *Broker) spawn(f, otherwise func()) {
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.wg.Add(1)
	}
	b.mu.Unlock()
	if closed {
		if otherwise != nil {
			otherwise()
		}
		return
	}
	go func() {
		defer b.wg.Done()
		f()
	}()
}

func (b *Broker) topic(channel string) string { return b.o.Prefix + "{" + channel + "}" }

func (b *Broker) scripts() *scripts {
	if t := b.table.Load(); t != nil && t.cluster {
		return &b.sharded
	}
	return &b.plain
}

// Subscribe implements hub.Broker.
func (b *Broker) Subscribe(channel string, s hub.Sink) {
	b.subscribe(&subscription{topic: b.topic(channel), channel: channel, sink: s, owed: true})
}

func (b *Broker) subscribe(sub *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[sub.topic] = sub
	t := b.table.Load()
	if t == nil {
		select {
		case b.changed <- struct{}{}:
		default:
		}
		return
	}
	shard := t.shardOf(sub.channel)
	sub.owner.Store(shard)
	if shard != nil {
		shard.add(sub)
	} else {
		b.refresh()
	}
}

// Unsubscribe implements hub.Broker.
func (b *Broker) Unsubscribe(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	topic := b.topic(channel)
	sub := b.subs[topic]
	if sub == nil {
		return
	}
	delete(b.subs, topic)
	sub.gone.Store(true)
	if shard := sub.owner.Load(); shard != nil {
		shard.remove(sub)
	}
}

// sessionFor is the session with the server that has the channel. While the first attempt to connect is under way it waits for that.
// Without a session it says why there is none.
func (b *Broker) sessionFor(ctx context.Context, channel string) (*session, error) {
	if err := b.await(ctx, b.first); err != nil {
		return nil, err
	}
	t := b.table.Load()
	if t == nil {
		return nil, b.last.Load()
	}
	shard := t.shardOf(channel)
	if shard == nil {
		b.refresh()
		return nil, errNoOwner
	}
	if err := b.await(ctx, shard.first); err != nil {
		return nil, err
	}
	if s := shard.session.Load(); s != nil {
		return s, nil
	}
	return nil, shard.last.Load()
}

// await waits for c, for Options.Timeout at most.
func (b *Broker) await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	default:
	}
	timer := time.NewTimer(b.o.Timeout)
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-timer.C:
		return errUnknownYet
	case <-ctx.Done():
		return ctx.Err()
	case <-b.ctx.Done():
		return errBrokerClosed
	}
}

// wait waits for d, and reports whether nothing ended it.
func (b *Broker) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-b.ctx.Done():
	}
	return false
}
