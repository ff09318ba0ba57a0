package httpapi

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"fairlead/internal/dialect"
	"fairlead/internal/hub"
	"fairlead/internal/telemetry"
	"fairlead/internal/ws"
)

// session is one client: the place where its connection, its channel and the
// dialect meet. There is one for each connection, so every field counts.
type session struct {
	server    *Server
	conn      *ws.Conn
	member    hub.Member
	bucket    bucket
	resumable bool
	joined    atomic.Bool // conn and member are set, for goroutines that find the session by its connection
}

// Deliver implements hub.Subscriber.
func (s *session) Deliver(b *hub.Batch) { s.conn.Write((*ws.Batch)(b)) }

// Lost implements hub.Subscriber: what the client has is whole up to here, and
// only a new connection can prove what follows.
func (s *session) Lost() { s.sendAway(s.conn, ws.CloseTryAgainLater, dialect.RestartReason) }

// returnWithin is over how long those who are asked to leave at one moment are
// told to come back.
const returnWithin = time.Second

// sendAway asks the client to come back: a resumable one by a hint, then by the
// close.
func (s *session) sendAway(c *ws.Conn, code ws.StatusCode, reason string) {
	if s.resumable {
		c.WriteMessage(ws.OpText, dialect.AppendReconnect(nil, rand.N(returnWithin)))
	}
	c.Close(code, reason)
}

// close calls last, which closes, behind every message that had reached the
// channel: nobody may miss what others got before.
func (s *session) close(last func()) {
	if !s.joined.Load() {
		last()
		return
	}
	s.server.hub.After(&s.member, last)
}

// Message implements ws.Handler: the way in, dialect to hub.
func (s *session) Message(_ *ws.Conn, _ ws.Opcode, payload []byte) {
	switch s.bucket.take(&s.server.allowance, s.server.uptime()) {
	case refused:
		s.refuse(dialect.RateLimited, s.server.rateText)
		return
	case banned:
		s.server.metrics.MessageRefused(telemetry.ErrorRateLimited)
		s.close(func() { s.conn.Close(ws.ClosePolicyViolation, "Rate limit ignored: send more slowly") })
		return
	}
	x, err := dialect.Compact(payload)
	if err != nil {
		var e *dialect.Error
		errors.As(err, &e) // Compact returns nothing else
		s.refuse(e.Code, e.Message)
		return
	}
	s.server.hub.Publish(s.member.Channel(), x, "", s.published)
}

// published tells the sender where its message could not go.
func (s *session) published(_ hub.Position, err error) {
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrClosed):
		s.refuse(dialect.Unavailable, "the server is shutting down and did not take the message: send it again after reconnecting")
	default:
		s.refuse(dialect.Unavailable, "the broker did not take the message: send it again later")
	}
}

func (s *session) refuse(code dialect.Code, message string) {
	s.server.metrics.MessageRefused(telemetry.MessageError(code)) // spelt the same
	frame := (&dialect.Error{Code: code, Message: message}).AppendFrame(nil)
	s.conn.WriteMessage(ws.OpText, frame)
}

// Closed implements ws.Handler.
func (s *session) Closed(_ *ws.Conn, end ws.End) {
	s.server.hub.Leave(&s.member)
	s.server.closed(end)
}

var plainHello = ws.NewBatch(ws.OpText, []byte(dialect.Hello))

// open joins the channel and greets. Joining first and greeting second means
// that nothing published after the hello can be missed; what is published in
// between waits behind the hello and the replay.
func (s *Server) open(w http.ResponseWriter, hs *ws.Handshake, entry *hub.Entry, since hub.Since) error {
	client := &session{
		server:    s,
		bucket:    s.allowance.fill(s.uptime()),
		resumable: since.Mode != hub.SincePlain,
	}
	conn, err := s.engine.Accept(w, hs, client)
	if err != nil {
		entry.Release()
		s.arriving.Add(-1)
		s.places.Add(-1)
		return err
	}
	s.arriving.Add(-1)
	client.conn = conn
	joined := entry.Join(&client.member, client, formFor(client.resumable, hs.WindowBits()))
	client.joined.Store(true)
	replay := make([]*ws.Batch, len(joined.Replay))
	for i, b := range joined.Replay {
		replay[i] = (*ws.Batch)(b)
	}
	conn.Open(hello(client.member.Channel(), since, joined), replay...)
	if since.Mode == hub.SincePosition {
		s.metrics.Resumed(joined.Recovered)
	}
	return nil
}

func hello(channel string, since hub.Since, joined hub.Joined) *ws.Batch {
	switch since.Mode {
	case hub.SinceNow:
		return ws.NewBatch(ws.OpText, dialect.AppendHello(nil, channel, joined.Position.String()))
	case hub.SincePosition:
		return ws.NewBatch(ws.OpText, dialect.AppendResumedHello(nil, channel, joined.Position.String(), joined.Recovered))
	default:
		return plainHello
	}
}

func (s *Server) uptime() time.Duration { return time.Since(s.start) }
