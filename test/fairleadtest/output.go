package fairleadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// output keeps what a process writes while others read it.
type output struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Log is one line of the server's log.
type Log map[string]any

// Text is a field as a string; "" if it has none.
func (l Log) Text(field string) string {
	if l[field] == nil {
		return ""
	}
	return fmt.Sprint(l[field])
}

// Message is what the line is about.
func (l Log) Message() string { return l.Text("msg") }

// ParseLogs reads whole lines of JSON; the error names the first line that is
// something else. A last line without its end is left out.
func ParseLogs(text string) ([]Log, error) {
	var logs []Log
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var l Log
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return logs, fmt.Errorf("the line %q is not JSON: %w", line, err)
		}
		logs = append(logs, l)
	}
	return logs, nil
}
