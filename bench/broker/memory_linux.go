package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"fairlead/test/redistest"
)

// idle measures resumable connections that say nothing, on one channel.
func (b *bench) idle() error {
	return b.withTasks(1, func(_ *redistest.Server, tasks []*task) error {
		grown, _, done, err := b.grow(tasks[0], nil, b.Connections, func(int) string { return "lobby" })
		done()
		if err == nil {
			b.record(figIdle, grown/float64(b.Connections))
		}
		return err
	})
}

// channels measures what a channel adds to its connection, in the task and in Redis, without and with a message.
func (b *bench) channels() error {
	n := float64(b.Channels)
	var together float64
	err := b.withTasks(1, func(redis *redistest.Server, tasks []*task) (err error) {
		grown, _, done, err := b.grow(tasks[0], redis, b.Channels, func(int) string { return "lobby" })
		done()
		together = grown
		return err
	})
	if err != nil {
		return err
	}
	return b.withTasks(1, func(redis *redistest.Server, tasks []*task) error {
		before, err := settledKiB(tasks[0].pid())
		if err != nil {
			return err
		}
		grown, stored, done, err := b.grow(tasks[0], redis, b.Channels, channelName)
		defer done()
		if err != nil {
			return err
		}
		b.record(figChannel, (grown-together)/n)
		b.record(figRedis, stored/n)
		empty, err := usedKiB(redis)
		if err != nil {
			return err
		}
		if err := b.sayOne(tasks[0]); err != nil {
			return err
		}
		after, err := settledKiB(tasks[0].pid())
		if err != nil {
			return err
		}
		full, err := usedKiB(redis)
		if err != nil {
			return err
		}
		b.record(figChannelSaid, (after-before-together)/n)
		b.record(figRedisSaid, (full-empty+stored)/n)
		return nil
	})
}

func channelName(i int) string { return "channel-" + strconv.Itoa(i) }

// grow opens n resumable connections and returns what the task and Redis grew by, in KiB. done closes them.
func (b *bench) grow(t *task, redis *redistest.Server, n int, channel func(i int) string) (grown, stored float64, done func(), err error) {
	clients := make([]*client, n)
	done = func() {
		for _, c := range clients {
			if c != nil {
				c.close()
			}
		}
	}
	if err := checkDescriptors(n); err != nil {
		return 0, 0, done, err
	}
	before, err := settledKiB(t.pid())
	if err != nil {
		return 0, 0, done, err
	}
	var storedBefore, storedAfter float64
	if redis != nil {
		if storedBefore, err = usedKiB(redis); err != nil {
			return 0, 0, done, err
		}
	}
	err = each(n, 64, func(i int) error {
		c, _, err := dial(t, channel(i), "now")
		if err == nil {
			c.rest()
			clients[i] = c
		}
		return err
	})
	if err != nil {
		return 0, 0, done, err
	}
	after, err := settledKiB(t.pid())
	if err == nil && redis != nil {
		storedAfter, err = usedKiB(redis)
	}
	return after - before, storedAfter - storedBefore, done, err
}

// sayOne publishes one message to every channel.
func (b *bench) sayOne(t *task) error {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	defer transport.CloseIdleConnections()
	backend := &http.Client{Transport: transport, Timeout: patience}
	body := []byte(`"` + strings.Repeat("x", size-2) + `"`)
	return each(b.Channels, 32, func(i int) error {
		r, err := http.NewRequest(http.MethodPost, "http://"+t.addr+"/channels/"+channelName(i)+"/messages", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+publishKey)
		r.Header.Set("Content-Type", "application/json")
		resp, err := backend.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusAccepted {
			err = fmt.Errorf("publishing was answered %s %s", resp.Status, text)
		}
		return err
	})
}

// each does n things, so many at a time, and returns the last error.
func each(n, atOnce int, do func(i int) error) error {
	var mu sync.Mutex
	var failed error
	var workers sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return failed
}

// usedKiB is what Redis says that it holds.
func usedKiB(redis *redistest.Server) (float64, error) {
	info, err := redis.Do("INFO", "memory")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.ParseFloat(text, 64)
			return n / 1024, err
		}
	}
	return 0, fmt.Errorf("INFO memory has no used_memory: %q", info)
}

// checkDescriptors says whether so many connections fit into one process.
func checkDescriptors(connections int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	if need := uint64(connections + 600); limit.Max < need { // the server keeps 2 % for files, listeners and health checks
		return fmt.Errorf("%d connections need %d file descriptors in a process and the limit is %d: raise it with `ulimit -n %d`, or measure fewer, see --help",
			connections, need, limit.Max, need)
	}
	return nil
}
