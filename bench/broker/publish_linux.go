package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/hub"
	"fairlead/internal/valkey"
	"fairlead/test/redistest"
)

const (
	underWay     = 512
	manyChannels = 1000
)

// publish measures how much passes through one broker connection, and what redis-benchmark gets out of the same server.
func (b *bench) publish() error {
	for figure, channels := range map[string]int{figPublishOne: 1, figPublishMany: manyChannels} {
		err := b.withRedis(func(redis *redistest.Server) error {
			rate, err := throughput(redis, b.Messages, channels)
			if err == nil {
				b.record(figure, rate)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.withRedis(func(redis *redistest.Server) error {
		script, err := publishCall(redis)
		if err != nil {
			return err
		}
		rate, err := b.redisBenchmark(redis, script...)
		if err != nil {
			return err
		}
		b.record(figCeiling, rate)
		rate, err = b.redisBenchmark(redis, "XADD", "bare", "MAXLEN", "~", "1000", "*", "p", payload())
		if err != nil {
			return err
		}
		b.record(figCeilingRaw, rate)
		return nil
	})
}

func payload() string { return strings.Repeat("x", size) }

// open is a broker as a task has it, with as much under way as redis-benchmark has.
func open(redis *redistest.Server) (*valkey.Broker, error) {
	return valkey.New(valkey.Options{Hosts: []string{redis.Addr}, Timeout: patience})
}

// throughput is messages a second, every answer awaited.
func throughput(redis *redistest.Server, n, channels int) (float64, error) {
	broker, err := open(redis)
	if err != nil {
		return 0, err
	}
	defer broker.Close()
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprint("c", i)
	}
	send := func(n int) error {
		var answered sync.WaitGroup
		var failed atomic.Pointer[error]
		answered.Add(n)
		for i := range n {
			broker.Publish(names[i%channels], []byte(payload()), "", func(_ hub.Position, err error) {
				if err != nil {
					failed.Store(&err)
				}
				answered.Done()
			})
		}
		answered.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		return nil
	}
	if err := send(10 * channels); err != nil { // the script is taught, the channels begun
		return 0, err
	}
	began := time.Now()
	err = send(n)
	return float64(n) / time.Since(began).Seconds(), err
}

// publishCall is the call that a task makes for one message, as the server sees it: the script's hash is its own affair.
func publishCall(redis *redistest.Server) ([]string, error) {
	monitor, err := net.DialTimeout("tcp", redis.Addr, patience)
	if err != nil {
		return nil, err
	}
	defer monitor.Close()
	if err := monitor.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(monitor, "MONITOR\r\n"); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(monitor)
	if _, err := lines.ReadString('\n'); err != nil { // the answer to MONITOR
		return nil, err
	}
	broker, err := open(redis)
	if err != nil {
		return nil, err
	}
	defer broker.Close()
	for range 2 { // the first teaches the script, the second names it
		told := make(chan error, 1)
		broker.Publish("one", []byte(payload()), "", func(_ hub.Position, err error) { told <- err })
		if err := <-told; err != nil {
			return nil, err
		}
	}
	var call []string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("watch the server: %w", err)
		}
		_, rest, _ := strings.Cut(line, `] "`)
		words := strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), `"`), `" "`)
		if !strings.EqualFold(words[0], "evalsha") || !strings.HasSuffix(line, payload()+"\"\r\n") {
			continue
		}
		// The first of the two is that which the server did not know; what follows it is the script's own calls.
		if call != nil {
			return call, nil
		}
		call = words
	}
}

// redisBenchmark is messages a second of one command, on one connection.
func (b *bench) redisBenchmark(redis *redistest.Server, command ...string) (float64, error) {
	program, err := exec.LookPath("redis-benchmark")
	if err != nil {
		if program, err = exec.LookPath("valkey-benchmark"); err != nil {
			return 0, errors.New("redis-benchmark was not found: it comes with redis-tools, which redis-server brings")
		}
	}
	_, port, _ := strings.Cut(redis.Addr, ":")
	args := append([]string{"-p", port, "-c", "1", "-P", strconv.Itoa(underWay), "-n", strconv.Itoa(b.Messages), "--csv"}, command...)
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return 0, fmt.Errorf("%s %v: %w", program, command[:1], err)
	}
	// The last line of the table begins with "command","rate".
	lines := strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == '\n' || r == '\r' })
	cells := strings.Split(lines[len(lines)-1], `","`)
	if len(cells) < 2 {
		return 0, fmt.Errorf("%s said %q", program, out)
	}
	return strconv.ParseFloat(cells[1], 64)
}
