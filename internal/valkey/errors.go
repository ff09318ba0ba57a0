package valkey

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	vk "github.com/valkey-io/valkey-go"

	"fairlead/internal/hub"
)

// Cause says in one word why a message was not taken, for metrics.
type Cause uint8

// The causes, in the order of Stats.Failed.
const (
	CauseOther    Cause = iota
	CauseRefused        // nobody answers at the address, or its name is not known
	CauseTimeout        // no answer in time
	CauseLost           // the connection ended while the message was under way
	CauseAuth           // user, password or permissions
	CauseReadonly       // the server is a replica
	CauseMemory         // the server has no memory left
	CauseLoading        // the server is starting
	CauseCluster        // the cluster is down, or a slot is moving
	CauseOverload       // too much waits in this task already
	CauseClosed         // this task is stopping
	causes
)

var causeNames = [causes]string{"other", "refused", "timeout", "lost", "auth", "readonly", "memory", "loading", "cluster", "overload", "closed"}

// String is the label of a metric.
func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return "other"
}

// Causes lists all of them.
func Causes() []Cause {
	all := make([]Cause, causes)
	for i := range all {
		all[i] = Cause(i)
	}
	return all
}

// failure is what went wrong, in words. It wraps hub.ErrUnavailable, and never quotes a password: what it quotes is what a server
// said, and servers do not repeat those.
type failure struct {
	cause Cause
	words string
	err   error // may be nil
}

func (f *failure) Error() string {
	if f.err == nil {
		return f.words
	}
	return f.words + ": " + f.err.Error()
}

func (f *failure) Unwrap() []error {
	if f.err == nil {
		return []error{hub.ErrUnavailable}
	}
	return []error{hub.ErrUnavailable, f.err}
}

var (
	errBrokerClosed = &failure{CauseClosed, "the broker's connections were closed", nil}
	errOverload     = &failure{CauseOverload, "too many messages wait for the broker already", nil}
	errUnknownYet   = &failure{CauseLost, "not connected to the broker yet", nil}
)

// explain says what err means, as a failure.
func explain(addr string, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if said, ok := replied(err); ok {
		return explainReply(addr, string(said))
	}
	at := func(cause Cause, words string) *failure {
		return &failure{cause, fmt.Sprintf("broker %s: %s", addr, words), err}
	}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &certificate), errors.As(err, &unknown):
		return at(CauseAuth, "its certificate is not trusted (?tls-ca=FILE names another authority)")
	case errors.As(err, &dns):
		return at(CauseRefused, "its name was not found")
	case errors.Is(err, syscall.ECONNREFUSED):
		return at(CauseRefused, "connection refused; is it running?")
	case errors.Is(err, context.Canceled):
		return errBrokerClosed
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return at(CauseTimeout, "no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{CauseLost, fmt.Sprintf("broker %s: it closed the connection", addr), nil}
	case errors.Is(err, vk.ErrClosing), errors.Is(err, net.ErrClosed):
		return &failure{CauseLost, fmt.Sprintf("broker %s: the connection was closed", addr), nil}
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return at(CauseTimeout, "no answer in time")
	}
	return at(CauseLost, "the connection failed")
}

// replies are the first words of the server's errors.
var replies = map[string]struct {
	cause Cause
	words string
}{
	"NOAUTH":      {CauseAuth, "it wants a user and password, and none was given"},
	"WRONGPASS":   {CauseAuth, "it does not accept this user and password"},
	"NOPERM":      {CauseAuth, "this user lacks a permission"},
	"READONLY":    {CauseReadonly, "it is a read-only replica and takes no messages"},
	"NOREPLICAS":  {CauseReadonly, "it takes no messages because it has too few replicas"},
	"OOM":         {CauseMemory, "it is out of memory (maxmemory)"},
	"MISCONF":     {CauseMemory, "it cannot save to disk, and takes no messages meanwhile"},
	"LOADING":     {CauseLoading, "it is starting and loads its data"},
	"BUSY":        {CauseLoading, "a script keeps it busy"},
	"MASTERDOWN":  {CauseReadonly, "it is a replica and has lost its primary"},
	"CLUSTERDOWN": {CauseCluster, "the cluster is down"},
	"MOVED":       {CauseCluster, "the channel's slot is at another server"},
	"ASK":         {CauseCluster, "the channel's slot is moving"},
	"TRYAGAIN":    {CauseCluster, "the channel's slot is moving"},
	"NOSCRIPT":    {CauseOther, "it forgets its scripts"},
}

func explainReply(addr, said string) *failure {
	quoted := reply(strings.TrimSpace(said))
	if r, ok := replies[quoted.word()]; ok {
		return &failure{r.cause, fmt.Sprintf("broker %s: %s", addr, r.words), quoted}
	}
	if strings.Contains(said, "max number of clients") {
		return &failure{CauseRefused, fmt.Sprintf("broker %s: it has too many connections (maxclients)", addr), quoted}
	}
	if strings.Contains(said, "SELECT is not allowed in cluster") {
		return &failure{CauseCluster, fmt.Sprintf("broker %s: it is a cluster, which has only database 0: leave the number out of the URL", addr), nil}
	}
	if strings.Contains(said, "unknown command") || strings.Contains(said, "NOPROTO") {
		return &failure{CauseOther, fmt.Sprintf("broker %s: it lacks what Redis 7.0 and Valkey have", addr), quoted}
	}
	return &failure{CauseOther, fmt.Sprintf("broker %s: it refused", addr), quoted}
}

// reply is an error that a server answered: the command was not executed, or its script ended with this.
type reply string

func (r reply) Error() string { return string(r) }

// replied takes such an error out of err, where the library's form of it may be.
func replied(err error) (reply, bool) {
	if said, ok := vk.IsValkeyErr(err); ok {
		return reply(said.Error()), true
	}
	return errors.AsType[reply](err)
}

func (r reply) word() string {
	word, _, _ := strings.Cut(string(r), " ")
	return word
}

// mayRetry reports whether the server did not execute the command for a reason that passes within moments.
func mayRetry(err error) bool {
	said, ok := replied(err)
	if !ok {
		return false
	}
	switch said.word() {
	case "MOVED", "ASK", "TRYAGAIN", "NOSCRIPT":
		return true
	}
	return false
}

// unknownScript reports whether the server does not have the script.
func unknownScript(err error) bool {
	said, ok := replied(err)
	return ok && said.word() == "NOSCRIPT"
}

// misrouted reports whether the error says that this task's picture of the cluster is out of date.
func misrouted(err error) bool {
	said, ok := replied(err)
	if !ok {
		return false
	}
	switch said.word() {
	case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN":
		return true
	}
	return false
}
