package config

import (
	"crypto/rand"
	"strings"
	"time"
)

// Observe is what the task tells about itself.
type Observe struct {
	// LogFormat is json (a line an event, for machines), text (for people) or auto: text on a terminal, else json.
	LogFormat string `name:"log-format" env:"FAIRLEAD_LOG_FORMAT" default:"auto" placeholder:"FORMAT" help:"json, text, or auto: text on a terminal, json otherwise (${default})."`

	// LogLevel is the least level written: debug, info, warn or error. No level writes a line a message.
	LogLevel string `name:"log-level" env:"FAIRLEAD_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error (${default})."`

	// EMFNamespace turns on CloudWatch Embedded Metric Format lines on standard output, under this namespace. Off by
	// default: outside of AWS nobody reads them, and on AWS each metric is billed.
	EMFNamespace string `name:"emf-namespace" env:"FAIRLEAD_EMF_NAMESPACE" placeholder:"NAMESPACE" help:"CloudWatch namespace; writes metrics as EMF lines to standard output. Off unless given."`

	// Service is the one dimension of those metrics. Tasks that share a scaling policy share it.
	Service string `name:"service" env:"FAIRLEAD_SERVICE" default:"fairlead" placeholder:"NAME" help:"Service dimension of CloudWatch metrics (${default})."`

	// MetricsInterval is the time between two EMF lines; every task writes at the same multiples of it. 60 s is the
	// grain of target tracking. Shorter sharpens nothing but the log bill unless alarms are made for it.
	MetricsInterval time.Duration `name:"metrics-interval" env:"FAIRLEAD_METRICS_INTERVAL" default:"60s" placeholder:"TIME" help:"Time between two EMF lines; must divide a minute (${default})."`

	// TaskID names this task in logs and /status. Empty: the host's name, which in a container is its own; without one,
	// a random short id.
	TaskID string `name:"task-id" env:"FAIRLEAD_TASK_ID" placeholder:"ID" help:"Name of this task in logs and status; by default the host's name."`
}

// Validate reports every fault of the section at once.
func (o *Observe) Validate() error {
	var f Faults
	o.validate(&f)
	return f.err()
}

func (o *Observe) validate(f *Faults) {
	switch o.LogFormat {
	case "auto", "json", "text":
	default:
		f.add("--log-format", "%q is no format: use auto, json or text", o.LogFormat)
	}
	switch o.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		f.add("--log-level", "%q is no level: use debug, info, warn or error", o.LogLevel)
	}
	if o.EMFNamespace != "" {
		if problem := namespaceFault(o.EMFNamespace); problem != "" {
			f.add("--emf-namespace", "%q %s", o.EMFNamespace, problem)
		}
	}
	if o.Service == "" || len(o.Service) > 255 || !madeOfNameCharacters(o.Service) || o.Service[0] == ':' {
		f.add("--service", "%q is no service name: use 1 to 255 letters, digits and -_./#:, not beginning with a colon", o.Service)
	}
	if o.MetricsInterval < time.Second || o.MetricsInterval > time.Minute || time.Minute%o.MetricsInterval != 0 {
		f.add("--metrics-interval", "%v does not divide a minute, so that some minutes would have more figures than others and scaling would see it: use 60s, 30s, 20s, 15s, 10s, 5s or 1s", o.MetricsInterval)
	}
	if len(o.TaskID) > 128 || !madeOfNameCharacters(o.TaskID) {
		f.add("--task-id", "%q is no task id: use at most 128 letters, digits and -_./#:", o.TaskID)
	}
}

// nameCharacters are those CloudWatch takes in a namespace, beside letters and digits; used for the other names too.
const nameCharacters = ".-_/#:"

// namespaceFault says what is wrong with a CloudWatch namespace; "" if nothing is.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html: 1–255 characters, not
// beginning with a colon; user guide, "Namespaces": the characters below, and AWS/ is reserved.
func namespaceFault(namespace string) string {
	switch {
	case len(namespace) > 255:
		return "is longer than CloudWatch's 255 characters: shorten it"
	case !madeOfNameCharacters(namespace):
		return "has a character CloudWatch does not take: use letters, digits and -_./#: only"
	case namespace[0] == ':':
		return "begins with a colon, which CloudWatch does not take: begin with a letter or digit"
	case len(namespace) >= 4 && strings.EqualFold(namespace[:4], "aws/"):
		return "begins with AWS/, which is reserved for AWS's own metrics: choose another, such as Fairlead"
	}
	return ""
}

func madeOfNameCharacters(s string) bool {
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte(nameCharacters, c) < 0 {
			return false
		}
	}
	return true
}

// Task is the id to go by: TaskID, else the host's name (os.Hostname), else a random short one.
func (o *Observe) Task(hostname func() (string, error)) string {
	if o.TaskID != "" {
		return o.TaskID
	}
	if name, err := hostname(); err == nil && name != "" {
		return name
	}
	return "task-" + strings.ToLower(rand.Text()[:8])
}
