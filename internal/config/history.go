package config

import "time"

// History is the window of messages that a returning client can resume from.
type History struct {
	// Messages is how many a channel keeps: enough for the longest absence at the channel's rate, 1,000 being five minutes at
	// 3 a second. A replay is at most as long.
	Messages int `name:"history-messages" env:"FAIRLEAD_HISTORY_MESSAGES" default:"1000" placeholder:"N" help:"Messages a channel keeps for clients that return (${default})."`

	// Bytes is how much a channel keeps: payload and 64 bytes for each message. 1 MiB bounds a replay to what a phone takes in
	// seconds.
	Bytes int `name:"history-bytes" env:"FAIRLEAD_HISTORY_BYTES" default:"1048576" placeholder:"BYTES" help:"Bytes a channel keeps (${default})."`

	// Age is how long a message is kept: longer than a deploy's drain and a client's longest back-off together. 5 minutes also
	// covers a phone in a tunnel.
	Age time.Duration `name:"history-age" env:"FAIRLEAD_HISTORY_AGE" default:"5m" placeholder:"TIME" help:"How long a message is kept (${default})."`

	// TotalBytes bounds what all channels of the task keep in memory; windows that nobody is in go first. 64 MiB is an eighth
	// of the smallest Fargate task.
	TotalBytes int `name:"history-total-bytes" env:"FAIRLEAD_HISTORY_TOTAL_BYTES" default:"67108864" placeholder:"BYTES" help:"Bytes all channels of this task keep (${default})."`
}

// Validate reports every fault of the section at once.
func (h *History) Validate() error {
	var f Faults
	h.validate(&f)
	return f.err()
}

func (h *History) validate(f *Faults) {
	number(f, "--history-messages", h.Messages, 1, 1_000_000, "a window is for clients that return; for a log use a database")
	number(f, "--history-bytes", h.Bytes, 1<<10, 1<<30, "it bounds what one returning client is sent at once")
	number(f, "--history-age", h.Age, time.Second, 24*time.Hour, "shorter than a second resumes nobody, longer than a day is a log")
	number(f, "--history-total-bytes", h.TotalBytes, 1<<16, 1<<40, "it must hold at least a small window")
	if h.TotalBytes < h.Bytes {
		f.add("--history-total-bytes", "%d is less than --history-bytes %d, so no channel could ever keep that much: raise it or lower the other", h.TotalBytes, h.Bytes)
	}
}
