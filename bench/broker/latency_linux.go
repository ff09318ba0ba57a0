package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"fairlead/test/redistest"
)

const (
	perSecond = 1000
	turns     = 5
	size      = 100 // of a message, quotes included
)

// way is a publisher and a subscriber, on one task or on two.
type way struct {
	from, to *client
	delays   []float64 // microseconds
}

// latency measures publish → deliver within one task and between two, in turns.
func (b *bench) latency() error {
	alone, err := b.start()
	if err != nil {
		return err
	}
	defer alone.kill()
	return b.withTasks(2, func(redis *redistest.Server, tasks []*task) error {
		memory, err := newWay(alone, alone)
		if err != nil {
			return err
		}
		defer memory.close()
		broker, err := newWay(tasks[0], tasks[1])
		if err != nil {
			return err
		}
		defer broker.close()
		_, err = b.window(func() error {
			for range turns {
				for _, w := range []*way{memory, broker} {
					if err := w.turn(b.Each); err != nil {
						return err
					}
				}
			}
			return nil
		}, alone.pid(), tasks[0].pid(), tasks[1].pid(), redis.PID())
		if err != nil {
			return err
		}
		for _, f := range []struct {
			w        *way
			p50, p99 string
		}{{memory, figMemory50, figMemory99}, {broker, figBroker50, figBroker99}} {
			slices.Sort(f.w.delays)
			b.record(f.p50, percentile(f.w.delays, 0.5))
			b.record(f.p99, percentile(f.w.delays, 0.99))
		}
		return nil
	})
}

func newWay(from, to *task) (w *way, err error) {
	w = new(way)
	if w.to, _, err = dial(to, "lobby", "now"); err != nil {
		return nil, err
	}
	if w.from, _, err = dial(from, "lobby", ""); err != nil {
		w.to.close()
		return nil, err
	}
	// What comes back to the sender is read too, or the server would take it for a slow consumer.
	go func() {
		for {
			if _, err := w.from.next(); err != nil {
				return
			}
		}
	}()
	return w, nil
}

func (w *way) close() {
	w.from.close()
	w.to.close()
}

// turn publishes for so long and waits until all has come.
func (w *way) turn(length time.Duration) error {
	n := int(length.Seconds() * perSecond)
	began := time.Now()
	read := make(chan error, 1)
	go func() { read <- w.read(n, began) }()
	text := make([]byte, 0, size)
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / perSecond)))
		text = append(text[:0], '"')
		text = strconv.AppendInt(text, int64(time.Since(began)), 10)
		text = append(append(text, bytes.Repeat([]byte{' '}, size-1-len(text))...), '"')
		if err := w.from.send(text); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	select {
	case err := <-read:
		return err
	case <-time.After(patience):
		w.close()
		return fmt.Errorf("%w: not every message came within %v", <-read, patience)
	}
}

var messageHead = []byte(`{"message":"`)

func (w *way) read(n int, began time.Time) error {
	for i := range n {
		text, err := w.to.next()
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		now := time.Since(began)
		number, _, _ := bytes.Cut(bytes.TrimPrefix(text, messageHead), []byte{' '})
		sent, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no message of ours: %w", text, err)
		}
		if i >= n/10 {
			w.delays = append(w.delays, float64(now-time.Duration(sent))/1e3)
		}
	}
	return nil
}
