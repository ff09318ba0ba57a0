//go:build integration

package cluster

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"fairlead/test/fairleadtest"
	"fairlead/test/redistest"
)

const publishKey = "a-key-for-the-cluster-tests"

// cluster is some tasks, their broker, and the load balancer that knows which of them take connections.
type cluster struct {
	t     *testing.T
	redis *redistest.Server
	args  []string
	http  *http.Client

	mu   sync.Mutex             // guards the following
	open []*fairleadtest.Server // where the load balancer sends
}

// setup says what to start. Zero is a Redis without persistence and two tasks beside it.
type setup struct {
	redis   []string // settings
	tasks   int      // default 2
	args    []string // flags of every task
	proxied bool     // the tasks reach Redis through a proxy
}

// roomy is a window that no client of these tests falls out of, however slow the machine.
var roomy = []string{"--history-messages", "50000", "--history-bytes", "67108864"}

func start(t *testing.T, o setup) (*cluster, *redistest.Proxy) {
	t.Helper()
	redis, err := redistest.Start(t.TempDir(), o.redis...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Kill)
	c := &cluster{t: t, redis: redis}
	address := redis.Addr
	var proxy *redistest.Proxy
	if o.proxied {
		if proxy, err = redistest.StartProxy(redis.Addr); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		address = proxy.Addr
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport, Timeout: fairleadtest.WaitTime}
	c.args = append([]string{"--broker", "redis://" + address, "--publish-key", publishKey, "--message-rate", "0", "--upgrade-rate", "0"}, o.args...)
	if o.tasks == 0 {
		o.tasks = 2
	}
	for range o.tasks {
		c.task()
	}
	return c, proxy
}

// task starts one more; of its flags, the later ones count.
func (c *cluster) task(flags ...string) *fairleadtest.Server {
	c.t.Helper()
	s := fairleadtest.Start(c.t, slices.Concat(c.args, flags)...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, s)
	return s
}

// tasks are those that take connections.
func (c *cluster) tasks() []*fairleadtest.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.open)
}

// any is a task at random, another one than not if there is one.
func (c *cluster) any(not *fairleadtest.Server) *fairleadtest.Server {
	all := c.tasks()
	if i := slices.Index(all, not); i >= 0 && len(all) > 1 {
		all = slices.Delete(all, i, i+1)
	}
	return all[rand.IntN(len(all))]
}

// leave takes a task out of the load balancer.
func (c *cluster) leave(s *fairleadtest.Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = slices.DeleteFunc(c.open, func(o *fairleadtest.Server) bool { return o == s })
}

// crash ends a task as a kernel out of memory does: the load balancer finds out later, here when the process is gone.
func (c *cluster) crash(s *fairleadtest.Server) {
	c.t.Helper()
	s.Signal(syscall.SIGKILL)
	s.Wait(fairleadtest.WaitTime)
	c.leave(s)
}

// do runs a command on the broker, behind the tasks' back.
func (c *cluster) do(args ...string) string {
	c.t.Helper()
	answer, err := c.redis.Do(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// eventually is fairleadtest's with a time for whole scenarios.
func (c *cluster) eventually(ask func() error) {
	c.t.Helper()
	fairleadtest.Within(c.t, time.Minute, ask)
}
