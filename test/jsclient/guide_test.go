//go:build integration

package jsclient

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

// programs are the guide's, by the name behind the language of a fenced block.
func programs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, m := range regexp.MustCompile("(?ms)^```\\w+ (\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// run says how a program of the guide is started, in a folder of its own.
func run(t *testing.T, dir, name string) *exec.Cmd {
	t.Helper()
	var cmd *exec.Cmd
	switch filepath.Ext(name) {
	case ".mjs":
		// Node before 22 has no WebSocket of its own, and the guide says so.
		prelude := filepath.Join(dir, "websocket.cjs")
		write(t, prelude, `globalThis.WebSocket ??= require("ws");`)
		modules, err := filepath.Abs("node_modules")
		if err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command("node", "--require", prelude, filepath.Join(dir, name))
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	case ".py":
		python := os.Getenv("PYTHON")
		if python == "" {
			t.Fatal("PYTHON is not set: run `make test-integration`")
		}
		cmd = exec.Command(python, filepath.Join(dir, name))
	case ".go":
		// `go run` would leave the program behind when it is killed.
		tool(t, nil, "go", "build", "-o", filepath.Join(dir, "program"), filepath.Join(dir, name))
		cmd = exec.Command(filepath.Join(dir, "program"))
	default:
		t.Fatalf("nobody here knows how to run %s", name)
	}
	return cmd
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Each is cut off again and again while a backend publishes, and must print
// every message once and in order.
func TestTheProgramsOfTheGuide(t *testing.T) {
	installed(t, "ws/package.json")
	all := programs(t)
	if len(all) != 4 {
		t.Fatalf("found %d programs in the guide, want 4", len(all))
	}
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fairleadtest.Start(t, "--publish-key", key)
			wire := newWire(t, server.Addr)
			dir := t.TempDir()
			write(t, filepath.Join(dir, name), strings.ReplaceAll(text, "127.0.0.1:8080", wire.addr))
			write(t, filepath.Join(dir, "fairlead.mjs"), server.Get("/console/fairlead.js").Body)
			lines := start(t, run(t, dir, name))
			server.Connections(1)

			// It is cut off in the middle of each round, and has all of it before the
			// next begins, so that every cut hits a live connection.
			const rounds, messages = 4, 20
			for round := range rounds {
				var want []string
				for i := range messages {
					value := fmt.Sprintf(`{"round": %d, "n": %d}`, round, i)
					want = append(want, publish(t, server, value)+" "+value)
					if i == messages/2 {
						wire.cut()
					}
				}
				for _, line := range want {
					got := next(t, lines)
					// Each language has its own white space in JSON.
					if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(line, " ", "") {
						t.Fatalf("printed %q, want %q", got, line)
					}
				}
			}
		})
	}
}

// publish is the guide's curl; it returns the position.
func publish(t *testing.T, server *fairleadtest.Server, value string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, server.URL("/channels/demo/messages"), strings.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Position string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusAccepted || answer.Position == "" {
		t.Fatalf("publishing answered %s: %v", resp.Status, err)
	}
	return answer.Position
}

// start runs a program until the test ends and returns the lines it prints.
func start(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it runs until it is stopped; if it ended before, next told
		for range lines {
		}
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", cmd, &stderr)
		}
	})
	return lines
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the program ended by itself")
		}
		return line
	case <-time.After(fairleadtest.WaitTime):
		t.Fatalf("nothing was printed for %v", fairleadtest.WaitTime)
	}
	return ""
}

// wire leads to a server and can be cut.
type wire struct {
	addr string

	mu   sync.Mutex // guards the following
	ends map[net.Conn]bool
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String(), ends: make(map[net.Conn]bool)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // closed
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				near.Close()
				continue
			}
			w.keep(near, far)
			all.Go(func() { w.carry(near, far) })
			all.Go(func() { w.carry(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		all.Wait()
	})
	return w
}

func (w *wire) keep(ends ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range ends {
		w.ends[c] = true
	}
}

// carry copies one way; the end of either way is that of both.
func (w *wire) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ends, from)
}

// cut breaks everything that is connected.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.ends {
		c.Close()
	}
}
