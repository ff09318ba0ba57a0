package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Broker is what carries messages between tasks.
type Broker struct {
	// URL is "memory" or the address of a Valkey or Redis server:
	//
	//	memory
	//	redis://[user:password@]host[:6379][,host:port…][/db][?cluster=auto|yes|no&tls-ca=FILE&tls-insecure]
	//
	// with the schemes redis and valkey, and rediss and valkeys for TLS. memory: channels live in this task, so every client of
	// a channel must be on the same task; right for one task, for development and for tests. Several hosts are tried in turn; of
	// a cluster some are enough.
	URL string `name:"broker" env:"FAIRLEAD_BROKER" default:"memory" placeholder:"BROKER" help:"What carries messages between tasks: memory for a single task, or redis://HOST:PORT, valkey://…, with TLS rediss://…, valkeys://… (${default})."`

	// Prefix begins every key and pub/sub channel on the server. Services that share a server need different ones; the tasks of
	// one service the same.
	Prefix string `name:"broker-prefix" env:"FAIRLEAD_BROKER_PREFIX" default:"fairlead:" placeholder:"PREFIX" help:"What every key on the broker begins with (${default})."`
}

// Memory says whether the broker is the embedded one.
func (b *Broker) Memory() bool { return b.URL == "memory" }

// Kind is memory, or the scheme of the URL: what may be told, since the rest may hold a password.
func (b *Broker) Kind() string {
	kind, _, _ := strings.Cut(b.URL, "://")
	return kind
}

// BrokerAddress is what a broker's URL says.
type BrokerAddress struct {
	Hosts          []string // host:port
	User, Password string
	DB             int
	Cluster        string // auto, yes or no
	TLS            bool
	TLSCA          string // file of the authorities to trust instead of the system's
	TLSInsecure    bool   // DANGER: whoever answers is believed
}

// Validate reports every fault of the section at once.
func (b *Broker) Validate() error {
	var f Faults
	b.validate(&f)
	return f.err()
}

func (b *Broker) validate(f *Faults) {
	if !b.Memory() {
		b.parse(f)
	}
	if b.Prefix == "" || len(b.Prefix) > 64 || strings.ContainsFunc(b.Prefix, func(c rune) bool { return c <= ' ' || c > '~' || c == '{' || c == '}' }) {
		f.add("--broker-prefix", "%q is no prefix: use 1 to 64 visible ASCII characters without braces, which choose the cluster's slot", b.Prefix)
	}
}

// Address reads the URL of a server; for a broker that is not Memory. It reports every fault at once.
func (b *Broker) Address() (BrokerAddress, error) {
	var f Faults
	a := b.parse(&f)
	return a, f.err()
}

// parse keeps everything but scheme, hosts and parameters out of its messages: they end up in logs, and the URL may hold a password.
func (b *Broker) parse(f *Faults) (a BrokerAddress) {
	const flag = "--broker"
	scheme, rest, isURL := strings.Cut(b.URL, "://")
	if !isURL {
		f.add(flag, "this is neither memory nor a URL: write memory, or redis://HOST:PORT")
		return a
	}
	switch scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		a.TLS = true
	default:
		f.add(flag, "a URL with scheme %q is no broker known here: use memory, redis://, rediss://, valkey:// or valkeys://", scheme)
		return a
	}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		a.User, a.Password = credentials(f, rest[:at])
		rest = rest[at+1:]
	}
	hosts, db, hasDB := strings.Cut(rest, "/")
	a.Hosts = brokerHosts(f, hosts)
	if hasDB && db != "" {
		n, err := strconv.ParseUint(db, 10, 16)
		if err != nil {
			f.add(flag, "the database %q is no number: write /0 to /15, or leave it out", db)
		}
		a.DB = int(n)
	}
	a.parameters(f, query)
	if a.Cluster == "yes" && a.DB != 0 {
		f.add(flag, "a cluster has database 0 only, and %d is asked for: leave it out", a.DB)
	}
	return a
}

func credentials(f *Faults, text string) (user, password string) {
	name, secret, _ := strings.Cut(text, ":")
	user, err := url.PathUnescape(name)
	if err == nil {
		password, err = url.PathUnescape(secret)
	}
	if err != nil {
		f.add("--broker", "the user or the password has a percent sign that begins no escape: write it as %%25")
	}
	return user, password
}

func brokerHosts(f *Faults, text string) (hosts []string) {
	for host := range strings.SplitSeq(text, ",") {
		if host == "" {
			f.add("--broker", "a host is missing: write redis://HOST:PORT")
			return nil
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "6379")
		}
		if _, _, err := splitAddress(host); err != nil {
			f.add("--broker", "the host %v", err)
			continue
		}
		hosts = append(hosts, host)
	}
	return hosts
}

func (a *BrokerAddress) parameters(f *Faults, query string) {
	const flag = "--broker"
	a.Cluster = "auto"
	values, err := url.ParseQuery(query)
	if err != nil {
		f.add(flag, "the parameters cannot be read: %v", err)
		return
	}
	for _, name := range sortedKeys(values) {
		value := values.Get(name)
		switch name {
		case "cluster":
			if a.Cluster = value; !slices.Contains([]string{"auto", "yes", "no"}, value) {
				f.add(flag, "cluster=%s is unknown: use auto, yes or no", value)
			}
		case "tls-ca":
			a.TLSCA = value
		case "tls-insecure":
			a.TLSInsecure = value != "no"
		default:
			f.add(flag, "the parameter %q is unknown: use cluster, tls-ca or tls-insecure", name)
		}
	}
	if !a.TLS && (a.TLSCA != "" || a.TLSInsecure) {
		f.add(flag, "tls-ca and tls-insecure need TLS: write rediss:// or valkeys://")
	}
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
