package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"fairlead/internal/dialect"
	"fairlead/internal/hub"
)

// publishTime bounds how long a publisher waits for the broker's word.
const publishTime = 5 * time.Second

// maxKey is the longest Idempotency-Key.
const maxKey = 128

// publisher serves /channels/ to backends that know a key.
type publisher struct {
	server *Server
	// keys are the hashes of the bearer keys: of one length, so that comparing
	// them tells nothing, not even how long a key is.
	keys     [][sha256.Size]byte
	limit    *rate.Limiter
	maxBytes int
	count    Counter
}

// Counter counts a channel's subscribers over all tasks. complete is false where
// not every task answered in time.
type Counter interface {
	Count(ctx context.Context, channel string) (subscribers, tasks int, complete bool, err error)
}

// fault is a refusal as the publish API tells it.
type fault struct {
	status  int
	code    string
	message string
}

func (s *Server) newPublisher(o *Options) *publisher {
	p := &publisher{
		server:   s,
		limit:    rate.NewLimiter(rate.Inf, 0),
		maxBytes: o.Settings.Limits.MaxMessageBytes,
		count:    o.Counter,
	}
	for _, key := range o.Settings.Publish.Keys {
		p.keys = append(p.keys, sha256.Sum256([]byte(key)))
	}
	if r := o.Settings.Publish.Rate; r > 0 {
		p.limit = rate.NewLimiter(rate.Limit(r), max(1, int(r)))
	}
	return p
}

// publish answers POST /channels/{channel}/messages.
func (p *publisher) publish(w http.ResponseWriter, r *http.Request) {
	position, f := p.take(w, r)
	if f != nil {
		p.server.metrics.PublishRequest(f.status)
		f.write(w)
		return
	}
	p.server.metrics.PublishRequest(http.StatusAccepted)
	writeJSON(w, http.StatusAccepted, map[string]string{"position": position.String()})
}

// take hands the message to the broker and waits for its word.
func (p *publisher) take(w http.ResponseWriter, r *http.Request) (hub.Position, *fault) {
	channel, f := p.admit(r)
	if f != nil {
		return hub.Position{}, f
	}
	if !p.limit.Allow() {
		return hub.Position{}, &fault{http.StatusTooManyRequests, "rate_limited", "This task takes no more publish requests at this moment (--publish-rate). Wait a second, or send to several tasks."}
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		return hub.Position{}, &fault{http.StatusBadRequest, "invalid_key", fmt.Sprintf("Idempotency-Key must have 1 to %d visible ASCII characters, such as a UUID.", maxKey)}
	}
	x, f := p.body(w, r)
	if f != nil {
		return hub.Position{}, f
	}
	type outcome struct {
		position hub.Position
		err      error
	}
	told := make(chan outcome, 1)
	p.server.hub.Publish(channel, x, key, func(position hub.Position, err error) { told <- outcome{position, err} })
	timeout := time.NewTimer(publishTime)
	defer timeout.Stop()
	select {
	case o := <-told:
		if o.err != nil {
			return hub.Position{}, &fault{http.StatusServiceUnavailable, "unavailable", "The message was not taken: " + publicError(o.err) + ". Send it again later, with the same Idempotency-Key if it must not come twice."}
		}
		return o.position, nil
	case <-timeout.C:
		return hub.Position{}, &fault{http.StatusServiceUnavailable, "unavailable", "The broker did not answer in time; the message may have been taken. Send it again with the same Idempotency-Key, and it comes once."}
	}
}

// publicError is what a publisher may know of a failure: not the broker's
// address.
func publicError(err error) string {
	if errors.Is(err, hub.ErrClosed) {
		return "this task is shutting down"
	}
	return "the broker is unavailable"
}

// body reads and checks the message.
func (p *publisher) body(w http.ResponseWriter, r *http.Request) ([]byte, *fault) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &fault{http.StatusUnsupportedMediaType, "unsupported_type", "Send the message as Content-Type: application/json."}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(p.maxBytes)))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, &fault{http.StatusRequestEntityTooLarge, "too_big", fmt.Sprintf("The message is longer than %d bytes (--max-message-bytes).", p.maxBytes)}
	case err != nil:
		return nil, &fault{http.StatusBadRequest, "incomplete", "The body ended before its time."}
	}
	x, err := dialect.Compact(raw)
	if err != nil {
		var e *dialect.Error
		errors.As(err, &e) // Compact returns nothing else
		return nil, &fault{http.StatusBadRequest, string(e.Code), e.Message}
	}
	return x, nil
}

// admit checks the key, then the channel: who has no key learns nothing.
func (p *publisher) admit(r *http.Request) (channel string, f *fault) {
	if len(p.keys) == 0 {
		return "", &fault{http.StatusUnauthorized, "no_keys", "Publishing over HTTP is off: start the server with --publish-key."}
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || !p.known(strings.TrimSpace(key)) {
		return "", &fault{http.StatusUnauthorized, "unauthorized", "Send Authorization: Bearer KEY with a key that the server was started with (--publish-key)."}
	}
	channel = r.PathValue("channel")
	if !hub.ValidChannel(channel) {
		return "", &fault{http.StatusNotFound, "no_channel", badChannel(channel)}
	}
	return channel, nil
}

// known compares with every key, so that the time says nothing about which one
// was near.
func (p *publisher) known(key string) bool {
	sum := sha256.Sum256([]byte(key))
	found := 0
	for i := range p.keys {
		found |= subtle.ConstantTimeCompare(sum[:], p.keys[i][:])
	}
	return found == 1
}

// channelInfo is the answer of GET /channels/{channel}.
type channelInfo struct {
	Channel     string      `json:"channel"`
	Subscribers subscribers `json:"subscribers"`
	// Position is that of the last message; absent if there is none to know of.
	Position string      `json:"position,omitempty"`
	History  historyInfo `json:"history"`
}

type subscribers struct {
	Task int `json:"task"` // on this task
	// All tasks that answered; Complete is false if one did not.
	All      int  `json:"all"`
	Tasks    int  `json:"tasks"`
	Complete bool `json:"complete"`
}

// historyInfo is this task's window.
type historyInfo struct {
	Messages      int     `json:"messages"`
	Bytes         int     `json:"bytes"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

// info answers GET /channels/{channel}.
func (p *publisher) info(w http.ResponseWriter, r *http.Request) {
	channel, f := p.admit(r)
	if f != nil {
		f.write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), publishTime)
	defer cancel()
	i, err := p.server.hub.Info(ctx, channel)
	answer := channelInfo{
		Channel:     channel,
		Subscribers: subscribers{Task: i.Subscribers, All: i.Subscribers, Tasks: 1, Complete: true},
		History:     historyInfo{i.Messages, i.Bytes, i.Oldest.Seconds()},
	}
	if !i.Position.Zero() {
		answer.Position = i.Position.String()
	}
	if err == nil && p.count != nil {
		a := &answer.Subscribers
		a.All, a.Tasks, a.Complete, err = p.count.Count(ctx, channel)
	}
	if err != nil {
		(&fault{http.StatusServiceUnavailable, "unavailable", "The broker is unavailable, so that this task knows only of itself. Try again later."}).write(w)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (f *fault) write(w http.ResponseWriter) {
	switch f.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="fairlead"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1))
	}
	writeJSON(w, f.status, map[string]any{"error": map[string]string{"code": f.code, "message": f.message}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if it fails
}
