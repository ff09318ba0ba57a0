package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fleet is the connections to one server.
type fleet struct {
	load     *load
	server   netip.AddrPort
	request  []byte
	deflate  bool
	conns    []*conn
	open     int   // greeted and not closed
	messages int64 // received by all, hellos excluded
	bytes    int64 // the messages' on the wire
	// onClose is told of the server's close frames. Without it they are faults,
	// and so is an end without one; with it, lost counts those.
	onClose func(code uint16, reason string)
	lost    int
}

func (l *load) newFleet(server netip.AddrPort, path string, deflate bool) *fleet {
	return &fleet{load: l, server: server, deflate: deflate, request: upgradeRequest(server.String(), path, deflate)}
}

const (
	// inFlight is how many upgrades are under way at a time: enough to keep the
	// server busy, far less than the listen queue holds.
	inFlight = 128
	// sources is over how many loopback addresses the connections are spread: one
	// has about 28,000 ports, and those of the last run may still be in TIME_WAIT.
	sources = 8
	// patience is how long nothing may happen before it is a fault.
	patience = 10 * time.Second
)

// dial opens n connections and returns when every one has its hello.
func (f *fleet) dial(n int) error {
	defer f.load.stayAwake(always)()
	for f.open < n {
		for len(f.conns) < min(n, f.open+inFlight) {
			if err := f.connect(); err != nil {
				return fmt.Errorf("open connection %d: %w", len(f.conns)+1, err)
			}
		}
		before := f.open
		what := fmt.Sprintf("another connection to open; %d of %d have", before, n)
		if err := f.load.wait(what, patience, func() bool { return f.open > before }); err != nil {
			return err
		}
	}
	return nil
}

// connect starts one connection.
func (f *fleet) connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := f.register(fd); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

func (f *fleet) register(fd int) error {
	// Without it bind would take a port for this address alone, whatever the
	// destination, and ports would run out.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt IP_BIND_ADDRESS_NO_PORT", err)
	}
	source := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + len(f.conns)%sources)}}
	if err := unix.Bind(fd, &source); err != nil {
		return os.NewSyscallError("bind", err)
	}
	to := unix.SockaddrInet4{Addr: f.server.Addr().As4(), Port: int(f.server.Port())}
	if err := unix.Connect(fd, &to); err != nil && err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	for len(f.load.conns) <= fd {
		f.load.conns = append(f.load.conns, nil)
	}
	c := &conn{fleet: f, fd: int32(fd)}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)}
	if err := unix.EpollCtl(f.load.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	f.load.conns[fd] = c
	f.conns = append(f.conns, c)
	return nil
}

// request asks for the upgrade once the connection is made.
func (c *conn) request() {
	l := c.fleet.load
	if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		l.fail(fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(code))))
		return
	}
	c.stage = upgrading
	c.send(c.fleet.request)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.fd}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, int(c.fd), &ev); err != nil {
		l.fail(os.NewSyscallError("epoll_ctl", err))
	}
}

// answer collects the answer to the upgrade and returns what follows it.
func (c *conn) answer(p []byte) (rest []byte, err error) {
	c.head = append(c.head, p...)
	end := bytes.Index(c.head, endOfHead)
	if end < 0 {
		return nil, nil
	}
	if err := checkUpgrade(c.head, c.fleet.deflate); err != nil {
		return nil, err
	}
	rest = c.head[end+len(endOfHead):]
	c.head = nil
	c.stage = greeting
	return rest, nil
}

// pace publishes a burst of messages from the first connection once an interval,
// for so many intervals, and waits until everybody has everything.
func (f *fleet) pace(interval time.Duration, intervals, burst int) error {
	var frames []byte
	for range burst {
		frames = append(frames, clientFrame(finText, message)...)
	}
	return f.passes(intervals, interval, burst, func() { f.conns[0].send(frames) })
}

// passes receives so many messages to everybody once an interval, for so many
// intervals; begin is called at the start of each.
func (f *fleet) passes(intervals int, interval time.Duration, each int, begin func()) error {
	due := f.messages
	defer f.load.stayAwake(func() bool { return f.messages < due })()
	start := time.Now()
	for i := range intervals {
		if err := f.load.until(start.Add(time.Duration(i) * interval)); err != nil {
			return err
		}
		begin()
		due += int64(each) * int64(len(f.conns))
	}
	if err := f.load.until(start.Add(time.Duration(intervals) * interval)); err != nil {
		return err
	}
	return f.arrived(due)
}

// arrived waits until the fleet has received so many messages, as long as more
// keep coming, and fails on more than that.
func (f *fleet) arrived(want int64) error {
	for f.messages < want {
		before := f.messages
		what := fmt.Sprintf("more deliveries; %d are missing", want-before)
		if err := f.load.wait(what, patience, func() bool { return f.messages > before }); err != nil {
			return err
		}
	}
	if f.messages > want {
		return fmt.Errorf("%d messages more than were published", f.messages-want)
	}
	return f.load.err
}

// hangUp resets every connection, so that none waits in TIME_WAIT.
func (f *fleet) hangUp() {
	for _, c := range f.conns {
		if c.stage != gone {
			_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			c.drop()
		}
	}
}
