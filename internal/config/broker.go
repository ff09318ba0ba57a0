package config

import "strings"

// Broker is what carries messages between tasks.
type Broker struct {
	// URL is "memory": channels live in this task, so every client of a channel must be on the same task. Right for one
	// task, for development and for tests.
	URL string `name:"broker" env:"FAIRLEAD_BROKER" default:"memory" placeholder:"BROKER" help:"What carries messages between tasks; in this version: memory, for a single task (${default})."`
}

// Kind is memory, or the scheme of the URL: what may be told, since the rest may hold a password.
func (b *Broker) Kind() string {
	kind, _, _ := strings.Cut(b.URL, "://")
	return kind
}

// Validate reports every fault of the section at once.
func (b *Broker) Validate() error {
	var f Faults
	b.validate(&f)
	return f.err()
}

func (b *Broker) validate(f *Faults) {
	if b.URL == "memory" {
		return
	}
	scheme, _, isURL := strings.Cut(b.URL, "://")
	switch {
	case isURL && knownLater(scheme): // the rest of the URL stays out of the message: it may hold a password
		f.add("--broker", "%s:// is not available in this version: use memory, and one task", scheme)
	case isURL:
		f.add("--broker", "a URL with scheme %q is no broker known here: use memory", scheme)
	default:
		f.add("--broker", "%q is no broker known here: use memory", b.URL)
	}
}

func knownLater(scheme string) bool {
	switch scheme {
	case "redis", "rediss", "valkey", "valkeys":
		return true
	}
	return false
}
