//go:build integration

package process

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"fairlead/test/fairleadtest"
)

// emfLine is a line of standard output, with the metrics that it declares.
type emfLine struct {
	fields  map[string]any
	metrics map[string]string // name to unit
}

// emfLines are the whole lines of standard output, each of which must be EMF.
func emfLines(t *testing.T, stdout string) []emfLine {
	t.Helper()
	var lines []emfLine
	for text := range strings.Lines(stdout) {
		if !strings.HasSuffix(text, "\n") {
			break
		}
		var directive struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
		}
		l := emfLine{metrics: map[string]string{}}
		if err := json.Unmarshal([]byte(text), &l.fields); err != nil {
			t.Fatalf("standard output has a line that is not JSON: %q: %v", text, err)
		}
		if err := json.Unmarshal([]byte(text), &directive); err != nil || len(directive.AWS.CloudWatchMetrics) != 1 {
			t.Fatalf("a line of standard output is not EMF: %q: %v", text, err)
		}
		d := directive.AWS.CloudWatchMetrics[0]
		if d.Namespace != "Fairlead" || fmt.Sprint(d.Dimensions) != "[[Service]]" || l.fields["Service"] != "chat" || directive.AWS.Timestamp == 0 {
			t.Errorf("namespace %q, dimensions %v, service %v, time %d", d.Namespace, d.Dimensions, l.fields["Service"], directive.AWS.Timestamp)
		}
		for _, m := range d.Metrics {
			l.metrics[m.Name] = m.Unit
			if l.fields[m.Name] == nil {
				t.Errorf("%s is declared and not there", m.Name)
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// emfUntil waits for a line that is as wanted.
func emfUntil(t *testing.T, s *fairleadtest.Server, want func(emfLine) bool) {
	t.Helper()
	fairleadtest.Eventually(t, func() error {
		for _, l := range emfLines(t, s.Stdout()) {
			if want(l) {
				return nil
			}
		}
		return fmt.Errorf("no such line among\n%s", s.Stdout())
	})
}

func TestEMFLines(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--emf-namespace", "Fairlead", "--service", "chat", "--metrics-interval", "1s", "--drain", "4s", "--log-level", "debug")
	gone := crowd(t, s, 20)
	emfUntil(t, s, func(l emfLine) bool { return l.fields["ActiveConnections"] == 20.0 })
	s.Signal(syscall.SIGTERM)
	emfUntil(t, s, func(l emfLine) bool { return l.fields["State"] == "draining" && l.metrics["DrainRemaining"] == "Count" })
	gone()
	if code := s.Wait(fairleadtest.WaitTime); code != 0 {
		t.Errorf("exit code %d", code)
	}

	if out := s.Stdout(); !strings.HasSuffix(out, "\n") {
		t.Errorf("standard output ends inside of a line: %q", out[max(0, len(out)-100):])
	}
	opened, closed := 0.0, 0.0
	for _, l := range emfLines(t, s.Stdout()) {
		_, there := l.fields["ActiveConnections"]
		_, declared := l.metrics["ActiveConnections"]
		if ready := l.fields["State"] == "ready"; ready != there || ready != declared {
			t.Errorf("state %v: ActiveConnections there: %v, declared: %v", l.fields["State"], there, declared)
		}
		opened += l.fields["ConnectionsOpened"].(float64)
		closed += l.fields["ConnectionsClosed"].(float64)
	}
	if opened != 20 || closed != 20 {
		t.Errorf("all lines together: %v opened and %v closed, want 20 each: the last line comes after the last close", opened, closed)
	}
	if len(s.Logs()) < 5 || strings.Contains(s.Stderr(), "_aws") {
		t.Errorf("standard error is not the log:\n%s", s.Stderr())
	}
}

func TestNothingOnStandardOutputByDefault(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--metrics-interval", "1s", "--log-level", "debug", "--drain", "0s")
	dial(t, s.WebSocket("")).Close()
	s.Stop()
	if s.Stdout() != "" {
		t.Errorf("standard output got %q", s.Stdout())
	}
	if len(s.Logs()) < 5 {
		t.Errorf("the log is\n%s", s.Stderr())
	}
}

// figures are the metrics of a server by name and labels, as Prometheus itself
// reads them.
func figures(t *testing.T, s *fairleadtest.Server) map[string]float64 {
	t.Helper()
	a, err := fairleadtest.Get(s.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(a.Body))
	if err != nil {
		t.Fatalf("/metrics cannot be read: %v", err)
	}
	values := map[string]float64{}
	for name, family := range families {
		if strings.HasPrefix(name, "fairlead_") && family.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range family.GetMetric() {
			key := name
			for _, label := range m.GetLabel() {
				key += fmt.Sprintf(" %s=%s", label.GetName(), label.GetValue())
			}
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				values[key] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				values[key] = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				values[key] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := fairleadtest.Start(t, "--max-connections", "3", "--drain", "60s")
	a, b := dial(t, s.WebSocket("")), dial(t, s.WebSocket(""))
	c := dial(t, s.WebSocket("?channel=other"))
	send(t, a, `"to two"`)
	expect(t, a, `{"message":"to two"}`)
	expect(t, b, `{"message":"to two"}`)
	send(t, a, `nonsense`)
	if _, _, err := a.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	refused(t, s.WebSocket(""))               // full
	refused(t, s.WebSocket("?channel=%20"))   // a bad name
	_, _ = s.Get("/wss"), s.Get("/elsewhere") // one is no handshake
	if err := c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(fairleadtest.WaitTime)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		t.Errorf("the answer to the close: %v", err)
	}
	c.Close()
	s.Connections(2)

	check(t, s, map[string]float64{
		"fairlead_connections_open":                               2,
		"fairlead_connections_opened_total":                       3,
		"fairlead_connections_closed_total code=1000 reason=peer": 1,
		"fairlead_channels":                                       1,
		"fairlead_messages_in_total":                              2,
		"fairlead_messages_out_total":                             2 + 1, // the message twice, the error; greetings do not count
		"fairlead_message_errors_total code=invalid_json":         1,
		"fairlead_message_errors_total code=rate_limited":         0,
		"fairlead_upgrades_refused_total reason=capacity":         1,
		"fairlead_upgrades_refused_total reason=request":          1,
		"fairlead_upgrades_refused_total reason=handshake":        1,
		"fairlead_upgrades_refused_total reason=not_ready":        0,
		"fairlead_handshake_seconds":                              3,
		"fairlead_fanout_pass_seconds":                            1,
		"fairlead_fanout_pass_subscribers":                        1,
		"fairlead_slow_consumers_total":                           0,
		"fairlead_queue_bytes":                                    0,
		"fairlead_state state=ready":                              1,
		"fairlead_state state=draining":                           0,
		"fairlead_drain_remaining":                                0,
		"fairlead_drain_forced_total":                             0,
	})
	got := figures(t, s)
	for _, name := range []string{"fairlead_bytes_in_total", "fairlead_bytes_out_total", "process_open_fds", "process_resident_memory_bytes", "go_goroutines"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}

	raw(t, s, "") // somebody who will not go
	s.Signal(syscall.SIGTERM)
	s.Log("drain started")
	refused(t, s.WebSocket(""))
	check(t, s, map[string]float64{
		"fairlead_state state=ready":                       0,
		"fairlead_state state=draining":                    1,
		"fairlead_upgrades_refused_total reason=not_ready": 1,
	})
	if got := figures(t, s); got["fairlead_drain_remaining"] < 1 || got["fairlead_drain_seconds"] <= 0 {
		t.Errorf("%v remain after %v s", got["fairlead_drain_remaining"], got["fairlead_drain_seconds"])
	}
}

func check(t *testing.T, s *fairleadtest.Server, want map[string]float64) {
	t.Helper()
	got := figures(t, s)
	for name, value := range want {
		if v, there := got[name]; !there || v != value {
			t.Errorf("%s is %v (there: %v), want %v", name, v, there, value)
		}
	}
}
