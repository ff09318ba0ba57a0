package config

import "time"

const (
	// minGrace is the least time connections closed at the end of the window get to answer.
	minGrace = 5 * time.Second
	// exitTime is for what comes after the connections: HTTP requests under way, the last metrics, the exit itself.
	exitTime = time.Second
	// fargateStop is the longest stopTimeout Fargate accepts; after it comes SIGKILL.
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
	fargateStop = 120 * time.Second
	// cloudFrontSilence is how long CloudFront keeps a WebSocket on which the origin sends nothing; not adjustable.
	cloudFrontSilence = 10 * time.Minute
	// Ranges of an Application Load Balancer: idle timeout 1–4000 s, deregistration delay 0–3600 s.
	maxIdleTimeout    = 4000 * time.Second
	maxDeregistration = 3600 * time.Second
)

// Lifecycle is the timing of connections and of the task: one budget,
//
//	ping < idle timeout / 2
//	drain + margin ≤ deregistration delay
//	drain + margin ≤ stopTimeout ≤ 120 s
//
// where margin is the close time-out (5 s at least) and 1 s for the exit. What surrounds the server is declared, not asked for: the
// process cannot see the load balancer's settings.
type Lifecycle struct {
	// Drain is the window over which the closes are spread when the task stops: each second 1/window of the clients
	// return elsewhere. Longer is gentler on the tasks that take them over; 0 closes all at once. 10 s fits ECS's
	// default stopTimeout of 30 s with room to spare.
	Drain time.Duration `name:"drain" env:"FAIRLEAD_DRAIN" default:"10s" placeholder:"TIME" help:"Window over which connections are closed at shutdown; 0: all at once (${default})."`

	// PingInterval is the time between two pings. It must beat every idle timeout on the way by a factor of two, so
	// that one lost ping cuts nobody: 25 s is under half of a load balancer's usual 60 s. A silent peer is noticed
	// after one to two intervals. Shorter notices sooner and costs a write a connection each time.
	PingInterval time.Duration `name:"ping-interval" env:"FAIRLEAD_PING_INTERVAL" default:"25s" placeholder:"TIME" help:"Time between two pings to a connection (${default})."`

	// WriteStallTimeout drops a connection whose peer took no byte for so long while output waited. Lower frees memory
	// sooner, higher survives a phone in a tunnel.
	WriteStallTimeout time.Duration `name:"write-stall-timeout" env:"FAIRLEAD_WRITE_STALL_TIMEOUT" default:"30s" placeholder:"TIME" help:"Drop a connection whose peer takes no byte for so long (${default})."`

	// CloseTimeout is how long the answer to a close frame is awaited (RFC 6455 §7.1.1). It is part of the drain's
	// margin; lower cuts slow clients, higher lengthens every shutdown with a vanished client.
	CloseTimeout time.Duration `name:"close-timeout" env:"FAIRLEAD_CLOSE_TIMEOUT" default:"5s" placeholder:"TIME" help:"Time to await the answer to a close frame (${default})."`

	// LBIdleTimeout declares the load balancer's idle timeout; nothing but the budget uses it. 60 s is an Application
	// Load Balancer's default. 0: no load balancer, not checked.
	LBIdleTimeout time.Duration `name:"lb-idle-timeout" env:"FAIRLEAD_LB_IDLE_TIMEOUT" default:"60s" placeholder:"TIME" help:"The load balancer's idle timeout, to check --ping-interval against; 0: not checked (${default})."`

	// DeregistrationDelay declares the target group's delay, after which the load balancer breaks what is still open.
	// 0: unknown, not checked.
	DeregistrationDelay time.Duration `name:"deregistration-delay" env:"FAIRLEAD_DEREGISTRATION_DELAY" default:"0" placeholder:"TIME" help:"The target group's deregistration delay, to check --drain against; 0: not checked (${default})."`

	// StopTimeout declares the container's stopTimeout, after which ECS kills it. 0: unknown; then only Fargate's
	// maximum of 120 s is checked.
	StopTimeout time.Duration `name:"stop-timeout" env:"FAIRLEAD_STOP_TIMEOUT" default:"0" placeholder:"TIME" help:"The container's stopTimeout, to check --drain against; 0: only Fargate's 120s is (${default})."`
}

// Grace is how long after the drain window the connections closed last may take to answer.
func (l *Lifecycle) Grace() time.Duration { return max(minGrace, l.CloseTimeout) }

// Margin is the time needed between the end of the drain window and the end of the process: Grace and the exit.
func (l *Lifecycle) Margin() time.Duration { return l.Grace() + exitTime }

// Validate reports every fault of the section at once.
func (l *Lifecycle) Validate() error {
	var f Faults
	l.validate(&f)
	return f.err()
}

func (l *Lifecycle) validate(f *Faults) {
	number(f, "--write-stall-timeout", l.WriteStallTimeout, time.Second, 10*time.Minute,
		"shorter cuts clients on poor networks, longer keeps queues of clients that are gone")
	number(f, "--close-timeout", l.CloseTimeout, time.Second, time.Minute,
		"a client far away needs a second to answer; every shutdown waits this long for a client that never does")
	l.validatePing(f)
	l.validateDrain(f)
}

func (l *Lifecycle) validatePing(f *Faults) {
	if l.PingInterval < time.Second || l.PingInterval >= cloudFrontSilence/2 {
		f.add("--ping-interval", "%v is outside 1s to under 5m: CloudFront closes a WebSocket on which the server was silent for 10 minutes, and one ping may be lost", l.PingInterval)
	}
	switch {
	case l.LBIdleTimeout == 0:
	case l.LBIdleTimeout < time.Second || l.LBIdleTimeout > maxIdleTimeout:
		f.add("--lb-idle-timeout", "%v is outside 1s to 4000s, what an Application Load Balancer can be set to: give its value, or 0 where there is none", l.LBIdleTimeout)
	case l.PingInterval >= time.Second && l.PingInterval >= l.LBIdleTimeout-l.PingInterval:
		f.add("--ping-interval", "%v is not under half of --lb-idle-timeout %v, so one lost ping lets the load balancer cut the connection: ping more often, or declare the real idle timeout (0: no load balancer)",
			l.PingInterval, l.LBIdleTimeout)
	}
}

func (l *Lifecycle) validateDrain(f *Faults) {
	margin := l.Margin()
	longest := max(0, fargateStop-margin)
	if l.Drain < 0 || l.Drain > longest {
		f.add("--drain", "%v is outside 0s to %v: ECS kills a Fargate task at the latest %v after SIGTERM, and the last closes need %v",
			l.Drain, longest, fargateStop, margin)
	}
	l.fits(f, "--stop-timeout", l.StopTimeout, fargateStop, "Fargate's maximum", "ECS would kill the task before its last connections are closed")
	l.fits(f, "--deregistration-delay", l.DeregistrationDelay, maxDeregistration, "an Application Load Balancer's maximum", "the load balancer would cut connections before they are closed")
}

// fits checks drain + margin against one declared time of the surroundings.
func (l *Lifecycle) fits(f *Faults, flag string, declared, most time.Duration, whose, consequence string) {
	switch need := l.Drain + l.Margin(); {
	case declared == 0:
	case declared < 0 || declared > most:
		f.add(flag, "%v is outside 0s to %v, %s: give the real value, or 0 if unknown", declared, most, whose)
	case l.Drain >= 0 && l.Drain <= fargateStop && need > declared:
		f.add("--drain", "%v and a margin of %v do not fit in %s %v: %s. Shorten the drain to %v or raise the other",
			l.Drain, l.Margin(), flag, declared, consequence, max(0, declared-l.Margin()))
	}
}
