package httpapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
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
	channel, no := s.welcome(r)
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
	if err := s.open(w, hs, channel); err != nil {
		if errors.Is(err, ws.ErrShutdown) {
			s.refuse(w, notReady(lifecycle.Draining))
			return
		}
		s.refuse(w, &refusal{status: http.StatusInternalServerError, reason: telemetry.RefusedInternal, message: "The connection could not be taken over: " + err.Error()})
		return
	}
	s.metrics.ConnectionOpened(time.Since(began))
}

// welcome judges who asks, and for what.
func (s *Server) welcome(r *http.Request) (channel string, no *refusal) {
	if origin := r.Header["Origin"]; !s.origins.Allowed(origin, r.Host) {
		return "", &refusal{
			status: http.StatusForbidden, reason: telemetry.RefusedOrigin,
			message: fmt.Sprintf("Pages from %.200q may not connect here. Serve the page from %.200q, or start the server with --allowed-origin for it.", strings.Join(origin, ", "), r.Host),
		}
	}
	names, given := r.URL.Query()["channel"]
	switch {
	case !given:
		return hub.Lobby, nil
	case len(names) > 1:
		return "", &refusal{status: http.StatusBadRequest, reason: telemetry.RefusedRequest, message: "More than one channel is named. A connection has one: open another for each."}
	case !hub.ValidChannel(names[0]):
		return "", &refusal{
			status: http.StatusBadRequest, reason: telemetry.RefusedRequest,
			message: fmt.Sprintf("%.150q is no channel name. Use 1 to %d characters of A-Z a-z 0-9 _ . : -", names[0], hub.MaxChannelName),
		}
	}
	return names[0], nil
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
