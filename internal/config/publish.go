package config

import "fmt"

// minPublishKey is the shortest key: 16 characters of base64 are 96 bits, which
// nobody guesses over a network.
const minPublishKey = 16

// Publish is the HTTP API for backends: POST /channels/{channel}/messages.
type Publish struct {
	// Keys are the bearer keys that may publish and ask for a channel's state. Several, so that one can be replaced without a
	// refused request: add the new one, move the backends, remove the old one. The environment variable takes a
	// comma-separated list. Without a key the API is off.
	Keys []string `name:"publish-key" env:"FAIRLEAD_PUBLISH_KEY" placeholder:"KEY" help:"Bearer key that backends publish with, repeatable, at least 16 characters. Without one, publishing over HTTP is off."`

	// Rate is how many publish requests a second the task takes, over all keys; one above it gets 429. 0: no limit, since
	// backends are known and the broker has its own bound. Set it where one backend could starve the clients.
	Rate float64 `name:"publish-rate" env:"FAIRLEAD_PUBLISH_RATE" default:"0" placeholder:"PER-SECOND" help:"Publish requests a second this task takes; 0: no limit (${default})."`
}

// Validate reports every fault of the section at once.
func (p *Publish) Validate() error {
	var f Faults
	p.validate(&f)
	return f.err()
}

func (p *Publish) validate(f *Faults) {
	for i, key := range p.Keys {
		// The key itself stays out of the message: it ends up in logs.
		if len(key) < minPublishKey {
			f.add("--publish-key", "key %d has %d characters: use at least %d, for example from: openssl rand -base64 24", i+1, len(key), minPublishKey)
		} else if bad := unprintable(key); bad != "" {
			f.add("--publish-key", "key %d has %s, which no Authorization header can carry: use visible ASCII characters", i+1, bad)
		}
	}
	if !(p.Rate >= 0 && p.Rate <= maxRate) {
		f.add("--publish-rate", "%v is no rate: give a number from 0 (no limit) to %v a second", p.Rate, maxRate)
	}
}

func unprintable(key string) string {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Sprintf("a byte %#x", key[i])
		}
	}
	return ""
}
