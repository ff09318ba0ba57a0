package config

import "runtime"

// Engine is how sockets are read and written.
type Engine struct {
	// Poller is auto (epoll on Linux, portable elsewhere), epoll (a few pollers for all connections: under 1 KiB each)
	// or portable (a goroutine a connection: some KiB each). Change it only to compare or to work around a fault.
	Poller string `name:"poller" env:"FAIRLEAD_POLLER" default:"auto" placeholder:"POLLER" help:"auto, epoll (Linux) or portable: a goroutine a connection (${default})."`

	// Compression offers permessage-deflate (RFC 7692) without context takeover: a broadcast is compressed once for
	// everybody, and an idle connection keeps no window. Off saves the CPU of inflating what clients send.
	Compression bool `name:"compression" env:"FAIRLEAD_COMPRESSION" default:"true" negatable:"" help:"Offer permessage-deflate; on by default."`

	// CompressionMinBytes is the size from which a message is compressed. Below 256 bytes a JSON message without
	// context hardly shrinks and rides in one packet either way; raise it to save CPU, lower it where traffic is dear.
	CompressionMinBytes int `name:"compression-min-bytes" env:"FAIRLEAD_COMPRESSION_MIN_BYTES" default:"256" placeholder:"BYTES" help:"Smallest message worth compressing (${default})."`
}

// Validate reports every fault of the section at once.
func (e *Engine) Validate() error {
	var f Faults
	e.validate(&f)
	return f.err()
}

func (e *Engine) validate(f *Faults) {
	switch e.Poller {
	case "auto", "portable":
	case "epoll":
		if runtime.GOOS != "linux" {
			f.add("--poller", "epoll exists on Linux only, and this is %s: use auto or portable", runtime.GOOS)
		}
	default:
		f.add("--poller", "%q is no poller: use auto, epoll or portable", e.Poller)
	}
	if e.Compression {
		number(f, "--compression-min-bytes", e.CompressionMinBytes, 16, maxMessageBytes,
			"below 16 bytes deflate makes a message longer")
	}
}
