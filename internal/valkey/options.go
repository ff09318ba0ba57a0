package valkey

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"
)

// ClusterMode says whether the server is a cluster.
type ClusterMode uint8

// The zero value asks the server.
const (
	ClusterAuto ClusterMode = iota
	ClusterYes
	ClusterNo
)

// History bounds the window that the broker keeps of each channel. It is kept until one of the bounds is passed, and up to an eighth
// longer in age and bytes.
type History struct {
	Messages int           // at most so many; default 1000
	Bytes    int           // of payload; default 1 MiB
	Age      time.Duration // since the message was published; default 5 minutes. Idempotency keys are remembered as long
}

// Credentials gives the user and password that are good now, and when they expire; the zero time is never. It is called for each
// task, not for each connection, again before they expire, and never twice at the same time.
type Credentials func(ctx context.Context) (user, password string, expires time.Time, err error)

// Options configures a Broker. Only Hosts is required.
type Options struct {
	// Hosts are addresses, host:port. Of a cluster some are enough: it tells the others. Otherwise they are tried in turn until one
	// answers that is not a replica.
	Hosts []string

	// User and Password; an empty User with a Password is the user "default". Credentials, if set, takes their place.
	User, Password string
	Credentials    Credentials

	// DB is the database number; a cluster has only 0.
	DB int

	Cluster ClusterMode

	// TLS is used if it is not nil. An empty ServerName is taken from the address, whichever server it is.
	TLS *tls.Config

	// Prefix begins every key and every pub/sub channel. Default "fairlead:". It holds no brace, which would take the place of the
	// channel's hash tag. Tasks that are to hear one another have the same.
	Prefix string

	History History

	// Timeout bounds every request, and every connection attempt. After it the server counts as gone and publishers hear
	// "unavailable". Default 2 s: beyond what a healthy server takes by three orders of magnitude, within what a person waits.
	// Larger: forgives a server that stalls (a slow disk, a fork). Smaller: senders know sooner.
	Timeout time.Duration

	// MaxBackoff bounds the wait before the next attempt to connect: a random time below min(MaxBackoff, 50 ms × 2ⁿ) after n
	// failures. Default 2 s: a thousand tasks then bring 1000 attempts a second, which a server that comes back can bear.
	MaxBackoff time.Duration

	// Check is how often each subscribed channel's head is compared, ± 25 %. A lost message that no other follows is found after two
	// of them at most. Default 2 s. With more than 4,000 channels a server it grows, so that a task asks for 2,000 heads a
	// second at most.
	Check time.Duration

	// MaxWaiting bounds the messages that wait to be published or are under way, in bytes of payload and 256 for each. When it is
	// full, Publish waits, up to Timeout. Default 8 MiB: a tenth of a second at what one connection carries.
	MaxWaiting int

	// MaxInbox bounds what has arrived from a server and is not delivered yet, counted alike. When it is full, reading stops, and
	// the server keeps the rest. Default 8 MiB.
	MaxInbox int

	// Log hears of connections made and lost. Default: nothing.
	Log *slog.Logger
}

const (
	minBackoff = 50 * time.Millisecond
	overhead   = 256 // what a waiting message counts in addition to its payload

	// A batch is what one lane has under way.
	maxBatch      = 512
	maxBatchBytes = 1 << 20

	// Messages of a channel that share a call of the script: enough to spread its fixed cost thin, few enough to keep the
	// server's other clients waiting for less than half a millisecond.
	maxTogether      = 64
	maxTogetherBytes = 64 << 10

	// headsPerSecond bounds the comparing of heads.
	headsPerSecond = 2000
)

func (o Options) withDefaults() Options {
	def(&o.Prefix, "fairlead:")
	def(&o.History.Messages, 1000)
	def(&o.History.Bytes, 1<<20)
	def(&o.History.Age, 5*time.Minute)
	def(&o.Timeout, 2*time.Second)
	def(&o.MaxBackoff, 2*time.Second)
	def(&o.Check, 2*time.Second)
	def(&o.MaxWaiting, 8<<20)
	def(&o.MaxInbox, 8<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}
