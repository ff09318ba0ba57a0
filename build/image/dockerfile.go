package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stage is the last stage of the Dockerfile: what the image says of itself and
// which paths it holds, in the order they are copied.
type stage struct {
	config v1.Config
	copied []string
}

// readStage reads the last stage of the Dockerfile at name, with the build
// arguments args. It knows the instructions in use there and refuses any other:
// one that it skipped would be a difference between the two images.
func readStage(name string, args map[string]string) (*stage, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the Dockerfile: %w", err)
	}
	s := &stage{}
	for i, line := range instructions(string(text)) {
		word, rest, _ := strings.Cut(line, " ")
		if err := s.apply(word, strings.TrimSpace(rest), args); err != nil {
			return nil, fmt.Errorf("%s, instruction %d, %s: %w", name, i+1, word, err)
		}
	}
	return s, nil
}

// instructions joins continued lines, drops comments, and returns what follows
// the last FROM, with it.
func instructions(text string) []string {
	var lines []string
	last := 0
	var pending string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if head, continued := strings.CutSuffix(line, `\`); continued {
			pending += head
			continue
		}
		line, pending = pending+line, ""
		if strings.HasPrefix(line, "FROM ") {
			last = len(lines)
		}
		lines = append(lines, line)
	}
	return lines[last:]
}

func (s *stage) apply(instruction, rest string, args map[string]string) error {
	c := &s.config
	switch instruction {
	case "FROM":
		if rest != "scratch" {
			return fmt.Errorf("the last stage starts from %q, want scratch", rest)
		}
	case "ARG":
		name, _, _ := strings.Cut(rest, "=")
		if _, ok := args[name]; !ok {
			return fmt.Errorf("the image builder gives no argument %s", name)
		}
	case "LABEL":
		return s.label(rest, args)
	case "COPY":
		fields := strings.Fields(rest)
		if len(fields) != 3 || !strings.HasPrefix(fields[0], "--from=") || strings.HasSuffix(fields[2], "/") {
			return errors.New("want --from=STAGE, a file, and the file it becomes")
		}
		s.copied = append(s.copied, fields[2])
	case "USER":
		c.User = rest
	case "EXPOSE":
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[rest+"/tcp"] = struct{}{}
	case "STOPSIGNAL":
		c.StopSignal = rest
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &c.Entrypoint)
	case "CMD":
		return json.Unmarshal([]byte(rest), &c.Cmd)
	case "HEALTHCHECK":
		return s.healthcheck(rest)
	default:
		return errors.New("the image builder does not know this instruction")
	}
	return nil
}

// label reads NAME="VALUE" pairs; a value may name a build argument as $NAME.
func (s *stage) label(rest string, args map[string]string) error {
	if s.config.Labels == nil {
		s.config.Labels = map[string]string{}
	}
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(value)
		if !ok || err != nil {
			return fmt.Errorf(`want NAME="VALUE" at %q`, rest)
		}
		plain, err := strconv.Unquote(quoted)
		if err != nil {
			return fmt.Errorf("value of %s: %w", name, err)
		}
		s.config.Labels[name] = os.Expand(plain, func(arg string) string { return args[arg] })
		rest = strings.TrimSpace(value[len(quoted):])
	}
	return nil
}

func (s *stage) healthcheck(rest string) error {
	options, command, ok := strings.Cut(rest, "CMD ")
	if !ok {
		return errors.New("want OPTIONS CMD [COMMAND]")
	}
	h := &v1.HealthConfig{}
	for _, option := range strings.Fields(options) {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "--interval":
			h.Interval, err = time.ParseDuration(value)
		case "--timeout":
			h.Timeout, err = time.ParseDuration(value)
		case "--start-period":
			h.StartPeriod, err = time.ParseDuration(value)
		case "--retries":
			h.Retries, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown option %s", name)
		}
		if err != nil {
			return err
		}
	}
	if err := json.Unmarshal([]byte(command), &h.Test); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	h.Test = append([]string{"CMD"}, h.Test...)
	s.config.Healthcheck = h
	return nil
}
