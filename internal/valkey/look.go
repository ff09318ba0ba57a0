package valkey

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"strings"

	vk "github.com/valkey-io/valkey-go"

	"fairlead/internal/hub"
)

// Modes of the look script.
const (
	follow  = "follow"
	renew   = "renew"
	history = "history"
)

// view is what look found of one channel.
type view struct {
	from    hub.Position // where the caller stood
	head    hub.Position
	entries []entry
	err     error
}

type entry struct {
	offset  uint64
	payload string
}

func sumOf(payload string) uint64 { return maphash.String(seed, payload) }

// look reads the channels of subscriptions from where each stands, in one write.
func (b *Broker) look(s *session, subs []*subscription, count int) []view {
	seen := make([]hub.Position, len(subs))
	topics := make([]string, len(subs))
	for i, sub := range subs {
		sub.mu.Lock()
		seen[i], topics[i] = sub.at, sub.topic
		sub.mu.Unlock()
	}
	return b.lookAt(s, follow, topics, seen, count)
}

// lookAt runs the look script for topics, from where each was seen last, in one write. A script that the server does not know is sent
// in full once.
func (b *Broker) lookAt(s *session, mode string, topics []string, seen []hub.Position, count int) []view {
	all := make([]int, len(topics))
	for i := range all {
		all[i] = i
	}
	views := make([]view, len(topics))
	commands := make([]vk.Completed, 0, len(topics))
	for full := false; len(all) > 0; full = true {
		commands = commands[:0]
		for n, i := range all {
			args := []string{mode, seen[i].Epoch, strconv.FormatUint(seen[i].Offset, 10), strconv.Itoa(count), b.nonce}
			commands = append(commands, b.scripts().look.call(s.client, full && n == 0, keysOf(topics[i]), args))
		}
		results := s.do(b.o.Timeout, s.client, commands...)
		unknown := all[:0]
		for n, i := range all {
			views[i] = parseView(results[n])
			views[i].from = seen[i]
			if unknownScript(views[i].err) && !full {
				unknown = append(unknown, i)
			}
		}
		all = unknown
		commands = make([]vk.Completed, 0, len(all)) // the library may still hold the old ones
	}
	return views
}

// call builds a call of the script, in full or by its hash.
func (c script) call(client vk.Client, full bool, keys, args []string) vk.Completed {
	if full {
		return client.B().Eval().Script(c.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	}
	return client.B().Evalsha().Sha1(c.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

// keysOf are meta, stream and marks of a topic.
func keysOf(topic string) []string {
	stream, marks := topic+":s", topic+":t"
	return []string{topic, stream, marks}
}

var errView = errors.New("an answer that the script does not give")

func parseView(r vk.ValkeyResult) (v view) {
	parts, err := r.ToArray()
	if err != nil {
		return view{err: err}
	}
	if len(parts) != 3 {
		return view{err: errView}
	}
	v.head.Epoch, _ = parts[0].ToString()
	digits, _ := parts[1].ToString()
	if v.head.Offset, err = strconv.ParseUint(digits, 10, 64); err != nil || v.head.Epoch != "" && !hub.ValidEpoch(v.head.Epoch) {
		return view{err: errView}
	}
	entries, err := parts[2].ToArray()
	if err != nil {
		return view{err: errView}
	}
	v.entries = make([]entry, len(entries))
	for i := range entries {
		var ok bool
		if v.entries[i], ok = parseEntry(&entries[i]); !ok {
			return view{err: errView}
		}
	}
	return v
}

// parseEntry reads [OFFSET-0, [p, PAYLOAD]].
func parseEntry(m *vk.ValkeyMessage) (e entry, ok bool) {
	pair, err := m.ToArray()
	if err != nil || len(pair) != 2 {
		return e, false
	}
	id, _ := pair[0].ToString()
	fields, err := pair[1].ToArray()
	if err != nil || len(fields) != 2 {
		return e, false
	}
	digits, _, _ := strings.Cut(id, "-")
	if e.offset, err = strconv.ParseUint(digits, 10, 64); err != nil {
		return e, false
	}
	e.payload, err = fields[1].ToString()
	return e, err == nil
}

// maxHistory is the most messages one answer of History holds.
const maxHistory = 1000

// History implements hub.Broker.
func (b *Broker) History(ctx context.Context, channel string, after hub.Position) (hub.History, error) {
	if err := ctx.Err(); err != nil {
		return hub.History{}, err
	}
	topic := b.topic(channel)
	for attempt := 0; ; attempt++ {
		s, why := b.sessionFor(ctx, channel)
		if s == nil {
			return hub.History{}, why
		}
		answer := make(chan view, 1)
		b.spawn(func() { // the library waits for its own time-out, the caller for the context too
			answer <- b.lookAt(s, history, []string{topic}, []hub.Position{after}, min(b.o.History.Messages, maxHistory))[0]
		}, func() { answer <- view{err: errBrokerClosed} })
		var v view
		select {
		case v = <-answer:
		case <-ctx.Done():
			return hub.History{}, ctx.Err()
		}
		if v.err != nil && mayRetry(v.err) && attempt < 3 {
			b.refresh()
			if !b.wait(ctx, retryPause) {
				return hub.History{}, ctx.Err()
			}
			continue
		}
		if v.err != nil {
			if _, said := replied(v.err); !said && s.ctx.Err() != nil {
				return hub.History{}, s.reason()
			}
			return hub.History{}, explain(s.addr, v.err)
		}
		return b.proved(after, v), nil
	}
}

// proved says what a view proves of the time since after.
func (b *Broker) proved(after hub.Position, v view) hub.History {
	if v.head.Epoch == "" {
		return hub.History{}
	}
	h := hub.History{Head: hub.Position{Epoch: strings.Clone(v.head.Epoch), Offset: v.head.Offset}}
	switch {
	case after.Epoch != h.Head.Epoch, after.Offset > h.Head.Offset, h.Head.Offset-after.Offset > uint64(b.o.History.Messages):
		return h
	case after.Offset == h.Head.Offset:
		h.Complete = true
		return h
	}
	messages := make([]hub.Message, 0, len(v.entries))
	for i, e := range v.entries {
		if e.offset != after.Offset+1+uint64(i) {
			return h
		}
		messages = append(messages, hub.Message{Payload: []byte(e.payload), Position: hub.Position{Epoch: h.Head.Epoch, Offset: e.offset}})
	}
	if len(messages) > 0 {
		h.Messages, h.Complete = messages, true
	}
	return h
}
