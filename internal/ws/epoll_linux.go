package ws

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// readBuffer is what a poller reads into, lent to one connection at a time.
	readBuffer = 64 << 10
	// pollEvents is how many ready connections one epoll_wait tells of.
	pollEvents = 256

	fdPage   = 1 << 10
	fdPages  = 1 << 10
	fdsLimit = fdPage * fdPages
)

// epollBackend spreads connections over a few pollers.
//
// Interest is level-triggered: each ready connection is read once a turn, so
// that one that always has more cannot starve the rest, and an event that comes
// late, for a number that was reused meanwhile, costs one read that says EAGAIN.
type epollBackend struct {
	pollers []*poller
	next    atomic.Uint32
}

func newEpoll(n int) (backend, error) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	b := &epollBackend{}
	for range n {
		p, err := newPoller()
		if err != nil {
			b.stop()
			return nil, err
		}
		b.pollers = append(b.pollers, p)
	}
	return b, nil
}

// adopt keeps a duplicate of the descriptor and lets go of the net.Conn: its
// poll descriptor in the Go runtime would cost more memory than the Conn.
func (b *epollBackend) adopt(nc net.Conn) (transport, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		// TLS and test pipes have no descriptor to poll.
		return portable{}.adopt(nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate the descriptor: %w", err)
	}
	if fd >= fdsLimit {
		unix.Close(fd)
		return nil, ErrDescriptors
	}
	nc.Close()
	p := b.pollers[int(b.next.Add(1))%len(b.pollers)]
	return &epollConn{poller: p, fd: int32(fd)}, nil
}

func (b *epollBackend) stop() {
	for _, p := range b.pollers {
		p.file.Close() // ends the loop's wait
		p.done.Wait()
	}
}

// poller waits for events on its connections and reads them.
type poller struct {
	fd   int
	file *os.File // owns fd
	done sync.WaitGroup
	// conns finds a connection by its descriptor, in pages made on demand.
	conns [fdPages]atomic.Pointer[[fdPage]atomic.Pointer[Conn]]
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Non-blocking makes os.File hang our epoll into the runtime's: waiting
	// then parks a goroutine instead of holding a thread, which on one CPU
	// saves the scheduler a hand-over for each wake-up.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	raw, err := p.file.SyscallConn()
	if err != nil {
		p.file.Close()
		return nil, err
	}
	p.done.Add(1)
	go p.loop(raw)
	return p, nil
}

func (p *poller) loop(raw syscall.RawConn) {
	defer p.done.Done()
	buf := make([]byte, readBuffer)
	events := make([]unix.EpollEvent, pollEvents)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events, 0)
			if err != nil {
				n = 0
			}
			return n > 0
		})
		if err != nil {
			return // closed by stop
		}
		for i := range events[:n] {
			ev := &events[i]
			c := p.lookup(ev.Fd)
			if c == nil {
				continue // finished earlier in this turn
			}
			if ev.Events&unix.EPOLLOUT != 0 {
				c.writable()
			}
			if ev.Events&^unix.EPOLLOUT != 0 {
				p.read(c, int(ev.Fd), buf)
			}
		}
	}
}

// read takes what one read gives. It trusts the read and not the event's
// flags, so a stale event does no harm.
func (p *poller) read(c *Conn, fd int, buf []byte) {
	n, err := unix.Read(fd, buf)
	switch {
	case n > 0:
		c.received(buf[:n])
	case n == 0 && err == nil:
		c.inputEnded(nil)
	case err != unix.EAGAIN && err != unix.EINTR:
		c.inputEnded(os.NewSyscallError("read", err))
	}
}

func (p *poller) lookup(fd int32) *Conn {
	page := p.conns[fd/fdPage].Load()
	if page == nil {
		return nil
	}
	return page[fd%fdPage].Load()
}

func (p *poller) set(fd int32, c *Conn) {
	slot := &p.conns[fd/fdPage]
	page := slot.Load()
	if page == nil {
		slot.CompareAndSwap(nil, new([fdPage]atomic.Pointer[Conn]))
		page = slot.Load()
	}
	page[fd%fdPage].Store(c)
}

// epollConn is the transport of one descriptor.
type epollConn struct {
	poller  *poller
	fd      int32
	started bool
	waiting bool // EPOLLOUT is asked for
	deaf    bool // and nothing else is
}

const readEvents = unix.EPOLLIN | unix.EPOLLRDHUP

func (t *epollConn) start(c *Conn, wantWrite bool) error {
	t.poller.set(t.fd, c)
	t.started, t.waiting = true, wantWrite
	return t.control(unix.EPOLL_CTL_ADD)
}

func (t *epollConn) control(op int) error {
	ev := unix.EpollEvent{Fd: t.fd}
	if !t.deaf {
		ev.Events |= readEvents
	}
	if t.waiting {
		ev.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(t.poller.fd, op, int(t.fd), &ev))
}

// write is a bare system call: the descriptor does not block, and telling the
// scheduler of each of 15,000 short writes in a row makes it take the processor
// away in between.
func (t *epollConn) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(t.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, errAgain
		case errno != 0:
			return 0, os.NewSyscallError("write", errno)
		case int(n) < len(p):
			return int(n), errAgain
		default:
			return int(n), nil
		}
	}
}

func (t *epollConn) wantWrite(on bool) {
	if t.waiting == on || !t.started {
		return
	}
	t.waiting = on
	// It can fail only for a descriptor that is not registered; reading will
	// find such a connection dead.
	_ = t.control(unix.EPOLL_CTL_MOD)
}

func (t *epollConn) stopRead() {
	t.deaf = true
	_ = t.control(unix.EPOLL_CTL_MOD) // as in wantWrite
}

func (t *epollConn) finishWrite() {
	_ = unix.Shutdown(int(t.fd), unix.SHUT_WR) // fails if the peer is gone
}

func (t *epollConn) hangUp() {
	// A reset frees what the kernel still holds for a peer that does not read.
	_ = unix.SetsockoptLinger(int(t.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Shutdown(int(t.fd), unix.SHUT_RDWR)
}

func (t *epollConn) release() {
	t.poller.set(t.fd, nil)
	_ = unix.Close(int(t.fd)) // also takes it out of the epoll set
}
