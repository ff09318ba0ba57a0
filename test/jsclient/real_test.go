//go:build integration

package jsclient

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
)

const key = "a-key-of-this-test-alone"

// sockets are what it can run on: the package ws, and the class that Node brings
// by itself from 22 on and behind a flag before.
func sockets() map[string][]string {
	kinds := map[string][]string{"ws": {"--test"}}
	if exec.Command("node", "--experimental-websocket", "-e", "WebSocket").Run() == nil {
		kinds["Node's own"] = []string{"--experimental-websocket", "--test"}
	}
	return kinds
}

func TestWithTheRealServer(t *testing.T) {
	installed(t, "ws/package.json")
	for kind, flags := range sockets() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := fairleadtest.Start(t, "--publish-key", key, "--history-messages", "500")
			tool(t, []string{
				"FAIRLEAD_JS=" + module(t, "fairlead.min.mjs"), "FAIRLEAD_SOCKET=" + kind,
				"FAIRLEAD_ADDR=" + server.Addr, "FAIRLEAD_KEY=" + key,
			}, "node", append(flags, "real.test.mjs")...)
		})
	}
}

// event is a line of follow.mjs.
type event struct {
	Type, State, Reason, Cause string
	Code                       int
	Hinted                     bool
	AfterMs                    float64
	From, To, Position         *string
	Value                      string
}

// follower is a client in a process of its own, which goes on while servers come
// and go.
type follower struct {
	t      *testing.T
	events chan event
}

func follow(t *testing.T, url string) *follower {
	t.Helper()
	installed(t, "ws/package.json")
	cmd := exec.Command("node", "follow.mjs")
	cmd.Env = append(os.Environ(), "FAIRLEAD_JS="+module(t, "fairlead.mjs"), "FAIRLEAD_URL="+url)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, events: make(chan event, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("%.200q: %v", lines.Bytes(), err)
			}
			f.events <- e
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		late := time.AfterFunc(fairleadtest.WaitTime, func() { _ = cmd.Process.Kill() }) // Wait tells
		defer late.Stop()
		<-done
		if err := cmd.Wait(); err != nil {
			t.Errorf("the client ended: %v", err)
		}
	})
	return f
}

// until is the first event that is wanted.
func (f *follower) until(wanted func(event) bool) event {
	f.t.Helper()
	late := time.After(fairleadtest.WaitTime)
	for {
		select {
		case e := <-f.events:
			if wanted(e) {
				return e
			}
		case <-late:
			f.t.Fatalf("waited %v for an event", fairleadtest.WaitTime)
		}
	}
}

func is(kind string) func(event) bool {
	return func(e event) bool { return e.Type == kind || e.State == kind }
}

// A server with its memory for a broker takes its history along when it goes. Its
// successor must not be taken for it.
func TestASuccessorIsNotTakenForTheServerThatWent(t *testing.T) {
	first := fairleadtest.Start(t, "--drain", "200ms")
	f := follow(t, first.WebSocket("?channel=drained"))
	opened := f.until(is("open"))
	first.Signal(syscall.SIGTERM)
	lost := f.until(is("waiting"))
	if lost.Cause != "lost" || lost.Code != 1001 || lost.Reason != "Server shutting down" || !lost.Hinted {
		t.Errorf("the drain looked like %+v, want 1001 and a hint", lost)
	}
	if code := first.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("the server exited with %d", code)
	}
	fairleadtest.Start(t, "--listen", first.Addr)
	gap := f.until(is("gap"))
	if opened.Position == nil || gap.From == nil || *gap.From != *opened.Position || gap.To == nil || *gap.To == *gap.From {
		t.Errorf("open at %v, and a gap from %v to %v", opened.Position, gap.From, gap.To)
	}
}
