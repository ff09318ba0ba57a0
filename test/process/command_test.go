//go:build integration

package process

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"fairlead/test/fairleadtest"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	r := fairleadtest.Run(t, nil, "version")
	if r.Code != 0 || r.Stderr != "" || !regexp.MustCompile(`^fairlead \S+ go1\.\d+\S* linux/\w+\n$`).MatchString(r.Stdout) {
		t.Errorf("%+v", r)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}, {"serve", "--help"}} {
		r := fairleadtest.Run(t, nil, args...)
		if r.Code != 0 || r.Stderr != "" || !strings.Contains(r.Stdout, "Usage: fairlead") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	// Every flag of serve names its variable.
	help := fairleadtest.Run(t, nil, "serve", "--help").Stdout
	for _, m := range regexp.MustCompile(`(?m)^ +--(?:\[no-\])?([a-z-]+)[ =]`).FindAllStringSubmatch(help, -1) {
		if variable := "$FAIRLEAD_" + strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")); !strings.Contains(help, variable) {
			t.Errorf("--%s: the help does not name %s", m[1], variable)
		}
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--drain", "30s")
	for _, c := range []struct {
		env, args []string
	}{
		{[]string{"FAIRLEAD_LISTEN=" + s.Addr}, nil},
		{nil, []string{"--listen", s.Addr}},
		{[]string{"FAIRLEAD_LISTEN=127.0.0.1:1"}, []string{"--listen", s.Addr}},
		{nil, []string{"--listen", strings.Replace(s.Addr, "127.0.0.1", "0.0.0.0", 1)}},
		{nil, []string{"--listen", strings.Replace(s.Addr, "127.0.0.1", "", 1)}},
	} {
		if r := fairleadtest.Run(t, c.env, append([]string{"healthcheck"}, c.args...)...); r.Code != 0 || r.Stdout != "Ok\n" || r.Stderr != "" {
			t.Errorf("%q %q: %+v, want Ok and exit code 0", c.env, c.args, r)
		}
	}

	// A draining task is alive, or its health check would have it killed.
	for range 5 {
		raw(t, s, "")
	}
	s.Signal(syscall.SIGTERM)
	s.Log("drain started")
	if r := fairleadtest.Run(t, nil, "healthcheck", "--listen", s.Addr); r.Code != 0 {
		t.Errorf("while draining: %+v, want exit code 0", r)
	}
	s.Signal(syscall.SIGTERM)
	s.Wait(fairleadtest.WaitTime)
	if r := fairleadtest.Run(t, nil, "healthcheck", "--listen", s.Addr); r.Code != 1 || !strings.Contains(r.Stderr, "refused") || r.Stdout != "" {
		t.Errorf("with nobody there: %+v, want exit code 1 and why", r)
	}
	if r := fairleadtest.Run(t, nil, "healthcheck", "--listen", "nonsense"); r.Code == 0 || !strings.Contains(r.Stderr, "host:port") {
		t.Errorf("with a bad address: %+v, want what to write", r)
	}
}

// A server that has stopped answering, though it is there, is not healthy.
func TestHealthcheckOfAStoppedProcess(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t)
	s.Signal(syscall.SIGSTOP)
	r := fairleadtest.Run(t, nil, "healthcheck", "--listen", s.Addr, "--timeout", "300ms")
	s.Signal(syscall.SIGCONT)
	if r.Code != 1 || r.Stderr == "" {
		t.Errorf("%+v, want exit code 1 and why", r)
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want []string // parts of what standard error says
	}{
		{"many faults are told at once", nil,
			[]string{"--drain", "500s", "--listen", "nowhere", "--poller", "magic", "--log-level", "loud", "--emf-namespace", "AWS/x", "--max-queue-bytes", "10",
				"--broker", "carrier-pigeon", "--allowed-origin", "https://*", "--max-connections=-1", "--message-rate=-1", "--metrics-interval", "7s", "--admin-listen", "0.0.0.0:1"},
			[]string{"settings need attention", "--drain: 8m20s", "--listen:", "--poller:", "--log-level:", "--emf-namespace:", "--max-queue-bytes:",
				"--broker:", "--allowed-origin:", "--max-connections:", "--message-rate:", "--metrics-interval:", "--admin-listen:"}},
		{"variables are checked alike", []string{"FAIRLEAD_DRAIN=500s", "FAIRLEAD_POLLER=magic"}, nil, []string{"2 settings", "--drain", "--poller"}},
		{"a variable that is no duration is named", []string{"FAIRLEAD_DRAIN=soon"}, nil, []string{"--drain", "soon", "FAIRLEAD_DRAIN"}},
		{"a flag nobody knows", nil, []string{"--drian", "1s"}, []string{"--drian", "--drain"}},
		{"timing that does not fit", nil, []string{"--drain", "30s", "--stop-timeout", "30s"}, []string{"--drain", "--stop-timeout 30s", "24s"}},
		{"a ping that is too slow for the load balancer", nil, []string{"--ping-interval", "30s"}, []string{"--ping-interval", "--lb-idle-timeout"}},
	} {
		r := fairleadtest.Run(t, c.env, append([]string{"serve"}, c.args...)...)
		if r.Code != 2 || r.Stdout != "" {
			t.Errorf("%s: exit code %d, stdout %q, want 2 and nothing", c.name, r.Code, r.Stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(r.Stderr, want) {
				t.Errorf("%s: %q is not in\n%s", c.name, want, r.Stderr)
			}
		}
	}
	// Nothing of a secret in a broker's address may be repeated.
	if r := fairleadtest.Run(t, nil, "serve", "--broker", "redis://user:s3cret@host:port"); r.Code != 2 || strings.Contains(r.Stderr, "s3cret") {
		t.Errorf("%+v", r)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	for _, c := range []struct{ public, admin, flag string }{
		{addr, "127.0.0.1:0", "--listen"},
		{"127.0.0.1:0", addr, "--admin-listen"},
	} {
		r := fairleadtest.Run(t, nil, "serve", "--listen", c.public, "--admin-listen", c.admin)
		lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
		last := lines[len(lines)-1]
		if r.Code != 1 || r.Stdout != "" || !strings.Contains(last, c.flag+":") || !strings.Contains(last, addr) || !strings.Contains(last, "in use") || !strings.Contains(last, "another port") {
			t.Errorf("%s: exit code %d, last line %q, want 1, the flag, the address and what to do", c.flag, r.Code, last)
		}
	}
}

func TestMoreConnectionsThanDescriptors(t *testing.T) {
	t.Parallel()
	r := fairleadtest.Run(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--max-connections", "2000000000")
	if r.Code == 0 || !strings.Contains(r.Stderr, "--max-connections") || !strings.Contains(r.Stderr, "ulimit -n") {
		t.Errorf("%+v, want what to do about it", r)
	}
}

func TestEnvironmentVariables(t *testing.T) {
	t.Parallel()
	s := fairleadtest.StartWith(t, fairleadtest.Options{Bare: true, Env: []string{
		"FAIRLEAD_LISTEN=127.0.0.1:0", "FAIRLEAD_ADMIN_LISTEN=127.0.0.1:0", "FAIRLEAD_DRAIN=1s", "FAIRLEAD_MAX_CONNECTIONS=1",
		"FAIRLEAD_TASK_ID=task-of-mine", "FAIRLEAD_POLLER=portable", "FAIRLEAD_COMPRESSION=false", "FAIRLEAD_LOG_FORMAT=json",
		"FAIRLEAD_ALLOWED_ORIGIN=https://a.example.com,https://b.example.com", "FAIRLEAD_MAX_MESSAGE_BYTES=300",
	}})
	started := s.Log("starting")
	for field, want := range map[string]string{"task": "task-of-mine", "poller": "portable", "max_connections": "1", "max_connections_by": "setting", "pid": fmt.Sprint(s.PID())} {
		if got := started.Text(field); got != want && !(field == "pid" && started[field] == float64(s.PID())) {
			t.Errorf("%s is %q in the log, want %q", field, got, want)
		}
	}
	c := dial(t, s.WebSocket(""))
	if a := refused(t, s.WebSocket("")); a.Code != 503 {
		t.Errorf("the second connection: %d, want 503", a.Code)
	}
	send(t, c, `"`+strings.Repeat("x", 299)+`"`)
	if _, _, err := c.ReadMessage(); err == nil || !strings.Contains(err.Error(), "1009") {
		t.Errorf("301 bytes: %v, want 1009", err)
	}
}

// What is said about compression does not matter where there is none.
func TestSmallMessagesWithoutCompression(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--no-compression", "--max-message-bytes", "200")
	dial(t, s.WebSocket(""))
}

// A flag on the command line beats its variable.
func TestFlagsBeatVariables(t *testing.T) {
	t.Parallel()
	s := fairleadtest.StartWith(t, fairleadtest.Options{Env: []string{"FAIRLEAD_LISTEN=127.0.0.1:1", "FAIRLEAD_TASK_ID=a"}, Args: []string{"--task-id", "b"}})
	if l := s.Log("starting"); l.Text("task") != "b" {
		t.Errorf("the task is %q, want b", l.Text("task"))
	}
}

func TestTextLog(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--log-format", "text", "--log-level", "debug")
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(s.Stderr()) {
		if !strings.HasPrefix(line, "time=") || !strings.Contains(line, " level=") || !strings.Contains(line, " msg=") {
			t.Errorf("a line of the text log is %q", line)
		}
	}
	if s.Stdout() != "" {
		t.Errorf("standard output got %q", s.Stdout())
	}
}

// A disk that is full must not matter to a server of sockets.
func TestTheLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatalf("this needs Linux's /dev/full: %v", err)
	}
	defer full.Close()
	s := fairleadtest.StartInto(t, full)
	outlives(t, s)
}

// Nor must a log collector that died: without care the next line would end the
// process by SIGPIPE, and every connection with it.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := fairleadtest.StartInto(t, writer, "--emf-namespace", "Fairlead", "--metrics-interval", "1s")
	writer.Close()
	reader.Close()
	outlives(t, s)
}

// outlives wants an ordinary drain, which writes to the log.
func outlives(t *testing.T, s *fairleadtest.Server) {
	t.Helper()
	c := dial(t, s.WebSocket(""))
	s.Signal(syscall.SIGTERM)
	if _, err := leaves(c); err != nil {
		t.Error(err)
	}
	c.Close()
	if code := s.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
