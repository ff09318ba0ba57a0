// Package redistest runs real Redis or Valkey servers on free loopback ports, and a proxy that does to their connections what networks do.
// It knows neither the server under test nor package testing, so that benchmarks may use it too.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTime is how long a server may take to answer, on a machine that is busy with other things.
const startTime = 20 * time.Second

// Server is a server process of the caller's own. Its methods are for one goroutine.
type Server struct {
	Addr string // host:port

	program string
	args    []string
	cmd     *exec.Cmd
	log     log
	exited  chan struct{} // closed after Wait returned
}

// Program is the server's path: REDIS_SERVER, or what is installed.
func Program() (string, error) {
	if p := os.Getenv("REDIS_SERVER"); p != "" {
		return p, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("redis-server was not found: `make setup` installs it, REDIS_SERVER names another")
}

// Start starts a server that keeps its files in dir, with settings beyond the port. Without any it has no persistence.
func Start(dir string, args ...string) (*Server, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	// Another process may take the port between the look and the start: it is then another one's turn.
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), program: program}
		s.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no"}, args...)
		if err = s.Run(); err == nil {
			return s, nil
		}
		if attempt == 3 || !strings.Contains(err.Error(), "Address already in use") {
			return nil, err
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// Run starts the process again, after Kill, and returns when it has loaded its data and answers.
func (s *Server) Run() error {
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = attributes()
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("start %s: %w", s.program, err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is of no interest
		close(exited)
	}(s.cmd, s.exited)
	deadline := time.Now().Add(startTime)
	for {
		answer, err := s.Do("PING")
		if err == nil && answer == "PONG" {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s ended at once:\n%s", s.program, &s.log)
		default:
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("%s at %s does not answer after %v: %w\n%s", s.program, s.Addr, startTime, err, &s.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Kill ends the process at once, like a crash, stopped or not. It does nothing if none runs.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it is gone already if that fails
	<-s.exited
	s.cmd = nil
}

// Signal sends the process a signal: syscall.SIGSTOP makes a server that is there and does not answer.
func (s *Server) Signal(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%v to %s: %w", sig, s.program, err)
	}
	return nil
}

// PID is the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is what the server has written so far, over all its runs.
func (s *Server) Log() string { return s.log.String() }

type log struct {
	mu  sync.Mutex // guards the following
	buf []byte
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
