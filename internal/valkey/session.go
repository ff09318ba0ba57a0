package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vk "github.com/valkey-io/valkey-go"
)

// pingGap is how long a connection may be silent before the client library asks whether it lives; the answer has as long.
const pingGap = 5 * time.Second

// session is one pair of connections to one server, from connecting to the loss of either: one for commands, one for pub/sub. They live
// and die together, so that there is no state in which one half works. A session that was lost is never used again.
type session struct {
	addr   string
	log    *slog.Logger
	ctx    context.Context // ends when the session is lost
	cancel context.CancelFunc
	client vk.Client
	pubsub vk.DedicatedClient
	inbox  *inbox
	up     atomic.Bool // connected; from now on nothing is dialled. Set under mu

	cluster bool // what the server says it is
	replica bool

	// mu guards the following.
	mu      sync.Mutex
	conns   []net.Conn
	err     *failure       // why it was lost
	early   *failure       // why a connection ended before up
	leaving map[string]int // topics whose unsubscription was asked for and is not confirmed, and how often
}

// connect makes a session with the server at addr.
func (b *Broker) connect(ctx context.Context, addr string) (*session, error) {
	s := &session{addr: addr, log: b.o.Log}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.inbox = newInbox(b.o.MaxInbox, s.ctx.Done())
	stop := context.AfterFunc(ctx, func() { s.fail(errBrokerClosed) })
	err := s.dial(b)
	if err == nil {
		err = s.ask(b.o.Timeout)
	}
	stop()
	if err == nil {
		err = s.begin()
	}
	if err == nil && ctx.Err() != nil {
		err = errBrokerClosed
	}
	if err != nil {
		f := explain(addr, err)
		s.fail(f)
		s.close()
		return nil, s.reason()
	}
	return s, nil
}

// begin ends connecting.
func (s *session) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up.Store(true)
	if s.early != nil {
		return s.early
	}
	return nil
}

// ended says that a connection ended. While connecting, the error that the library returns says more: it closes what was refused.
func (s *session) ended(f *failure) {
	s.mu.Lock()
	connecting := !s.up.Load()
	if connecting && s.early == nil {
		s.early = f
	}
	s.mu.Unlock()
	if !connecting {
		s.fail(f)
	}
}

func (s *session) dial(b *Broker) error {
	o := vk.ClientOption{
		InitAddress:       []string{s.addr},
		ForceSingleClient: true,
		Username:          b.o.User,
		Password:          b.o.Password,
		SelectDB:          b.o.DB,
		TLSConfig:         b.o.TLS,
		Dialer:            net.Dialer{Timeout: b.o.Timeout, KeepAlive: pingGap},
		DialCtxFn:         s.dialConn,
		ConnWriteTimeout:  pingGap,
		PipelineMultiplex: -1, // one connection: two would not keep order
		BlockingPipeline:  -1, // whatever the size of a batch, it goes through that one
		AlwaysPipelining:  true,
		DisableCache:      true,
		DisableRetry:      true,
		ClientName:        "fairlead",
		ClientSetInfo:     vk.DisableClientSetInfo,
	}
	if b.credentials != nil {
		o.AuthCredentialsFn = b.credentials.forSession(s)
	}
	client, err := vk.NewClient(o)
	s.client = client
	if err != nil {
		return err
	}
	var release func()
	s.pubsub, release = client.Dedicate()
	_ = release // it would put the connection back for others to use: close ends it
	s.pubsub.SetPubSubHooks(vk.PubSubHooks{OnMessage: s.message, OnSubscription: s.subscription})
	return nil
}

// ask learns what the server is, and that both connections work.
func (s *session) ask(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	hello, err := s.client.Do(ctx, s.client.B().Arbitrary("HELLO", "3").Build()).AsMap()
	if err != nil {
		return err
	}
	mode, role := hello["mode"], hello["role"]
	text, _ := mode.ToString()
	s.cluster = text == "cluster"
	text, _ = role.ToString()
	s.replica = text == "replica" || text == "slave"
	return s.pubsub.Do(ctx, s.pubsub.B().Ping().Build()).Error()
}

// dialConn makes a connection whose end is the session's end. The client library would dial again on its own: once the session is up
// that is refused, since what happens then is the shard's decision.
func (s *session) dialConn(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	if s.up.Load() || s.ctx.Err() != nil {
		return nil, s.reason()
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		if config.ServerName == "" {
			config = config.Clone()
			config.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	w := &watched{conn, s}
	s.mu.Lock()
	lost := s.err != nil
	if !lost {
		s.conns = append(s.conns, conn)
	}
	s.mu.Unlock()
	if lost {
		conn.Close()
		return nil, s.reason()
	}
	return w, nil
}

// watched tells the session when the connection ends, from whichever side.
type watched struct {
	net.Conn
	s *session
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.s.ended(explain(w.s.addr, err))
	}
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.s.ended(explain(w.s.addr, err))
	}
	return n, err
}

// Close is called by the client library alone: after its ping found no answer, or when AUTH was refused.
func (w *watched) Close() error {
	w.s.ended(&failure{CauseTimeout, fmt.Sprintf("broker %s: the connection is dead or was refused", w.s.addr), nil})
	return w.Conn.Close()
}

// fail ends the session. The first reason stays.
func (s *session) fail(f *failure) {
	s.mu.Lock()
	if s.err == nil {
		s.err = f
	}
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	s.cancel()
	for _, c := range conns {
		// Without the deadline, closing TLS would wait for a peer that reads.
		_ = c.SetDeadline(time.Now())
		_ = c.Close()
	}
}

// reason is why the session was lost.
func (s *session) reason() *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return errUnknownYet
	}
	return s.err
}

// close frees what the client library holds. The session has failed.
func (s *session) close() {
	if s.pubsub != nil {
		s.pubsub.Close()
	}
	if s.client != nil {
		s.client.Close()
	}
}

// do runs commands in one write. An answer that does not come ends the session; the error of a single command is the caller's.
func (s *session) do(timeout time.Duration, c vk.CoreClient, commands ...vk.Completed) []vk.ValkeyResult {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	results := c.DoMulti(ctx, commands...)
	for _, r := range results {
		if err := r.NonValkeyError(); err != nil && !vk.IsValkeyNil(err) {
			s.fail(explain(s.addr, errors.Join(err, ctx.Err())))
			break
		}
	}
	return results
}

// message runs in the library's reading goroutine; that it waits when the inbox is full is how reading stops.
func (s *session) message(m vk.PubSubMessage) {
	s.inbox.put(event{kind: evMessage, topic: m.Channel, text: m.Message}, len(m.Message)+overhead)
}

// subscription tells apart what was asked for and what the server did on its own: it drops subscriptions whose slot has left.
func (s *session) subscription(n vk.PubSubSubscription) {
	if !strings.HasSuffix(n.Kind, "unsubscribe") {
		return
	}
	s.mu.Lock()
	asked := s.leaving[n.Channel]
	switch {
	case asked > 1:
		s.leaving[n.Channel]--
	case asked == 1:
		delete(s.leaving, n.Channel)
	}
	s.mu.Unlock()
	if asked == 0 {
		s.inbox.put(event{kind: evDropped, topic: n.Channel}, 0)
	}
}

// leave notes that topics are about to be unsubscribed from.
func (s *session) leave(topics []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving == nil {
		s.leaving = make(map[string]int)
	}
	for _, topic := range topics {
		s.leaving[topic]++
	}
}
