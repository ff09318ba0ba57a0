package main

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ceilingWarmUp = time.Second
	ceilingTime   = 3 * time.Second
)

// ceiling records the most deliveries a second: one connection publishes without
// pause, as far as its own copies have come back, and everybody must take all.
func (b *bench) ceiling(s *server, fleet *fleet) error {
	var best struct {
		rate, server, load float64
		window             int
	}
	for _, n := range windows {
		p := newPublisher(fleet, n)
		if err := p.run(ceilingWarmUp); err != nil {
			return err
		}
		before := fleet.messages
		loadBefore, err := cpuTime(unix.Getpid())
		if err != nil {
			return err
		}
		w, err := b.window(s.process, func() error { return p.run(ceilingTime) })
		if err != nil {
			return err
		}
		rate := float64(fleet.messages-before) / w.wall.Seconds()
		loadAfter, err := cpuTime(unix.Getpid())
		if err != nil {
			return err
		}
		b.record(figWindow(n), rate)
		if rate > best.rate {
			best.rate, best.window, best.server = rate, n, w.share()
			best.load = (loadAfter - loadBefore).Seconds() / w.wall.Seconds()
		}
		if err := p.finish(); err != nil {
			return err
		}
	}
	b.record(figCeiling, best.rate)
	b.record(figCeilingWindow, float64(best.window))
	b.record(figCeilingRound, 1000*float64(best.window*len(fleet.conns))/best.rate)
	b.record(figCeilingServer, best.server)
	b.record(figCeilingLoad, best.load)
	return nil
}

// publisher keeps a window of messages under way on the fleet's first connection.
type publisher struct {
	fleet   *fleet
	conn    *conn
	window  int64
	base    int64 // the fleet's messages at the start
	own     int64 // the connection's
	sent    int64
	frame   []byte
	frames  []byte // a window of them
	pending []byte // of frames, what the socket has not taken
}

func newPublisher(fleet *fleet, window int) *publisher {
	frame := clientFrame(finText, message)
	return &publisher{
		fleet: fleet, conn: fleet.conns[0], window: int64(window), base: fleet.messages, own: fleet.conns[0].messages,
		frame: frame, frames: bytes.Repeat(frame, window),
	}
}

// run publishes for so long.
func (p *publisher) run(d time.Duration) error {
	l := p.fleet.load
	defer l.stayAwake(always)()
	for end := time.Now().Add(d); l.err == nil && time.Now().Before(end); {
		p.publish()
		l.poll(time.Now().Add(time.Millisecond))
	}
	return l.err
}

// publish tops the window up once half of it has come back: a write for every
// message would be the load's own ceiling.
func (p *publisher) publish() {
	if len(p.pending) == 0 {
		room := p.window - (p.sent - (p.conn.messages - p.own))
		if room < (p.window+1)/2 {
			return
		}
		p.pending = p.frames[:room*int64(len(p.frame))]
		p.sent += room
	}
	n, errno := rawWrite(int(p.conn.fd), p.pending)
	switch {
	case n > 0:
		p.pending = p.pending[n:]
	case errno != unix.EAGAIN && errno != unix.EINTR:
		p.fleet.load.fail(errno)
	}
}

// finish sends what is pending and waits until everybody has everything.
func (p *publisher) finish() error {
	err := p.fleet.load.wait("the publisher's last frames", patience, func() bool {
		if len(p.pending) > 0 {
			p.publish()
		}
		return len(p.pending) == 0
	})
	if err != nil {
		return err
	}
	return p.fleet.arrived(p.base + p.sent*int64(len(p.fleet.conns)))
}
