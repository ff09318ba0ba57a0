package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program under measurement, alone on its core.
type process struct {
	name   string
	cmd    *exec.Cmd
	said   tail
	exited chan struct{}
	// Set before exited is closed.
	exitErr error
	exitAt  time.Time
}

func newProcess(name, path string, args ...string) *process {
	p := &process{name: name, cmd: exec.Command(path, args...), exited: make(chan struct{})}
	p.cmd.Env = append(cleanEnvironment(os.Environ()), "GOMAXPROCS=1")
	p.cmd.Stderr = &p.said
	// So that an interrupted run leaves nothing behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p
}

// start runs the program on one core, with one processor for its Go scheduler and
// nothing else of ours in its environment. It must be called from a locked
// thread: the child inherits that thread's core, from its first instruction on.
// Pinning it after the start would leave out threads that it had made already.
func (p *process) start(core int) error {
	var home unix.CPUSet
	if err := unix.SchedGetaffinity(0, &home); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	if err := pinThread(0, core); err != nil {
		return err
	}
	err := p.cmd.Start()
	if back := unix.SchedSetaffinity(0, &home); back != nil {
		err = errors.Join(err, os.NewSyscallError("sched_setaffinity", back))
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		err := p.cmd.Wait()
		p.exitAt, p.exitErr = time.Now(), err
		close(p.exited)
	}()
	return nil
}

// cleanEnvironment leaves out what would change the program's behaviour.
func cleanEnvironment(environment []string) []string {
	var clean []string
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "FAIRLEAD_"):
		case name == "GOMAXPROCS", name == "GOGC", name == "GOMEMLIMIT", name == "GODEBUG":
		default:
			clean = append(clean, entry)
		}
	}
	return clean
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process with SIGTERM and says whether it exited well.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill()
		return p.blame(fmt.Errorf("%s did not stop within %v of SIGTERM", p.name, patience))
	}
	if p.exitErr != nil {
		return p.blame(fmt.Errorf("stop %s: %w", p.name, p.exitErr))
	}
	return nil
}

// kill ends the process whatever it does, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it is gone already if that fails
	<-p.exited
}

// blame adds what the process last wrote to an error.
func (p *process) blame(err error) error {
	if said := p.said.String(); said != "" {
		return fmt.Errorf("%w\n%s wrote:\n%s", err, p.name, said)
	}
	return fmt.Errorf("%w (%s wrote nothing)", err, p.name)
}

// server is `fairlead serve`.
type server struct {
	*process
	address netip.AddrPort
	admin   netip.AddrPort
	readyIn time.Duration // exec to the first 200 of /ready
}

// serveArgs are the flags of every measured server; PORT stands for two free
// ones. The limits are lifted that would refuse the load.
func serveArgs(connections int, more ...string) []string {
	return append([]string{
		"serve", "--listen", "127.0.0.1:PORT", "--admin-listen", "127.0.0.1:PORT",
		"--message-rate", "0", "--upgrade-rate", "0", "--max-connections", fmt.Sprint(connections + 100),
	}, more...)
}

// startServer starts the server and waits until it is ready.
func startServer(core int, binary string, args []string) (*server, error) {
	args, addresses, err := withPorts(args)
	if err != nil {
		return nil, err
	}
	s := &server{process: newProcess("fairlead serve", binary, args...), address: addresses[0], admin: addresses[1]}
	began := time.Now()
	if err := s.start(core); err != nil {
		return nil, err
	}
	for {
		status, err := ready(s.address)
		if status == http.StatusOK {
			s.readyIn = time.Since(began)
			return s, nil
		}
		select {
		case <-s.exited:
			return nil, s.blame(fmt.Errorf("the server did not start: %w", s.exitErr))
		default:
		}
		if time.Since(began) > patience {
			s.kill()
			return nil, s.blame(fmt.Errorf("the server was not ready after %v (status %d, %w)", patience, status, err))
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// withPorts puts a free port in place of each PORT.
func withPorts(args []string) (filled []string, addresses []netip.AddrPort, err error) {
	for _, a := range args {
		if strings.HasSuffix(a, ":PORT") {
			// Held until all are found, or one port would be found twice.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, nil, fmt.Errorf("find a free port: %w", err)
			}
			defer l.Close()
			address, err := netip.ParseAddrPort(l.Addr().String())
			if err != nil {
				return nil, nil, fmt.Errorf("find a free port: %w", err)
			}
			addresses = append(addresses, address)
			a = address.String()
		}
		filled = append(filled, a)
	}
	return filled, addresses, nil
}

// ready asks /ready once. A whole HTTP client would cost more than the server's
// start.
func ready(address netip.AddrPort) (status int, err error) {
	nc, err := net.DialTimeout("tcp", address.String(), time.Second)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(nc, "GET /ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
		return 0, fmt.Errorf("%q is no HTTP answer: %w", line, err)
	}
	return status, nil
}

// tail keeps the end of what a process writes.
type tail struct {
	// mu guards the following.
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
