package config

import (
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parse reads a command line as cmd does, with Serve embedded in the subcommand's struct.
func parse(t *testing.T, args ...string) (*Serve, error) {
	t.Helper()
	var cli struct {
		Serve struct{ Serve } `cmd:""`
	}
	parser, err := kong.New(&cli, kong.Name("fairlead"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"serve"}, args...))
	return &cli.Serve.Serve, err
}

func TestServeWithNoFlagIsTheDefaultAndValid(t *testing.T) {
	s, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if d := Default(); !reflect.DeepEqual(*s, d) {
		t.Errorf("parsed %+v\ndefault %+v", *s, d)
	}
	if s.Listen.Addr != ":8080" || s.Broker.URL != "memory" || s.Lifecycle.Drain != 10*time.Second ||
		s.Limits.MaxMessageBytes != 64<<10 || s.Limits.MaxQueueBytes != 1<<20 || !s.Engine.Compression {
		t.Errorf("a default that other parts rely on has changed: %+v", *s)
	}
}

func TestDefaultIgnoresTheEnvironment(t *testing.T) {
	t.Setenv("FAIRLEAD_DRAIN", "nonsense")
	t.Setenv("FAIRLEAD_LISTEN", ":1")
	if d := Default(); d.Lifecycle.Drain != 10*time.Second || d.Listen.Addr != ":8080" {
		t.Errorf("got %+v", d)
	}
}

func TestEveryFlagHasItsVariableAndHelp(t *testing.T) {
	var s Serve
	parser, err := kong.New(&s, kong.NoDefaultHelp())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, flag := range parser.Model.Flags {
		names = append(names, flag.Name)
		want := "FAIRLEAD_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if !slices.Equal(flag.Envs, []string{want}) {
			t.Errorf("--%s: environment %v, want %s", flag.Name, flag.Envs, want)
		}
		if flag.Help == "" || flag.Group == nil {
			t.Errorf("--%s lacks help or a group", flag.Name)
		}
	}
	for _, name := range []string{"listen", "admin-listen", "broker", "drain", "max-message-bytes", "message-rate",
		"upgrade-rate", "max-connections", "allowed-origin"} {
		if !slices.Contains(names, name) {
			t.Errorf("--%s, which tools rely on, is gone", name)
		}
	}
}

func TestAnEnvironmentVariableSetsItsFlagAndTheFlagWins(t *testing.T) {
	t.Setenv("FAIRLEAD_DRAIN", "3s")
	t.Setenv("FAIRLEAD_COMPRESSION", "false")
	t.Setenv("FAIRLEAD_ALLOWED_ORIGIN", "https://a.example.com, https://*.example.org")
	t.Setenv("FAIRLEAD_MESSAGE_RATE", "0")
	s, err := parse(t, "--message-rate", "0.5")
	if err != nil {
		t.Fatal(err)
	}
	if s.Lifecycle.Drain != 3*time.Second || s.Engine.Compression || s.Protection.MessageRate != 0.5 {
		t.Errorf("got %+v", *s)
	}
	policy, err := s.Protection.Origins()
	if err != nil || !policy.Allowed([]string{"https://x.example.org"}, "") {
		t.Errorf("origins %q: %v", s.Protection.AllowedOrigin, err)
	}
}

func TestAnEmptyOriginListAdmitsNobodyMore(t *testing.T) {
	for _, value := range []string{"", " ", "https://a.example.com,"} {
		t.Setenv("FAIRLEAD_ALLOWED_ORIGIN", value)
		s, err := parse(t)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		policy, err := s.Protection.Origins()
		if err != nil || policy.Any() || policy.Allowed([]string{"https://evil.example"}, "") || policy.Allowed([]string{""}, "") {
			t.Errorf("%q: %+v, %v", value, policy, err)
		}
	}
}

func TestFlagsWorkInTheFormsToolsUse(t *testing.T) {
	s, err := parse(t, "--listen", "127.0.0.1:0", "--admin-listen=", "--no-compression", "--upgrade-rate", "0",
		"--allowed-origin", "https://a.example.com", "--allowed-origin", "null", "--drain", "0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen.Admin != "" || s.Engine.Compression || s.Protection.UpgradeRate != 0 || len(s.Protection.AllowedOrigin) != 2 || s.Lifecycle.Drain != 0 {
		t.Errorf("got %+v", *s)
	}
}

func TestValidateReportsEveryFaultAtOnce(t *testing.T) {
	_, err := parse(t, "--listen", "8080", "--admin-listen", "0.0.0.0:9999", "--broker", "kafka://user:secret@host",
		"--drain", "3m", "--ping-interval", "45s", "--max-message-bytes", "5", "--message-rate=-1",
		"--allowed-origin", "https://example.com/,https://*.com", "--poller", "kqueue", "--log-level", "loud",
		"--emf-namespace", "AWS/ECS")
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var flags []string
	for _, fault := range faults {
		flags = append(flags, fault.Flag)
	}
	want := []string{"--listen", "--admin-listen", "--broker", "--ping-interval", "--drain", "--max-message-bytes",
		"--allowed-origin", "--allowed-origin", "--message-rate", "--poller", "--log-level", "--emf-namespace"}
	if !slices.Equal(flags, want) {
		t.Errorf("faults of %v\nwant %v", flags, want)
	}
	text := err.Error()
	if lines := strings.Count(text, "\n"); lines != len(want) {
		t.Errorf("%d lines for %d faults:\n%s", lines, len(want), text)
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the message shows a password:\n%s", text)
	}
}

func TestFaultySettingsAreRefusedByName(t *testing.T) {
	tests := []struct {
		name string
		set  func(*Serve)
		flag string // "": no fault
		says string
	}{
		{"a port that is a word", func(s *Serve) { s.Listen.Addr = ":http" }, "--listen", "number from 0 to 65535"},
		{"a port beyond 65535", func(s *Serve) { s.Listen.Addr = ":65536" }, "--listen", "number from 0 to 65535"},
		{"an IPv6 address without brackets", func(s *Serve) { s.Listen.Addr = "::1:8080" }, "--listen", "too many colons"},
		{"an admin listener on every address", func(s *Serve) { s.Listen.Admin = ":8079" }, "--admin-listen", "loopback"},
		{"an admin listener on a private address", func(s *Serve) { s.Listen.Admin = "10.0.0.1:8079" }, "--admin-listen", "loopback"},
		{"an admin listener on a name that may resolve anywhere", func(s *Serve) { s.Listen.Admin = "localhost.example.com:8079" }, "--admin-listen", "loopback"},
		{"an admin listener on IPv6 loopback", func(s *Serve) { s.Listen.Admin = "[::1]:8079" }, "", ""},
		{"an admin listener on mapped loopback", func(s *Serve) { s.Listen.Admin = "[::ffff:127.0.0.1]:8079" }, "", ""},
		{"an admin listener on localhost", func(s *Serve) { s.Listen.Admin = "localhost:0" }, "", ""},
		{"both listeners on one port", func(s *Serve) { s.Listen.Admin = "127.0.0.1:8080" }, "--admin-listen", "already that of --listen"},
		{"both listeners on one port of two addresses", func(s *Serve) {
			s.Listen.Addr, s.Listen.Admin = "127.0.0.2:8080", "127.0.0.1:8080"
		}, "", ""},
		{"no admin listener", func(s *Serve) { s.Listen.Admin = "" }, "", ""},
		{"a header limit no upgrade fits in", func(s *Serve) { s.Listen.MaxHeaderBytes = 100 }, "--max-header-bytes", "1024"},
		{"no handshake timeout", func(s *Serve) { s.Listen.HandshakeTimeout = 0 }, "--handshake-timeout", "1s to 2m0s"},
		{"a server as the broker", func(s *Serve) { s.Broker.URL = "valkey://cache:6379" }, "", ""},
		{"a broker nobody knows", func(s *Serve) { s.Broker.URL = "kafka://x" }, "--broker", "use memory"},
		{"no broker", func(s *Serve) { s.Broker.URL = "" }, "--broker", "write memory"},
		{"a short publish key", func(s *Serve) { s.Publish.Keys = []string{"short"} }, "--publish-key", "at least 16"},
		{"a publish key with a space", func(s *Serve) { s.Publish.Keys = []string{"with a space in it"} }, "--publish-key", "0x20"},
		{"a window of nothing", func(s *Serve) { s.History.Messages = 0 }, "--history-messages", "outside 1"},
		{"a total smaller than one window", func(s *Serve) { s.History.TotalBytes = 1 << 17 }, "--history-total-bytes", "raise it"},
		{"a drain at once", func(s *Serve) { s.Lifecycle.Drain = 0 }, "", ""},
		{"the longest drain", func(s *Serve) { s.Lifecycle.Drain = 114 * time.Second }, "", ""},
		{"a drain Fargate would kill", func(s *Serve) { s.Lifecycle.Drain = 115 * time.Second }, "--drain", "1m54s"},
		{"a longer close timeout that eats the drain's margin", func(s *Serve) {
			s.Lifecycle.Drain, s.Lifecycle.CloseTimeout = 100*time.Second, 20*time.Second
		}, "--drain", "1m39s"},
		{"a negative drain", func(s *Serve) { s.Lifecycle.Drain = -1 }, "--drain", "outside"},
		{"a drain that just fits stopTimeout", func(s *Serve) { s.Lifecycle.StopTimeout = 16 * time.Second }, "", ""},
		{"a drain beyond stopTimeout", func(s *Serve) { s.Lifecycle.StopTimeout = 15 * time.Second }, "--drain", "--stop-timeout 15s"},
		{"a stopTimeout Fargate does not have", func(s *Serve) { s.Lifecycle.StopTimeout = 3 * time.Minute }, "--stop-timeout", "Fargate"},
		{"a drain beyond the deregistration delay", func(s *Serve) { s.Lifecycle.DeregistrationDelay = 5 * time.Second }, "--drain", "Shorten the drain to 0s"},
		{"a negative deregistration delay", func(s *Serve) { s.Lifecycle.DeregistrationDelay = -1 }, "--deregistration-delay", "real value"},
		{"a ping at half of the idle timeout", func(s *Serve) { s.Lifecycle.PingInterval = 30 * time.Second }, "--ping-interval", "under half"},
		{"a slow ping where there is no load balancer", func(s *Serve) {
			s.Lifecycle.PingInterval, s.Lifecycle.LBIdleTimeout = 4*time.Minute, 0
		}, "", ""},
		{"a ping CloudFront would not wait for", func(s *Serve) {
			s.Lifecycle.PingInterval, s.Lifecycle.LBIdleTimeout = 5*time.Minute, 0
		}, "--ping-interval", "CloudFront"},
		{"an idle timeout no load balancer has", func(s *Serve) { s.Lifecycle.LBIdleTimeout = 2 * time.Hour }, "--lb-idle-timeout", "4000s"},
		{"no write stall timeout", func(s *Serve) { s.Lifecycle.WriteStallTimeout = 0 }, "--write-stall-timeout", "outside"},
		{"no close timeout", func(s *Serve) { s.Lifecycle.CloseTimeout = 0 }, "--close-timeout", "outside"},
		{"the largest message and a queue that holds it", func(s *Serve) {
			s.Limits.MaxMessageBytes, s.Limits.MaxQueueBytes = 64<<20, 65<<20
		}, "", ""},
		{"a message beyond the largest", func(s *Serve) { s.Limits.MaxMessageBytes = 64<<20 + 1 }, "--max-message-bytes", "object store"},
		{"a queue shorter than a message", func(s *Serve) { s.Limits.MaxMessageBytes = 2 << 20 }, "--max-queue-bytes", "at least 2098176"},
		{"negative connections", func(s *Serve) { s.Limits.MaxConnections = -1 }, "--max-connections", "negative"},
		{"a rate that is no number", func(s *Serve) { s.Protection.MessageRate = math.NaN() }, "--message-rate", "no rate"},
		{"an infinite rate", func(s *Serve) { s.Protection.UpgradeRate = math.Inf(1) }, "--upgrade-rate", "no rate"},
		{"a bucket that holds nothing", func(s *Serve) { s.Protection.MessageBurst = 0 }, "--message-burst", "--message-rate 0"},
		{"no limit, hence no bucket", func(s *Serve) { s.Protection.UpgradeRate, s.Protection.UpgradeBurst = 0, 0 }, "", ""},
		{"negative strikes", func(s *Serve) { s.Protection.RateLimitStrikes = -1 }, "--rate-limit-strikes", "negative"},
		{"a compression threshold above every message", func(s *Serve) { s.Engine.CompressionMinBytes = 1 << 20 }, "--compression-min-bytes", "--no-compression"},
		{"a compression threshold without compression", func(s *Serve) { s.Engine.Compression, s.Engine.CompressionMinBytes = false, 0 }, "", ""},
		{"an unknown log format", func(s *Serve) { s.Observe.LogFormat = "xml" }, "--log-format", "auto, json or text"},
		{"a namespace with a space", func(s *Serve) { s.Observe.EMFNamespace = "My App" }, "--emf-namespace", "letters"},
		{"a namespace too long", func(s *Serve) { s.Observe.EMFNamespace = strings.Repeat("x", 256) }, "--emf-namespace", "255"},
		{"a namespace of the longest length", func(s *Serve) { s.Observe.EMFNamespace = strings.Repeat("x", 255) }, "", ""},
		{"a namespace beginning with a colon", func(s *Serve) { s.Observe.EMFNamespace = ":x" }, "--emf-namespace", "colon"},
		{"AWS's namespace in another case", func(s *Serve) { s.Observe.EMFNamespace = "aws/x" }, "--emf-namespace", "reserved"},
		{"a namespace that merely begins like AWS's", func(s *Serve) { s.Observe.EMFNamespace = "AWSome/app" }, "", ""},
		{"no service", func(s *Serve) { s.Observe.Service = "" }, "--service", "1 to 255"},
		{"a metrics interval that drifts over the minutes", func(s *Serve) { s.Observe.MetricsInterval = 40 * time.Second }, "--metrics-interval", "divide a minute"},
		{"a metrics interval that skips minutes", func(s *Serve) { s.Observe.MetricsInterval = 2 * time.Minute }, "--metrics-interval", "divide a minute"},
		{"a task id with a line break", func(s *Serve) { s.Observe.TaskID = "a\nb" }, "--task-id", "letters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := Default()
			test.set(&s)
			err := s.Validate()
			if test.flag == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if faults[0].Flag != test.flag || !strings.Contains(faults[0].Problem, test.says) {
				t.Errorf("got %v, want %s: …%s…", err, test.flag, test.says)
			}
		})
	}
}

func TestEachSectionValidatesItself(t *testing.T) {
	s := Default()
	for _, section := range []interface{ Validate() error }{
		&s.Listen, &s.Broker, &s.Lifecycle, &s.Limits, &s.Protection, &s.Engine, &s.Observe,
	} {
		if err := section.Validate(); err != nil {
			t.Errorf("%T: %v", section, err)
		}
		reflect.ValueOf(section).Elem().SetZero()
		if err := section.Validate(); err == nil {
			if _, mayBeZero := section.(*Protection); !mayBeZero { // no limit at all is a choice
				t.Errorf("%T: the zero value passed", section)
			}
		}
	}
}

func TestEpollIsRefusedWhereItIsNot(t *testing.T) {
	e := Default().Engine
	e.Poller = "epoll"
	if err := e.Validate(); (err == nil) != (runtime.GOOS == "linux") {
		t.Errorf("on %s: %v", runtime.GOOS, err)
	}
}

func TestTheTaskIsNamedByFlagHostOrChance(t *testing.T) {
	host := func() (string, error) { return "ip-10-0-0-1", nil }
	lost := func() (string, error) { return "", errors.New("no name") }
	if got := (&Observe{TaskID: "t1"}).Task(host); got != "t1" {
		t.Errorf("flag: %q", got)
	}
	if got := (&Observe{}).Task(host); got != "ip-10-0-0-1" {
		t.Errorf("host: %q", got)
	}
	a, b := (&Observe{}).Task(lost), (&Observe{}).Task(lost)
	if a == b || len(a) != len("task-")+8 || !madeOfNameCharacters(a) {
		t.Errorf("chance: %q, %q", a, b)
	}
}
