// Package httpapi is the HTTP surface of a task: the upgrade with its admission,
// health, the console, and the admin listener. It is also where the leaves meet:
// a session ties a connection (ws) to a channel (hub) through the dialect.
package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"fairlead/internal/config"
	"fairlead/internal/dialect"
	"fairlead/internal/hub"
	"fairlead/internal/lifecycle"
	"fairlead/internal/telemetry"
	"fairlead/internal/ws"
)

// Options is what a Server is made of. All but Counter are required.
type Options struct {
	Settings       config.Serve
	MaxConnections int // what config.Host.Capacity said
	Engine         *ws.Engine
	Hub            *hub.Hub
	Machine        *lifecycle.Machine
	Metrics        *telemetry.Metrics
	Console        http.Handler // serves /, /index.html and /console/
	// Counter counts subscribers over all tasks; nil if this is the only one.
	Counter Counter
}

// Server answers the public listener and owns the sessions.
type Server struct {
	engine    *ws.Engine
	hub       *hub.Hub
	machine   *lifecycle.Machine
	metrics   *telemetry.Metrics
	console   http.Handler
	start     time.Time
	origins   config.OriginPolicy
	handshake ws.HandshakeOptions
	allowance allowance
	rateText  string // what a client over its allowance is told

	maxConnections int
	upgrades       *rate.Limiter
	publisher      *publisher
	// places counts the connections that were admitted and have not ended.
	places atomic.Int64
	// arriving counts upgrades between admission and the engine's own count, for
	// the drain.
	arriving atomic.Int64
	// requests counts handlers at work.
	requests atomic.Int64
	// forced counts connections the engine gave up on during their close.
	forced atomic.Int64
}

// New makes a server; it fails on settings that Validate would have refused.
func New(o Options) (*Server, error) {
	origins, err := o.Settings.Protection.Origins()
	if err != nil {
		return nil, err
	}
	p := o.Settings.Protection
	s := &Server{
		engine:         o.Engine,
		hub:            o.Hub,
		machine:        o.Machine,
		metrics:        o.Metrics,
		console:        o.Console,
		start:          time.Now(),
		origins:        origins,
		handshake:      ws.HandshakeOptions{Compression: o.Settings.Engine.Compression},
		allowance:      allowance{p.MessageRate, p.MessageBurst, p.RateLimitStrikes},
		rateText:       rateText(p),
		maxConnections: o.MaxConnections,
		upgrades:       rate.NewLimiter(rate.Inf, 0),
	}
	if p.UpgradeRate > 0 {
		s.upgrades = rate.NewLimiter(rate.Limit(p.UpgradeRate), p.UpgradeBurst)
	}
	s.publisher = s.newPublisher(&o)
	return s, nil
}

// Encoder is the hub's view of the dialect, for hub.Options.
func Encoder(minDeflate int) hub.Encoder { return encoder{minDeflate} }

// Handler serves the public listener.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "Ok") })
	mux.HandleFunc("GET /ready", s.ready)
	mux.HandleFunc("GET /wss", s.upgrade)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /index.html", s.page)
	mux.Handle("GET /console/", s.console)
	mux.HandleFunc("POST /channels/{channel}/messages", s.publisher.publish)
	mux.HandleFunc("GET /channels/{channel}", s.publisher.info)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, "Nothing is here. The console is at /, the WebSocket endpoint at /wss.\n")
	})
	return s.counted(mux)
}

// counted counts the requests that are being answered, which net/http does not
// tell from connections on which nobody has asked anything yet.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// flushTime is what net/http gets to send answers whose handlers have returned.
const flushTime = 250 * time.Millisecond

// Finish ends hs: requests that are being answered are finished within ctx,
// whose error is returned if they were not. Connections without a request, or
// with half of one, are closed: http.Server.Shutdown alone would wait for them.
func (s *Server) Finish(ctx context.Context, hs *http.Server) error {
	for {
		answering := s.requests.Load() > 0
		flush, cancel := context.WithTimeout(ctx, flushTime)
		err := hs.Shutdown(flush)
		cancel()
		if err == nil {
			return nil
		}
		if !answering || ctx.Err() != nil {
			_ = hs.Close()
			if answering {
				return ctx.Err()
			}
			return nil
		}
	}
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if state := s.machine.State(); state != lifecycle.Ready {
		answer(w, http.StatusServiceUnavailable, "Not ready: "+state.String()+"\n")
		return
	}
	answer(w, http.StatusOK, "Ok")
}

// page serves the console while new connections are welcome: a page that could
// not connect would be a worse answer than this one.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	if state := s.machine.State(); state != lifecycle.Ready {
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, "This task is "+state.String()+". Reload to reach another.\n")
		return
	}
	s.console.ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client is gone if it fails
}

// closed books the end of a connection.
func (s *Server) closed(end ws.End) {
	s.places.Add(-1)
	if end.Cause == ws.CauseCloseTimeout {
		s.forced.Add(1)
	}
	s.metrics.ConnectionClosed(uint16(end.Code), closeReason(end))
}

// closeReason is the engine's cause as a metric, which is spelt the same, but
// where this package closed and knows why.
func closeReason(end ws.End) telemetry.CloseReason {
	if end.Cause == ws.CauseServer {
		switch end.Code {
		case ws.CloseGoingAway:
			return telemetry.ClosedByDrain
		case ws.ClosePolicyViolation:
			return telemetry.ClosedByRateLimit
		}
	}
	return telemetry.CloseReason(end.Cause.String())
}

// The hooks of lifecycle.DrainOptions.

// Connections lists the sessions' connections for a drain.
func (s *Server) Connections() []lifecycle.Connection {
	conns := s.engine.Conns()
	all := make([]lifecycle.Connection, len(conns))
	for i, c := range conns {
		all[i] = leaver{c}
	}
	return all
}

// leaver is a connection as the drain sees it. Its session may not be joined
// yet and not know its connection.
type leaver struct{ conn *ws.Conn }

// Leave implements lifecycle.Connection.
func (l leaver) Leave() {
	s := l.conn.Handler().(*session) // the engine has no others
	s.close(func() { s.sendAway(l.conn, ws.CloseGoingAway, dialect.ShutdownReason) })
}

// Arriving is the number of upgrades that the engine does not count yet.
func (s *Server) Arriving() int { return int(s.arriving.Load()) }

// Forced is the number of connections dropped because they did not answer the
// close frame in time.
func (s *Server) Forced() int { return int(s.forced.Load()) }

// Abort drops every connection and returns how many there were.
func (s *Server) Abort() int {
	conns := s.engine.Conns()
	for _, c := range conns {
		c.Abort()
	}
	return len(conns)
}
