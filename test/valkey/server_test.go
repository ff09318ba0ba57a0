//go:build integration

package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	vk "github.com/valkey-io/valkey-go"
)

// server is a redis-server of the test's own.
type server struct {
	t    testing.TB
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd
}

func program(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("REDIS_SERVER"); p != "" {
		return p
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	t.Fatal("redis-server was not found: `make setup` installs it, REDIS_SERVER names another")
	return ""
}

// freePort is free now; a server that finds it taken meanwhile fails to start, and the test with it.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts a server with settings beyond the port.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	port := freePort(t)
	s := &server{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dir: t.TempDir()}
	s.args = append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", "log", "--save", "", "--daemonize", "no"}, args...)
	t.Cleanup(s.kill)
	s.run()
	return s
}

// run starts the process and waits until it answers.
func (s *server) run() {
	s.t.Helper()
	s.cmd = exec.Command(program(s.t), s.args...)
	s.cmd.Dir = s.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if s.t.Failed() {
			said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Logf("the server says:\n%s", said)
		}
	}()
	eventually(s.t, "the server at "+s.addr+" answers", func() bool {
		c, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		fmt.Fprint(c, "PING\r\n")
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		line := make([]byte, 64)
		n, _ := c.Read(line)
		return strings.HasPrefix(string(line[:n]), "+PONG") || strings.HasPrefix(string(line[:n]), "-NOAUTH")
	})
}

// kill ends the process at once, like a crash.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do runs one command and returns its answer as text; a Redis error fails the test.
func (s *server) do(args ...string) string {
	s.t.Helper()
	text, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return text
}

func (s *server) try(args ...string) (string, error) {
	client, err := vk.NewClient(vk.ClientOption{InitAddress: []string{s.addr}, ForceSingleClient: true, DisableCache: true, PipelineMultiplex: -1})
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	message, err := client.Do(ctx, client.B().Arbitrary(args...).Build()).ToMessage()
	if err != nil {
		return "", err
	}
	value, err := message.ToAny()
	return fmt.Sprint(value), err
}

// startCluster starts n primaries that share the slots.
func startCluster(t testing.TB, n int) []*server {
	t.Helper()
	nodes := make([]*server, n)
	for i := range nodes {
		// A node's bus has port + 10000 unless told otherwise, which may not exist.
		nodes[i] = start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)),
			"--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"), "--cluster-node-timeout", "2000")
	}
	for i, node := range nodes {
		from, to := i*16384/n, (i+1)*16384/n-1
		node.do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.addr)
		bus := ""
		for i, a := range node.args {
			if a == "--cluster-port" {
				bus = node.args[i+1]
			}
		}
		nodes[0].do("CLUSTER", "MEET", host, port, bus)
	}
	eventually(t, "the cluster is whole", func() bool {
		for _, node := range nodes {
			info := node.do("CLUSTER", "INFO")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(n)) {
				return false
			}
			if !strings.Contains(info, "cluster_slots_ok:16384") {
				return false
			}
		}
		return true
	})
	return nodes
}

// eventually waits for a condition, half a minute at most.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited half a minute in vain until %s", what)
		}
	}
}

var errTest = errors.New("made by the test")
