package config

const (
	// minMessageBytes: less than a control frame's 125 bytes of payload (RFC 6455 §5.5) would be a joke.
	minMessageBytes = 128
	// maxMessageBytes: beyond 64 MiB a message is a file, and belongs in an object store.
	maxMessageBytes = 64 << 20
	// queueSlack is what a message grows by on its way out, `{"message":…,"position":"…"}` and the frame header,
	// rounded up.
	queueSlack = 1 << 10
)

// Limits bound what one connection, and all of them, may hold.
type Limits struct {
	// MaxMessageBytes bounds one message of a client, inflated; a longer one closes its connection with 1009 before
	// its payload is read. 64 KiB holds any chat or telemetry message. Every byte is multiplied by the subscribers, so
	// raise it only as far as the application needs.
	MaxMessageBytes int `name:"max-message-bytes" env:"FAIRLEAD_MAX_MESSAGE_BYTES" default:"65536" placeholder:"BYTES" help:"Largest message from a client, after inflating (${default})."`

	// MaxQueueBytes bounds the output that waits for one connection that reads too slowly; beyond it that connection
	// is closed with 1013. 1 MiB is 16 of the longest messages, or 10,000 of 100 bytes: several seconds of a busy
	// channel. Frames are shared by the subscribers of a channel, so many slow readers of one channel do not cost 1 MiB
	// each. Higher forgives longer stalls; lower makes laggards reconnect sooner.
	MaxQueueBytes int `name:"max-queue-bytes" env:"FAIRLEAD_MAX_QUEUE_BYTES" default:"1048576" placeholder:"BYTES" help:"Output that may wait for one slow connection before it is closed (${default})."`

	// MaxConnections is how many WebSockets the task holds; beyond it an upgrade gets 503 with Retry-After. 0 derives
	// it: min((descriptors − reserve), (memory − 64 MiB) / 12 KiB), see Capacity. Lower it to spread connections over
	// more tasks, so that one task's death sends fewer clients back at once.
	MaxConnections int `name:"max-connections" env:"FAIRLEAD_MAX_CONNECTIONS" default:"0" placeholder:"N" help:"WebSockets this task holds; 0 derives it from file descriptors and memory (${default})."`
}

// Validate reports every fault of the section at once.
func (l *Limits) Validate() error {
	var f Faults
	l.validate(&f)
	return f.err()
}

func (l *Limits) validate(f *Faults) {
	number(f, "--max-message-bytes", l.MaxMessageBytes, minMessageBytes, maxMessageBytes,
		"what is longer than 64 MiB belongs in an object store, with its address in the message")
	number(f, "--max-queue-bytes", l.MaxQueueBytes, minMessageBytes+queueSlack, 1<<30,
		"it must hold a message and be bounded")
	if need := l.MaxMessageBytes + queueSlack; l.MaxMessageBytes <= maxMessageBytes && l.MaxQueueBytes < need {
		f.add("--max-queue-bytes", "%d cannot hold one message of --max-message-bytes %d, so the longest messages would close their readers: give at least %d",
			l.MaxQueueBytes, l.MaxMessageBytes, need)
	}
	if l.MaxConnections < 0 {
		f.add("--max-connections", "%d is negative: give a number, or 0 to derive it from the host", l.MaxConnections)
	}
}
