package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"fairlead/test/redistest"
)

const behind = 1000 // messages that each client has missed

// room for what is missed, whatever else is in the window.
var room = []string{"--history-messages", "2000", "--history-bytes", "4194304", "--max-queue-bytes", "4194304"}

// replay measures the return of many clients: to a task that has the window, and to one that must read it from Redis.
func (b *bench) replay() error {
	alone, err := b.start(room...)
	if err != nil {
		return err
	}
	defer alone.kill()
	from, err := history(alone)
	if err != nil {
		return err
	}
	cpu, err := b.window(func() error { return b.all(alone, from) }, alone.pid())
	if err != nil {
		return alone.blame(err)
	}
	b.record(figReplayMem, cpu.Seconds())
	return b.withTasks(2, func(redis *redistest.Server, tasks []*task) error {
		from, err := history(tasks[0])
		if err != nil {
			return err
		}
		began := time.Now()
		cpu, err := b.window(func() error { return b.all(tasks[1], from) }, tasks[1].pid(), tasks[0].pid(), redis.PID())
		took := time.Since(began)
		if err != nil {
			return err
		}
		b.record(figReplay, cpu.Seconds())
		b.record(figReplayTook, took.Seconds())
		return nil
	}, room...)
}

// history publishes what will be missed and returns the position before it.
func history(t *task) (position, error) {
	c, hello, err := dial(t, "lobby", "now")
	if err != nil {
		return position{}, err
	}
	defer c.close()
	from, err := positionIn(hello)
	if err != nil {
		return position{}, err
	}
	text := []byte(`"` + strings.Repeat("x", size-2) + `"`)
	for range behind {
		if err := c.send(text); err != nil {
			return position{}, err
		}
	}
	return from, c.expect(from, behind)
}

// all has every client return and read what it missed.
func (b *bench) all(t *task, from position) error {
	var mu sync.Mutex
	var failed error
	var returning sync.WaitGroup
	opening := make(chan struct{}, 128) // upgrades under way
	for range b.Returning {
		returning.Go(func() {
			opening <- struct{}{}
			c, hello, err := dial(t, "lobby", from.String())
			<-opening
			if err == nil {
				defer c.close()
				if !strings.Contains(hello, `"recovered":true`) {
					err = fmt.Errorf("not recovered: %s", hello)
				} else {
					err = c.expect(from, behind)
				}
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err
			}
		})
	}
	returning.Wait()
	return failed
}

// position is a place in a channel.
type position struct {
	epoch  string
	offset uint64
}

func (p position) String() string { return p.epoch + ":" + strconv.FormatUint(p.offset, 10) }

func positionIn(frame string) (position, error) {
	_, rest, _ := strings.Cut(frame, `"position":"`)
	text, _, _ := strings.Cut(rest, `"`)
	epoch, number, _ := strings.Cut(text, ":")
	offset, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("%q has no position: %w", frame, err)
	}
	return position{epoch, offset}, nil
}

// expect reads n messages, which must be those after from.
func (c *client) expect(from position, n int) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var want []byte
	for i := range n {
		frame, err := c.next()
		if err != nil {
			return fmt.Errorf("after %d of %d messages: %w", i, n, err)
		}
		want = append(append(want[:0], from.epoch...), ':')
		want = append(strconv.AppendUint(want, from.offset+1+uint64(i), 10), `"}`...)
		if !bytes.HasSuffix(frame, want) {
			return fmt.Errorf("message %d is %q, want position %s", i, frame, want)
		}
	}
	return nil
}
