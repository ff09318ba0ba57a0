package telemetry

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scrape reads /metrics as a scraper does; series as they stand in the text.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", answer.Code, answer.Body)
	}
	series := map[string]float64{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[line[:i]] = value
	}
	return series
}

// sum adds up a family's series over their labels.
func sum(series map[string]float64, family string) (total float64) {
	for name, value := range series {
		if name == family || strings.HasPrefix(name, family+"{") {
			total += value
		}
	}
	return total
}

// fixed is a task with figures that can all be told apart.
type fixed struct {
	mu                                                                   sync.Mutex // guards the following
	state                                                                string
	open, channels, queue, in, out, bytesIn, bytesOut, remaining, forced int64
	elapsed                                                              time.Duration
}

func (f *fixed) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
}

func locked[T any](f *fixed, p *T) func() T {
	return func() T {
		f.mu.Lock()
		defer f.mu.Unlock()
		return *p
	}
}

func (f *fixed) sources() Sources {
	return Sources{
		State: locked(f, &f.state), Connections: locked(f, &f.open), Channels: locked(f, &f.channels),
		QueueBytes: locked(f, &f.queue), MessagesIn: locked(f, &f.in), MessagesOut: locked(f, &f.out),
		BytesIn: locked(f, &f.bytesIn), BytesOut: locked(f, &f.bytesOut), DrainRemaining: locked(f, &f.remaining),
		DrainForced: locked(f, &f.forced), DrainElapsed: locked(f, &f.elapsed),
	}
}

func busy() *fixed {
	return &fixed{state: "ready", open: 1, channels: 2, queue: 3, in: 4, out: 5, bytesIn: 6, bytesOut: 7, remaining: 8, forced: 9,
		elapsed: 1500 * time.Millisecond}
}

func TestEveryFigureReachesPrometheus(t *testing.T) {
	m := NewMetrics("v1")
	m.Attach(busy().sources())
	m.ConnectionOpened(3 * time.Millisecond)
	m.ConnectionClosed(1000, ClosedByPeer)
	m.ConnectionClosed(1013, ClosedSlowConsumer)
	m.UpgradeRefused(RefusedOrigin)
	m.MessageRefused(ErrorInvalidJSON)
	m.FanoutPass(2*time.Millisecond, 100, 3)

	got := scrape(t, m)
	for series, want := range map[string]float64{
		`fairlead_connections_open`:                                             1,
		`fairlead_channels`:                                                     2,
		`fairlead_queue_bytes`:                                                  3,
		`fairlead_messages_in_total`:                                            4,
		`fairlead_messages_out_total`:                                           5,
		`fairlead_bytes_in_total`:                                               6,
		`fairlead_bytes_out_total`:                                              7,
		`fairlead_drain_remaining`:                                              8,
		`fairlead_drain_forced_total`:                                           9,
		`fairlead_drain_seconds`:                                                1.5,
		`fairlead_state{state="ready"}`:                                         1,
		`fairlead_state{state="draining"}`:                                      0,
		`fairlead_connections_opened_total`:                                     1,
		`fairlead_handshake_seconds_sum`:                                        0.003,
		`fairlead_connections_closed_total{code="1000",reason="peer"}`:          1,
		`fairlead_connections_closed_total{code="1013",reason="slow_consumer"}`: 1,
		`fairlead_slow_consumers_total`:                                         1,
		`fairlead_upgrades_refused_total{reason="origin"}`:                      1,
		`fairlead_upgrades_refused_total{reason="rate"}`:                        0,
		`fairlead_message_errors_total{code="invalid_json"}`:                    1,
		`fairlead_fanout_pass_seconds_count`:                                    1,
		`fairlead_fanout_pass_subscribers_sum`:                                  100,
		`fairlead_fanout_pass_messages_sum`:                                     3,
	} {
		if value, there := got[series]; !there || value != want {
			t.Errorf("%s is %v (there: %v), want %v", series, value, there, want)
		}
	}
	for _, family := range []string{"go_goroutines", "fairlead_build_info"} {
		if sum(got, family) < 1 {
			t.Errorf("%s is missing", family)
		}
	}
	if byCode := m.ClosedByCode(); !maps.Equal(byCode, map[string]int64{"1000": 1, "1013": 1}) {
		t.Errorf("closed by code: %v", byCode)
	}
}

func TestMetricsKeepToPrometheusHabits(t *testing.T) {
	m := NewMetrics("v1")
	families, err := m.own.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestMetricsAreZeroBeforeTheSourcesAreAttached(t *testing.T) {
	got := scrape(t, NewMetrics("v1"))
	if got["fairlead_connections_open"] != 0 || got[`fairlead_state{state="starting"}`] != 1 {
		t.Error("not at rest")
	}
}

func TestSourcesThatAreLeftOutReadZero(t *testing.T) {
	m := NewMetrics("v1")
	m.Attach(Sources{Connections: func() int64 { return 5 }})
	if got := scrape(t, m); got["fairlead_connections_open"] != 5 || got["fairlead_bytes_in_total"] != 0 {
		t.Error("wrong figures")
	}
	s := reflect.ValueOf(Sources{}.orZero())
	for i := range s.NumField() {
		if s.Field(i).IsNil() {
			t.Errorf("%s stays nil", s.Type().Field(i).Name)
		}
	}
}

func TestNoClientCanMakeSeriesWithoutEnd(t *testing.T) {
	m := NewMetrics("v1")
	for code := range uint16(10_000) {
		m.ConnectionClosed(code, CloseReason(fmt.Sprint("because ", code)))
	}
	m.UpgradeRefused("no idea")
	m.MessageRefused("no idea")
	got := scrape(t, m)
	for series, want := range map[string]float64{
		`fairlead_connections_closed_total{code="1000",reason="other"}`:  1,
		`fairlead_connections_closed_total{code="3xxx",reason="other"}`:  1000,
		`fairlead_connections_closed_total{code="4xxx",reason="other"}`:  1000,
		`fairlead_connections_closed_total{code="other",reason="other"}`: 10_000 - 2000 - 16,
		`fairlead_upgrades_refused_total{reason="other"}`:                1,
		`fairlead_message_errors_total{code="other"}`:                    1,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
	n := 0
	for series := range got {
		if strings.HasPrefix(series, "fairlead_connections_closed_total") {
			n++
		}
	}
	if n > 20 {
		t.Errorf("%d series of closed connections", n)
	}
}

func TestMetricsMayBeUsedFromEverywhereAtOnce(t *testing.T) {
	m := NewMetrics("v1")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				m.ConnectionOpened(time.Millisecond)
				m.ConnectionClosed(1001, ClosedByDrain)
				m.FanoutPass(time.Millisecond, 10, 1)
				m.Attach(Sources{})
			}
		})
	}
	all.Go(func() { scrape(t, m) })
	all.Wait()
	if got := m.ClosedByCode()["1001"]; got != 800 {
		t.Errorf("%d of 800 closes", got)
	}
}

func TestAFanoutPassIsRecordedWithoutAllocating(t *testing.T) {
	m := NewMetrics("v1")
	if n := testing.AllocsPerRun(100, func() { m.FanoutPass(time.Millisecond, 5000, 10) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
