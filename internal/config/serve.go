// Package config holds the settings of `fairlead serve`: one struct a concern, each with its flags, environment
// variables, defaults and their reasons, and a Validate that reports every fault at once. It also reads what the host
// allows (file descriptors, memory) and says how many connections fit, and it holds the Origin policy.
//
// A default is written once, in the `default` tag of its field; Default() reads those tags. Rejected: kong's
// DefaultEnvars, which derives the variables' names, because a name that is written down can be searched for.
package config

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// Serve is everything `fairlead serve` can be told. With no flag at all it serves on port 8080 with the broker in
// memory. cmd embeds it; kong calls Validate after parsing.
type Serve struct {
	Listen     Listen     `embed:"" group:"Listeners"`
	Broker     Broker     `embed:"" group:"Channels"`
	History    History    `embed:"" group:"Channels"`
	Publish    Publish    `embed:"" group:"Publishing"`
	Lifecycle  Lifecycle  `embed:"" group:"Timing"`
	Limits     Limits     `embed:"" group:"Limits"`
	Protection Protection `embed:"" group:"Protection"`
	Engine     Engine     `embed:"" group:"Engine"`
	Observe    Observe    `embed:"" group:"Logs and metrics"`
}

// Validate reports every fault of the settings at once, as Faults; nil if there is none. It looks at nothing but the
// settings: whether the host can bear them is Host.Capacity's question.
func (s *Serve) Validate() error {
	var f Faults
	s.Listen.validate(&f)
	s.Broker.validate(&f)
	s.History.validate(&f)
	s.Publish.validate(&f)
	s.Lifecycle.validate(&f)
	s.Limits.validate(&f)
	s.Protection.validate(&f)
	s.Engine.validate(&f)
	s.Observe.validate(&f)

	// What concerns two sections.
	if s.Engine.Compression && s.Engine.CompressionMinBytes > s.Limits.MaxMessageBytes && s.Limits.MaxMessageBytes >= minMessageBytes {
		f.add("--compression-min-bytes", "%d is more than --max-message-bytes (%d), so nothing would ever be compressed: lower it, or say --no-compression",
			s.Engine.CompressionMinBytes, s.Limits.MaxMessageBytes)
	}
	return f.err()
}

// Default returns the settings as they are with no flag and no environment variable. It reads the struct tags, so it
// cannot disagree with the command line.
func Default() Serve {
	var s Serve
	parser, err := kong.New(&s, kong.Name("serve"), kong.NoDefaultHelp(), kong.PostBuild(withoutEnvironment))
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil { // a tag of this package is wrong: no input can cause it
		panic(fmt.Errorf("reading the default settings: %w", err))
	}
	return s
}

func withoutEnvironment(k *kong.Kong) error {
	for _, flag := range k.Model.Flags {
		flag.Envs, flag.Tag.Envs = nil, nil
	}
	return nil
}
