package ws

import (
	"errors"
	"fmt"
	"time"
)

// Backend is how sockets are read and written.
type Backend uint8

const (
	// BackendAuto is epoll on Linux and portable elsewhere.
	BackendAuto Backend = iota
	// BackendEpoll is a few pollers for all connections; Linux only.
	BackendEpoll
	// BackendPortable is a goroutine and a small buffer for each connection.
	BackendPortable
)

// ParseBackend reads auto, epoll or portable.
func ParseBackend(s string) (Backend, error) {
	switch s {
	case "", "auto":
		return BackendAuto, nil
	case "epoll":
		return BackendEpoll, nil
	case "portable":
		return BackendPortable, nil
	}
	return 0, fmt.Errorf("unknown poller %q: use auto, epoll or portable", s)
}

// Options sets an engine up. The zero value works.
type Options struct {
	Backend Backend
	// Pollers is the number of epoll pollers; 0 means GOMAXPROCS. Each owns a
	// 64 KiB read buffer.
	Pollers int

	// MaxMessageBytes bounds one message, inflated; beyond it the connection
	// is closed with 1009. 0 means 64 KiB.
	MaxMessageBytes int
	// MaxQueueBytes bounds what waits for one connection that does not read;
	// beyond it the connection is closed with 1013. The frames are shared, so
	// the bound is on age more than on memory. 0 means 1 MiB.
	MaxQueueBytes int
	// MinDeflateBytes is the size under which Conn.WriteMessage does not
	// compress. 0 means DefaultMinDeflate.
	MinDeflateBytes int

	// PingInterval is the time between pings to one connection; a connection
	// from which neither a control frame nor the end of a message came between
	// two of them is dropped, so
	// silence is noticed after one to two intervals. 0 means 25 s, which is
	// under half of a load balancer's usual 60 s idle timeout. Under 0: never.
	PingInterval time.Duration
	// WriteStall drops a connection whose peer took no byte for so long while
	// output waited. 0 means 30 s.
	WriteStall time.Duration
	// CloseTimeout is how long a close frame may wait for its answer. 0 means 5 s.
	CloseTimeout time.Duration
}

// DefaultMinDeflate is where compression begins to pay on JSON: below it the
// saving is a few bytes in one packet.
const DefaultMinDeflate = 256

func (o *Options) setDefaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	setTime := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.MaxMessageBytes, 64<<10)
	set(&o.MaxQueueBytes, 1<<20)
	set(&o.MinDeflateBytes, DefaultMinDeflate)
	setTime(&o.PingInterval, 25*time.Second)
	setTime(&o.WriteStall, 30*time.Second)
	setTime(&o.CloseTimeout, 5*time.Second)
}

// ErrBackend says that the platform has no such backend.
var ErrBackend = errors.New("ws: the epoll poller exists on Linux only")

// ErrShutdown says that the engine takes no more connections.
var ErrShutdown = errors.New("ws: the engine is shut down")

// ErrDescriptors says that a descriptor's number is beyond the poller's table
// (2^20, Fargate's largest limit).
var ErrDescriptors = errors.New("ws: descriptor number too large")
