package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// load is the client side of everything: one epoll set and one read buffer for
// all connections, driven by the goroutine that measures. There is no goroutine
// and no allocation a message, so that one core can take what another sends.
type load struct {
	epoll  int
	conns  []*conn // by descriptor
	buf    []byte
	events []unix.EpollEvent
	err    error // the first fault of any connection
	// awake says that an answer is under way, so that the load must not sleep; nil
	// is never. Waking it would be work of whoever writes (29 % of a write, where
	// this was found out), and the more of it the slower the writer: it would be
	// the load that is measured.
	awake func() bool
}

func always() bool { return true }

// stayAwake is awake until the caller's end: defer l.stayAwake(always)()
func (l *load) stayAwake(while func() bool) (end func()) {
	l.awake = while
	return func() { l.awake = nil }
}

// conn is one client connection.
type conn struct {
	fleet    *fleet
	fd       int32
	stage    stage
	head     []byte // the answer to the upgrade, while it is incomplete
	frames   stream
	messages int64 // since the hello, which does not count
}

type stage uint8

const (
	connecting stage = iota
	upgrading        // the request is sent
	greeting         // the answer is here, the hello is not
	open
	closing // a close frame came and was answered
	gone
)

func newLoad() (*load, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &load{epoll: fd, buf: make([]byte, 256<<10), events: make([]unix.EpollEvent, 512)}, nil
}

// poll waits for events until the deadline at most, and acts on them.
func (l *load) poll(deadline time.Time) {
	// Rounded up: a loop of waits of 0 ms would take the CPU for itself.
	ms := (time.Until(deadline) + time.Millisecond - 1) / time.Millisecond
	if l.awake != nil && l.awake() {
		ms = 0
	}
	n, err := unix.EpollWait(l.epoll, l.events, int(max(0, ms)))
	if err != nil && err != unix.EINTR {
		l.fail(os.NewSyscallError("epoll_wait", err))
	}
	for i := range max(n, 0) {
		ev := &l.events[i]
		if c := l.conns[ev.Fd]; c != nil {
			l.handle(c, ev.Events)
		}
	}
}

// until polls up to a moment.
func (l *load) until(t time.Time) error {
	for l.err == nil && time.Now().Before(t) {
		l.poll(t)
	}
	return l.err
}

// wait polls until done says so. what is for the error when that takes too long.
func (l *load) wait(what string, limit time.Duration, done func() bool) error {
	deadline := time.Now().Add(limit)
	for l.err == nil && !done() {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s", limit, what)
		}
		l.poll(time.Now().Add(50 * time.Millisecond))
	}
	return l.err
}

func (l *load) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

func (l *load) handle(c *conn, events uint32) {
	if c.stage == connecting {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			c.request()
		}
		return
	}
	n, errno := rawRead(int(c.fd), l.buf)
	switch {
	case n > 0:
		c.received(l.buf[:n])
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		c.ended(os.NewSyscallError("read", errno))
	default:
		c.ended(io.EOF)
	}
}

// rawRead does not tell the Go scheduler of each of a million short calls: it
// would take the processor away in between.
func rawRead(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// rawWrite is rawRead's counterpart.
func rawWrite(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// received takes what one read gave.
func (c *conn) received(p []byte) {
	f := c.fleet
	if c.stage == upgrading {
		var err error
		if p, err = c.answer(p); err != nil {
			f.load.fail(err)
			return
		}
	} else {
		f.bytes += int64(len(p))
	}
	for len(p) > 0 {
		messages, op, payload, rest, err := c.frames.next(p)
		if err != nil {
			f.load.fail(err)
			return
		}
		c.count(messages)
		if op != 0 {
			c.control(op, payload)
		}
		p = rest
	}
}

func (c *conn) count(messages int) {
	if messages > 0 && c.stage == greeting {
		c.stage = open
		c.fleet.open++
		messages--
	}
	c.messages += int64(messages)
	c.fleet.messages += int64(messages)
}

// control answers pings and close frames.
func (c *conn) control(op byte, payload []byte) {
	f := c.fleet
	switch op {
	case opPing:
		f.bytes -= int64(2 + len(payload)) // bytes are the messages' alone
		c.send(clientFrame(bitFin|opPong, payload))
	case opClose:
		code, reason := parseClose(payload)
		if f.onClose == nil {
			f.load.fail(fmt.Errorf("the server closed a connection with %d %q", code, reason))
			return
		}
		f.onClose(code, reason)
		c.stage = closing
		c.send(clientFrame(bitFin|opClose, payload[:min(2, len(payload))]))
	}
}

// send writes a short frame. The socket's buffer has room: little is ever sent.
func (c *conn) send(frame []byte) {
	if n, errno := rawWrite(int(c.fd), frame); n != len(frame) {
		c.fleet.load.fail(fmt.Errorf("send a frame: %d of %d bytes: %w", n, len(frame), errno))
	}
}

// ended handles the end of the stream.
func (c *conn) ended(err error) {
	f := c.fleet
	if c.stage == closing && errors.Is(err, io.EOF) {
		c.drop()
		return
	}
	if f.onClose != nil {
		f.lost++
		c.drop()
		return
	}
	f.load.fail(fmt.Errorf("a connection ended without a close frame (%d of %d were open): %w", f.open, len(f.conns), err))
}

// drop closes the descriptor.
func (c *conn) drop() {
	if c.stage == gone {
		return
	}
	if c.stage == open || c.stage == closing {
		c.fleet.open--
	}
	c.stage = gone
	c.fleet.load.conns[c.fd] = nil
	_ = unix.Close(int(c.fd)) // nothing is left to lose
}
