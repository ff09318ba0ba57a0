package config

import "math"

// maxRate bounds the two rates: beyond a million a second there is no limit worth the name.
const maxRate = 1e6

// Protection keeps one client, or many at once, from spoiling the service for the others.
type Protection struct {
	// AllowedOrigin lists the web origins whose pages may connect, beside the server's own; OriginPolicy has the
	// grammar. The environment variable takes a comma-separated list.
	// DANGER: "*" lets every web page in the world connect with its visitor's cookies.
	AllowedOrigin []string `name:"allowed-origin" env:"FAIRLEAD_ALLOWED_ORIGIN" placeholder:"ORIGIN" help:"Web origin whose pages may connect beside the server's own, repeatable: https://example.com, https://*.example.com, http://localhost:*. DANGER: * admits every page of the web."`

	// MessageRate is how many messages a second one connection may send on average (token bucket); one above it is
	// refused with rate_limited. 50 follows a pointer or a game at 50 Hz; a hostile sender is held to 50 fan-out passes
	// a second. 0: no limit.
	MessageRate float64 `name:"message-rate" env:"FAIRLEAD_MESSAGE_RATE" default:"50" placeholder:"PER-SECOND" help:"Messages a second one connection may send; 0: no limit (${default})."`

	// MessageBurst is the bucket's size: how many messages may come at once after a silence. Two seconds' worth lets
	// an application that gathered its messages send them when it returns.
	MessageBurst int `name:"message-burst" env:"FAIRLEAD_MESSAGE_BURST" default:"100" placeholder:"N" help:"Messages one connection may send at once after a silence (${default})."`

	// RateLimitStrikes is how many messages may be refused before the connection is closed with 1008. The count is
	// forgotten when the bucket is full again, that is after burst/rate seconds without sending: an overeager client
	// is told, one that goes on regardless is closed. 100 is one more burst. 0: never closed.
	RateLimitStrikes int `name:"rate-limit-strikes" env:"FAIRLEAD_RATE_LIMIT_STRIKES" default:"100" placeholder:"N" help:"Refused messages before a connection is closed with 1008; 0: never (${default})."`

	// UpgradeRate is how many upgrades a second the task takes; one above it gets 503 with Retry-After. An upgrade costs
	// about 45 µs of CPU, so 1,000 is 5 % of a core, or a fifth of Fargate's smallest quarter: clients that return all
	// at once cannot starve those that are connected. Raise it if a crash of one task must be made good faster
	// (connections ÷ rate = seconds). 0: no limit.
	UpgradeRate float64 `name:"upgrade-rate" env:"FAIRLEAD_UPGRADE_RATE" default:"1000" placeholder:"PER-SECOND" help:"Upgrades a second this task takes; 0: no limit (${default})."`

	// UpgradeBurst is how many upgrades may come at once. Two seconds' worth: about 90 ms of one core.
	UpgradeBurst int `name:"upgrade-burst" env:"FAIRLEAD_UPGRADE_BURST" default:"2000" placeholder:"N" help:"Upgrades this task takes at once (${default})."`
}

// Origins is the policy that AllowedOrigin describes.
func (p *Protection) Origins() (OriginPolicy, error) { return ParseOrigins(p.AllowedOrigin) }

// Validate reports every fault of the section at once.
func (p *Protection) Validate() error {
	var f Faults
	p.validate(&f)
	return f.err()
}

func (p *Protection) validate(f *Faults) {
	_, errs := parseOrigins(p.AllowedOrigin)
	for _, err := range errs {
		f.add("--allowed-origin", "%v", err)
	}
	rate(f, "message", p.MessageRate, p.MessageBurst)
	rate(f, "upgrade", p.UpgradeRate, p.UpgradeBurst)
	if p.RateLimitStrikes < 0 {
		f.add("--rate-limit-strikes", "%d is negative: give a number, or 0 to never close", p.RateLimitStrikes)
	}
}

func rate(f *Faults, what string, perSecond float64, burst int) {
	if !(perSecond >= 0 && perSecond <= maxRate) || math.Signbit(perSecond) { // in this form NaN is caught too
		f.add("--"+what+"-rate", "%v is no rate: give a number from 0 (no limit) to %v a second", perSecond, maxRate)
		return
	}
	if perSecond > 0 {
		number(f, "--"+what+"-burst", burst, 1, 1e7, "a bucket that holds nothing lets nothing through; for no limit set --"+what+"-rate 0")
	}
}
