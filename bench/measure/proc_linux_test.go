package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseCoreBusyLeavesOutIdleAndWaiting(t *testing.T) {
	const stat = "cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 100 20 3 9999 888 4 5 6 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\n"
	if got, err := parseCoreBusy([]byte(stat), 0); err != nil || got != 1380*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseCoreBusy([]byte(stat), 2); err == nil {
		t.Error("a core that is not there was found")
	}
}

func TestOwnProcessCanBeRead(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil || before <= 0 {
		t.Fatalf("%v, %v", before, err)
	}
	for after := before; after-before < time.Millisecond; {
		if after, err = cpuTime(os.Getpid()); err != nil || after < before {
			t.Fatalf("%v after %v, %v", after, before, err)
		}
	}
	m, err := processMemory(os.Getpid())
	if err != nil || m.rss < m.anon || m.anon < 100 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := readMachine(); err != nil {
		t.Error(err)
	}
	if _, err := kernelMemory(); err != nil {
		t.Error(err)
	}
}

func TestTooFewDescriptorsSayTheNumberAndTheCommand(t *testing.T) {
	if err := descriptorsFor(15000, 20000); err != nil {
		t.Error(err)
	}
	err := descriptorsFor(15000, 4096)
	if err == nil || !strings.Contains(err.Error(), "4096") || !strings.Contains(err.Error(), "ulimit -n 15600") {
		t.Errorf("%v", err)
	}
}

func TestCoresMustBeTwo(t *testing.T) {
	if err := checkCores(0, 0); err == nil {
		t.Error("server and load share a core")
	}
	if err := checkCores(0, 1<<20); err == nil {
		t.Error("a core that is not there")
	}
}

func TestPortsAreFilledInAndDiffer(t *testing.T) {
	args, addresses, err := withPorts([]string{"--listen", "127.0.0.1:PORT", "--admin-listen", "127.0.0.1:PORT", "--drain", "1s"})
	if err != nil || len(addresses) != 2 || addresses[0] == addresses[1] || args[1] != addresses[0].String() || args[5] != "1s" {
		t.Errorf("%v, %v, %v", args, addresses, err)
	}
}

func TestEnvironmentOfTheServerIsClean(t *testing.T) {
	got := cleanEnvironment([]string{"PATH=/bin", "FAIRLEAD_DRAIN=0", "GOGC=400", "GOMAXPROCS=8", "GODEBUG=x", "GOMEMLIMIT=1", "GOFLAGS=-v"})
	if strings.Join(got, " ") != "PATH=/bin GOFLAGS=-v" {
		t.Errorf("%v", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var t1 tail
	for range 1000 {
		t1.Write([]byte("0123456789"))
	}
	t1.Write([]byte("the end\n"))
	if s := t1.String(); len(s) > tailBytes || !strings.HasSuffix(s, "9the end") {
		t.Errorf("%d bytes, %.20q", len(s), s)
	}
}
