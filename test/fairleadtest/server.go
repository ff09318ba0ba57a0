package fairleadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running `fairlead serve`.
type Server struct {
	Addr  string // of the public listener, host:port
	Admin string // the admin listener's URL, without a path

	tb      testing.TB
	cmd     *exec.Cmd
	stdout  output
	stderr  output
	started time.Time
	ready   time.Duration
	exited  chan struct{} // closed after Wait returned
}

// Options say how a server is started. The zero value is a server with no flags
// but its ports.
type Options struct {
	Args []string // after `serve --listen … --admin-listen …`; given twice, a flag's later value counts
	Env  []string // KEY=value
	Bare bool     // no flags but Args: Env or Args must name free ports ("127.0.0.1:0")
}

// Start runs `fairlead serve` on free loopback ports and waits until it is ready.
// When the test ends it is killed, if it still runs.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return StartWith(tb, Options{Args: args})
}

// StartInto has what the server writes go to out, and nowhere else: with no
// log to read ports from, it is given one that was free a moment ago, and no admin
// listener.
func StartInto(tb testing.TB, out *os.File, args ...string) *Server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l.Close()
	s := &Server{tb: tb, exited: make(chan struct{}), Addr: l.Addr().String()}
	s.cmd = exec.Command(Binary(tb), append([]string{"serve", "--listen", s.Addr, "--admin-listen", ""}, args...)...)
	s.cmd.Env = environment(nil)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.run()
	return s
}

// StartWith is Start with more to say.
func StartWith(tb testing.TB, o Options) *Server {
	tb.Helper()
	args := []string{"serve"}
	if !o.Bare {
		// The server picks the ports, so that nobody can take them in between.
		args = append(args, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	}
	s := &Server{tb: tb, exited: make(chan struct{})}
	s.cmd = exec.Command(Binary(tb), append(args, o.Args...)...)
	s.cmd.Env = environment(o.Env)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	s.run(s.findAddresses)
	return s
}

// run starts the process and waits for what must be before /ready is asked, and
// for /ready.
func (s *Server) run(before ...func() error) {
	s.tb.Helper()
	s.started = time.Now()
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatalf("start %s: %v", s.cmd, err)
	}
	go func() {
		_ = s.cmd.Wait() // ProcessState tells
		close(s.exited)
	}()
	s.tb.Cleanup(s.cleanup)
	for _, ask := range append(before, s.askReady) {
		if err := poll(WaitTime, ask); err != nil {
			s.tb.Fatalf("%s: %v", s.cmd, err)
		}
	}
	s.ready = time.Since(s.started)
}

// URL is where path is on the public listener.
func (s *Server) URL(path string) string { return "http://" + s.Addr + path }

// WebSocket is the endpoint's URL; query is "" or begins with "?".
func (s *Server) WebSocket(query string) string { return "ws://" + s.Addr + "/wss" + query }

// PID is the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// ReadyAfter is the time from the start of the process to its first 200 on /ready.
func (s *Server) ReadyAfter() time.Duration { return s.ready }

// Stdout is what the server has written to its standard output so far.
func (s *Server) Stdout() string { return s.stdout.String() }

// Stderr is what the server has written to its standard error so far.
func (s *Server) Stderr() string { return s.stderr.String() }

// Logs are the lines of standard error so far, each of which must be JSON.
func (s *Server) Logs() []Log {
	s.tb.Helper()
	logs, err := ParseLogs(s.Stderr())
	if err != nil {
		s.tb.Errorf("standard error: %v", err)
	}
	return logs
}

// Log waits for a line about message and returns the first.
func (s *Server) Log(message string) Log {
	s.tb.Helper()
	var found Log
	Eventually(s.tb, func() error {
		for _, l := range s.Logs() {
			if l.Message() == message {
				found = l
				return nil
			}
		}
		return fmt.Errorf("no line %q in the log:\n%s", message, s.Stderr())
	})
	return found
}

// Signal sends the process a signal.
func (s *Server) Signal(sig os.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("%v to the server: %v\n%s", sig, err, s.Stderr())
	}
}

// Exited is closed once the process has ended and all it wrote is here.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Wait returns the exit code; the process must end within most.
func (s *Server) Wait(most time.Duration) int {
	s.tb.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(most):
		s.tb.Fatalf("the server did not exit within %v; its log:\n%s", most, s.Stderr())
		return -1
	}
}

// Stop sends SIGTERM and returns the exit code.
func (s *Server) Stop() int {
	s.tb.Helper()
	s.Signal(syscall.SIGTERM)
	return s.Wait(2 * time.Minute)
}

// Answer is an HTTP answer, read whole.
type Answer struct {
	Code   int
	Header http.Header
	Body   string
}

// Get asks a URL, on a connection of its own.
func Get(url string) (Answer, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: WaitTime}
	resp, err := client.Get(url)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("reading %s: %w", url, err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}, nil
}

// Get asks the public listener for a path.
func (s *Server) Get(path string) Answer {
	s.tb.Helper()
	a, err := Get(s.URL(path))
	if err != nil {
		s.tb.Fatal(err)
	}
	return a
}

// Status is what the tests read of /status.
type Status struct {
	State       string
	Connections int
	Drain       *struct {
		Reason    string
		Remaining int
		Forced    int
	}
	Counters struct {
		MessagesIn   int            `json:"messages_in"`
		MessagesOut  int            `json:"messages_out"`
		ClosedByCode map[string]int `json:"closed_by_code"`
	}
}

// Status asks the admin listener.
func (s *Server) Status() Status {
	s.tb.Helper()
	a, err := Get(s.Admin + "/status")
	if err != nil {
		s.tb.Fatalf("%v; the server's log:\n%s", err, s.Stderr())
	}
	var st Status
	if err := json.Unmarshal([]byte(a.Body), &st); err != nil || a.Code != http.StatusOK {
		s.tb.Fatalf("/status answered %d, %q: %v", a.Code, a.Body, err)
	}
	return st
}

// Connections waits until the server counts n.
func (s *Server) Connections(n int) {
	s.tb.Helper()
	Eventually(s.tb, func() error {
		if got := s.Status().Connections; got != n {
			return fmt.Errorf("the server counts %d connections, want %d", got, n)
		}
		return nil
	})
}

// findAddresses reads the ports from the log.
func (s *Server) findAddresses() error {
	if err := s.alive(); err != nil {
		return err
	}
	// Text logs are some test's own business: it names the fields alike.
	text := s.Stderr()
	s.Addr, s.Admin = field(text, "address"), strings.TrimSuffix(field(text, "url"), "/status")
	if s.Addr == "" {
		return fmt.Errorf("it has not said where it listens; its log:\n%s", text)
	}
	return nil
}

// field finds "name":"value" or name=value.
func field(log, name string) string {
	for _, open := range []string{`"` + name + `":"`, " " + name + "="} {
		if _, rest, ok := strings.Cut(log, open); ok {
			if end := strings.IndexAny(rest, "\" \n"); end >= 0 {
				return rest[:end]
			}
		}
	}
	return ""
}

func (s *Server) askReady() error {
	if err := s.alive(); err != nil {
		return err
	}
	a, err := Get(s.URL("/ready"))
	if err == nil && a.Code != http.StatusOK {
		err = fmt.Errorf("/ready answered %d, %q", a.Code, a.Body)
	}
	return err
}

func (s *Server) alive() error {
	select {
	case <-s.exited:
		return fmt.Errorf("it ended with exit code %d (%w)\nstdout: %s\nstderr: %s",
			s.cmd.ProcessState.ExitCode(), errNever, s.Stdout(), s.Stderr())
	default:
		return nil
	}
}

func (s *Server) cleanup() {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.tb.Errorf("kill the server: %v", err)
	}
	<-s.exited
	if s.tb.Failed() {
		s.tb.Logf("the server's log:\n%s", s.Stderr())
	}
}
