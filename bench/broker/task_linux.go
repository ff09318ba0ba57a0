package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long nothing may happen before it is a fault.
const patience = 20 * time.Second

// task is a running `fairlead serve`.
type task struct {
	addr   string
	cmd    *exec.Cmd
	said   said
	exited chan struct{}
}

// limits are lifted that would refuse the load.
var limits = []string{"--message-rate", "0", "--upgrade-rate", "0", "--publish-key", publishKey}

const publishKey = "a-key-for-the-benchmark"

// start starts a task and waits until it is ready.
func (b *bench) start(args ...string) (*task, error) {
	t := &task{exited: make(chan struct{})}
	t.cmd = exec.Command(b.binary, append(append([]string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", ""}, limits...), args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRLEAD_") && !strings.HasPrefix(v, "GO") {
			t.cmd.Env = append(t.cmd.Env, v)
		}
	}
	t.cmd.Stderr = &t.said
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // an interrupted run leaves nothing behind
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = t.cmd.Wait() // how it ended is told by what it said
		close(t.exited)
	}()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(2 * time.Millisecond) {
		select {
		case <-t.exited:
			return nil, t.blame(fmt.Errorf("the task did not start"))
		default:
		}
		if t.addr = t.said.address(); t.addr != "" && t.ready() {
			return t, nil
		}
	}
	t.kill()
	return nil, t.blame(fmt.Errorf("the task was not ready after %v", patience))
}

func (t *task) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.addr+"/ready", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (t *task) pid() int { return t.cmd.Process.Pid }

func (t *task) kill() {
	_ = t.cmd.Process.Kill() // it is gone already if that fails
	<-t.exited
}

// blame adds what the task said to an error.
func (t *task) blame(err error) error {
	return fmt.Errorf("%w\nthe task at %s wrote:\n%s", err, t.addr, t.said.tail())
}

// said is what a task writes.
type said struct {
	mu  sync.Mutex // guards the following
	buf []byte
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf, p...)
	return len(p), nil
}

var listens = regexp.MustCompile(`"address":"([^"]+)"`)

func (s *said) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := listens.FindSubmatch(s.buf); m != nil {
		return string(m[1])
	}
	return ""
}

func (s *said) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(bytes.TrimSpace(s.buf[max(0, len(s.buf)-4096):]))
}
