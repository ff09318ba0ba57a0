package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/config"
	"fairlead/internal/hub"
	"fairlead/internal/lifecycle"
	"fairlead/internal/telemetry"
	"fairlead/internal/ws"
)

// refusal is a plain HTTP answer to an upgrade that is not wanted.
type refusal struct {
	status     int
	reason     telemetry.RefusalReason
	message    string
	header     http.Header
	retryAfter time.Duration // 0: trying again is no use, or the client's own business
}

// upgrade answers /wss. What is cheap and certain comes first: a request that
// can never succeed must not use up what those that can are counted against.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	hs, bad := ws.CheckHandshake(r, s.handshake)
	if bad != nil {
		s.refuse(w, &refusal{status: bad.Status, reason: telemetry.RefusedHandshake, message: bad.Message, header: bad.Header})
		return
	}
	if no := s.welcome(r); no != nil {
		s.refuse(w, no)
		return
	}
	channel, since, no := parameters(r.URL.Query())
	if no != nil {
		s.refuse(w, no)
		return
	}
	// Counted before the state is asked for: a drain that begins now either
	// sees this upgrade arriving or is seen by it.
	s.arriving.Add(1)
	if no := s.admit(); no != nil {
		s.arriving.Add(-1)
		s.refuse(w, no)
		return
	}
	entry, no := s.enter(r, channel, since)
	if no != nil {
		s.arriving.Add(-1)
		s.places.Add(-1)
		s.refuse(w, no)
		return
	}
	if err := s.open(w, hs, entry, since); err != nil {
		if errors.Is(err, ws.ErrShutdown) {
			s.refuse(w, notReady(lifecycle.Draining))
			return
		}
		s.refuse(w, &refusal{status: http.StatusInternalServerError, reason: telemetry.RefusedInternal, message: "The connection could not be taken over: " + err.Error()})
		return
	}
	s.metrics.ConnectionOpened(time.Since(began))
}

// welcome judges who asks.
func (s *Server) welcome(r *http.Request) *refusal {
	origin := r.Header["Origin"]
	if s.origins.Allowed(origin, r.Host) {
		return nil
	}
	return &refusal{
		status: http.StatusForbidden, reason: telemetry.RefusedOrigin,
		message: fmt.Sprintf("Pages from %.200q may not connect here. Serve the page from %.200q, or start the server with --allowed-origin for it.", strings.Join(origin, ", "), r.Host),
	}
}

// parameters reads for what, and from where on.
func parameters(query url.Values) (channel string, since hub.Since, no *refusal) {
	channel, no = only(query, "channel", hub.Lobby)
	if no != nil {
		return "", since, no
	}
	if !hub.ValidChannel(channel) {
		return "", since, badParameter(badChannel(channel))
	}
	text, no := only(query, "since", "")
	switch {
	case no != nil:
		return "", since, no
	case !query.Has("since"):
		return channel, since, nil
	case text == "now":
		return channel, hub.Since{Mode: hub.SinceNow}, nil
	}
	position, err := hub.ParsePosition(text)
	if err != nil {
		return "", since, badParameter(fmt.Sprintf("since is neither now nor a position that this server gave: %v. Say since=now and take what follows from there.", err))
	}
	return channel, hub.Since{Mode: hub.SincePosition, Position: position}, nil
}

// only reads a parameter that may be given once.
func only(query url.Values, name, fallback string) (string, *refusal) {
	switch values := query[name]; len(values) {
	case 0:
		return fallback, nil
	case 1:
		return values[0], nil
	default:
		return "", badParameter("The parameter " + name + " is given more than once. A connection has one: open another for each.")
	}
}

func badParameter(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, reason: telemetry.RefusedRequest, message: message}
}

func badChannel(name string) string {
	return fmt.Sprintf("%.150q is no channel name. Use 1 to %d characters of A-Z a-z 0-9 _ . : -", name, hub.MaxChannelName)
}

// enterTime bounds how long an upgrade waits for the broker: less than clients
// and load balancers wait for an answer.
const enterTime = 5 * time.Second

// enter waits for the channel, and for the history that a position asks for. It
// is done before the connection is accepted, so that a failure still is a plain
// answer.
func (s *Server) enter(r *http.Request, channel string, since hub.Since) (*hub.Entry, *refusal) {
	ctx, cancel := context.WithTimeout(r.Context(), enterTime)
	defer cancel()
	entry, err := s.hub.Enter(ctx, channel, since)
	if err == nil {
		return entry, nil
	}
	if errors.Is(err, hub.ErrClosed) {
		return nil, notReady(lifecycle.Draining)
	}
	return nil, &refusal{
		status: http.StatusServiceUnavailable, reason: telemetry.RefusedBroker, retryAfter: jitter(time.Second, 5*time.Second),
		message: "The broker that carries messages between tasks does not answer, so nothing can be promised about this channel. Try again shortly.",
	}
}

// admit judges whether there is room, now, and takes a place.
func (s *Server) admit() *refusal {
	if state := s.machine.State(); state != lifecycle.Ready {
		return notReady(state)
	}
	if s.places.Add(1) > int64(s.maxConnections) {
		s.places.Add(-1)
		return &refusal{
			status: http.StatusServiceUnavailable, reason: telemetry.RefusedCapacity, retryAfter: jitter(5*time.Second, 15*time.Second),
			message: fmt.Sprintf("This task holds all the connections it can (%d). Try again, perhaps on another.", s.maxConnections),
		}
	}
	if !s.upgrades.Allow() {
		s.places.Add(-1)
		return &refusal{
			status: http.StatusServiceUnavailable, reason: telemetry.RefusedRate, retryAfter: jitter(time.Second, 5*time.Second),
			message: "Too many connections are being opened at this moment. Try again shortly.",
		}
	}
	return nil
}

func notReady(state lifecycle.State) *refusal {
	return &refusal{
		status: http.StatusServiceUnavailable, reason: telemetry.RefusedNotReady, retryAfter: time.Second,
		message: "This task is " + state.String() + " and takes no new connections. Try again to reach another.",
	}
}

// jitter spreads those who were refused together.
func jitter(from, to time.Duration) time.Duration { return from + rand.N(to-from) }

func (s *Server) refuse(w http.ResponseWriter, no *refusal) {
	s.metrics.UpgradeRefused(no.reason)
	h := w.Header()
	for name, values := range no.header {
		h[name] = values
	}
	if no.retryAfter > 0 {
		// Whole seconds are all that the header can say (RFC 9110 §10.2.3).
		h.Set("Retry-After", strconv.Itoa(int((no.retryAfter+time.Second-1)/time.Second)))
	}
	answer(w, no.status, no.message+"\n")
}

// rateText tells a client over its allowance what that is.
func rateText(p config.Protection) string {
	return fmt.Sprintf("the message was not sent on: this connection may send %v messages a second, and %d at once after a pause", p.MessageRate, p.MessageBurst)
}
