package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lines is standard output as the log driver sees it: what each Write brought.
type lines struct {
	writes [][]byte
	fail   error // returned instead of writing
	cut    int   // with fail: so many bytes are written all the same
}

func (l *lines) Write(p []byte) (int, error) {
	if l.fail != nil {
		return l.cut, l.fail
	}
	l.writes = append(l.writes, bytes.Clone(p))
	return len(p), nil
}

// parse checks a write against AWS's rules and returns its root.
func parseEMF(t *testing.T, write []byte, now time.Time) map[string]any {
	t.Helper()
	line, ended := bytes.CutSuffix(write, []byte("\n"))
	if !ended {
		t.Fatalf("not a whole line: %q", write)
	}
	if faults := emfFaults(line, now); len(faults) > 0 {
		t.Errorf("%s\nbreaks the rules: %s", line, strings.Join(faults, "; "))
	}
	var root map[string]any
	if err := json.Unmarshal(line, &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func newEMF(t *testing.T, m *Metrics, out *lines) *EMF {
	t.Helper()
	e, err := NewEMF(m, EMFOptions{Writer: out, Namespace: "Fairlead", Service: "chat", Task: "t1", Interval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The figures that Prometheus has and the EMF lines leave out.
var notInEMF = map[string]string{
	"fairlead_state":      "a word, not a number; it is the member State",
	"fairlead_build_info": "labels, not a number",
}

func TestEveryPrometheusFigureIsInTheLinesOrLeftOutForAReason(t *testing.T) {
	m := NewMetrics("v1")
	m.ConnectionClosed(1000, ClosedByPeer)
	families, err := m.own.Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range figures {
		there[namePrefix+f.family] = true
	}
	for _, family := range families {
		name := family.GetName()
		if there[name] == (notInEMF[name] != "") {
			t.Errorf("%s: in the lines %v, left out because %q", name, there[name], notInEMF[name])
		}
		delete(there, name)
	}
	if len(there) > 0 {
		t.Errorf("in the lines but not in Prometheus: %v", there)
	}
	if len(figures) > 100 {
		t.Errorf("%d metrics, a directive takes 100", len(figures))
	}
}

func TestTheLinesAddUpToWhatPrometheusSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := busy()
		m := NewMetrics("v1")
		m.Attach(task.sources())
		var out lines
		e := newEMF(t, m, &out)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()

		time.Sleep(30 * time.Second) // so that what follows happens between the lines
		var passes []int             // in each interval
		for minute := range 4 {
			passes = append(passes, minute*90)
			for i := range passes[minute] {
				m.FanoutPass(time.Duration(i)*time.Microsecond*100, i, 1+i%5)
			}
			for range minute {
				m.ConnectionOpened(time.Millisecond)
				m.ConnectionClosed(1001, ClosedByDrain)
				m.ConnectionClosed(1013, ClosedSlowConsumer)
				m.UpgradeRefused(RefusedRate)
				m.UpgradeRefused(RefusedCapacity)
				m.MessageRefused(ErrorRateLimited)
				task.change(func() {
					task.in, task.out, task.bytesIn, task.bytesOut = task.in+1, task.out+10, task.bytesIn+100, task.bytesOut+1000
					task.forced++
				})
			}
			task.change(func() { task.open, task.channels, task.queue = int64(100+minute), int64(minute), int64(minute*7) })
			time.Sleep(time.Minute) // of the bubble
			synctest.Wait()
		}
		stop()
		<-done

		if len(out.writes) != 5 {
			t.Fatalf("%d lines in four minutes and one at the end", len(out.writes))
		}
		series := scrape(t, m)
		totals := map[string]float64{}
		for i, write := range out.writes {
			root := parseEMF(t, write, time.Now())
			for name, value := range root {
				if number, ok := value.(float64); ok {
					totals[name] += number
				}
			}
			if root["Service"] != "chat" || root["Task"] != "t1" || root["State"] != "ready" {
				t.Errorf("line %d: %v %v %v", i, root["Service"], root["Task"], root["State"])
			}
			samples, _ := root["FanoutPassTime"].([]any)
			want := 0
			if i < len(passes) {
				want = min(passes[i], 100)
			}
			if len(samples) != want {
				t.Errorf("line %d: %d samples, want %d", i, len(samples), want)
			}
		}
		for name, family := range map[string]string{
			"ConnectionsOpened": "fairlead_connections_opened_total", "ConnectionsClosed": "fairlead_connections_closed_total",
			"SlowConsumers": "fairlead_slow_consumers_total", "UpgradesRefused": "fairlead_upgrades_refused_total",
			"MessageErrors": "fairlead_message_errors_total", "MessagesIn": "fairlead_messages_in_total",
			"MessagesOut": "fairlead_messages_out_total", "BytesIn": "fairlead_bytes_in_total",
			"BytesOut": "fairlead_bytes_out_total", "DrainForced": "fairlead_drain_forced_total",
		} {
			if want := sum(series, family); totals[name] != want || want == 0 {
				t.Errorf("the lines' %s add up to %v, Prometheus says %v", name, totals[name], want)
			}
		}
		last := parseEMF(t, out.writes[3], time.Now())
		for name, family := range map[string]string{
			"ActiveConnections": "fairlead_connections_open", "Channels": "fairlead_channels", "QueueBytes": "fairlead_queue_bytes",
		} {
			if last[name] != sum(series, family) || last[name] == 0.0 {
				t.Errorf("%s is %v, Prometheus says %v", name, last[name], sum(series, family))
			}
		}
	})
}

func TestTheDimensionIsTheServiceAlone(t *testing.T) {
	var out lines
	m := NewMetrics("v1")
	m.Attach(busy().sources())
	newEMF(t, m, &out).flushAt(time.Now())
	if !bytes.Contains(out.writes[0], []byte(`"Dimensions":[["Service"]]`)) {
		t.Errorf("got %s", out.writes[0])
	}
	parseEMF(t, out.writes[0], time.Now())
}

func TestActiveConnectionsAreToldOnlyWhileReady(t *testing.T) {
	task := busy()
	m := NewMetrics("v1")
	m.Attach(task.sources())
	var out lines
	e := newEMF(t, m, &out)
	for _, state := range []string{"starting", "ready", "draining", "stopped"} {
		task.state = state
		e.flushAt(time.Now())
		root := parseEMF(t, out.writes[len(out.writes)-1], time.Now())
		if _, there := root["ActiveConnections"]; there != (state == "ready") {
			t.Errorf("%s: ActiveConnections there: %v", state, there)
		}
		if _, there := root["DrainRemaining"]; there != (state == "draining") {
			t.Errorf("%s: DrainRemaining there: %v", state, there)
		}
		if _, there := root["MessagesOut"]; !there {
			t.Errorf("%s: the other figures stop too", state)
		}
		if strings.Contains(string(out.writes[len(out.writes)-1]), `"ActiveConnections"`) != (state == "ready") {
			t.Errorf("%s: ActiveConnections is still declared", state)
		}
	}
}

func TestADrainThatBeginsDuringTheReadingKeepsActiveConnectionsOut(t *testing.T) {
	task := busy()
	sources := task.sources()
	sources.Connections = func() int64 { task.state = "draining"; return 1 }
	m := NewMetrics("v1")
	m.Attach(sources)
	var out lines
	newEMF(t, m, &out).flushAt(time.Now())
	if bytes.Contains(out.writes[0], []byte("ActiveConnections")) {
		t.Errorf("got %s", out.writes[0])
	}
}

func TestAllTasksWriteAtTheSameMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var outs [3]lines
		done := make(chan struct{}, len(outs))
		for i := range outs {
			time.Sleep(17*time.Second + 123*time.Millisecond) // tasks do not start together
			e, err := NewEMF(NewMetrics("v1"), EMFOptions{Writer: &outs[i], Namespace: "n", Service: "s", Interval: 20 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			go func() { e.Run(ctx); done <- struct{}{} }()
		}
		time.Sleep(2 * time.Minute)
		stop()
		for range outs {
			<-done
		}
		var stamps [len(outs)][]int64
		for i := range outs {
			for _, write := range outs[i].writes[:len(outs[i].writes)-1] { // without the last one, which comes with the stop
				root := parseEMF(t, write, time.Now())
				stamp := int64(root["_aws"].(map[string]any)["Timestamp"].(float64))
				if stamp%20_000 != 0 {
					t.Errorf("task %d wrote at %v", i, time.UnixMilli(stamp).UTC())
				}
				stamps[i] = append(stamps[i], stamp)
			}
		}
		for i := range stamps {
			// A task that starts later has fewer, and they are the others' last ones.
			if n := len(stamps[i]); n < 6 || !slices.Equal(stamps[i], stamps[0][len(stamps[0])-n:]) {
				t.Errorf("task %d wrote at %v, the first at %v", i, stamps[i], stamps[0])
			}
		}
	})
}

func TestTheLastLineCarriesWhatTheDrainCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics("v1")
		task := busy()
		m.Attach(task.sources())
		var out lines
		e := newEMF(t, m, &out)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()
		synctest.Wait()
		task.change(func() { task.state = "stopped" })
		for range 7 {
			m.ConnectionClosed(1001, ClosedByDrain)
		}
		stop()
		<-done
		if len(out.writes) != 1 {
			t.Fatalf("%d lines", len(out.writes))
		}
		if root := parseEMF(t, out.writes[0], time.Now()); root["ConnectionsClosed"] != 7.0 {
			t.Errorf("got %v", root["ConnectionsClosed"])
		}
	})
}

func TestALineThatCannotBeWrittenIsMadeUpFor(t *testing.T) {
	m := NewMetrics("v1")
	var out lines
	var log bytes.Buffer
	e := newEMF(t, m, &out)
	e.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	m.ConnectionOpened(0)
	out.fail, out.cut = errors.New("pipe broken"), 10
	e.flushAt(time.Now())
	m.ConnectionOpened(0)
	e.flushAt(time.Now())
	out.fail = nil
	e.flushAt(time.Now())
	if len(out.writes) != 1 || out.writes[0][0] != '\n' {
		t.Fatalf("the torn line is not ended: %q", out.writes)
	}
	if root := parseEMF(t, out.writes[0][1:], time.Now()); root["ConnectionsOpened"] != 2.0 {
		t.Errorf("got %v", root["ConnectionsOpened"])
	}
	e.flushAt(time.Now())
	if root := parseEMF(t, out.writes[1], time.Now()); root["ConnectionsOpened"] != 0.0 {
		t.Errorf("told twice: %v", root["ConnectionsOpened"])
	}
	if got := strings.Count(log.String(), "\n"); got != 2 {
		t.Errorf("%d log lines for one row of failures and its end:\n%s", got, log.String())
	}
}

func TestAShortWriteIsAFailure(t *testing.T) {
	e := newEMF(t, NewMetrics("v1"), nil)
	e.o.Writer = short{}
	if err := e.writeLocked(time.Now()); err == nil || !e.torn {
		t.Errorf("got %v, torn %v", err, e.torn)
	}
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestALineWithEverythingInItStaysShort(t *testing.T) {
	task := &fixed{state: "draining", open: math.MaxInt64, channels: math.MaxInt64, queue: math.MaxInt64, in: math.MaxInt64,
		out: math.MaxInt64, bytesIn: math.MaxInt64, bytesOut: math.MaxInt64, remaining: math.MaxInt64, forced: math.MaxInt64,
		elapsed: math.MaxInt64}
	m := NewMetrics("v1")
	m.Attach(task.sources())
	for i := range 10_000 {
		m.FanoutPass(time.Duration(i)*time.Millisecond, i*17, i)
		m.ConnectionOpened(time.Duration(i) * 777 * time.Microsecond)
	}
	var out lines
	e, err := NewEMF(m, EMFOptions{Writer: &out, Namespace: strings.Repeat("n", 255), Service: strings.Repeat("s", 255),
		Task: strings.Repeat("t", 128), Interval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	e.flushAt(time.Now())
	parseEMF(t, out.writes[0], time.Now()) // which has the bound
	t.Logf("%d bytes", len(out.writes[0]))
}

func TestSamplesFollowTheHistogram(t *testing.T) {
	bounds := []float64{1, 2, 4}
	tests := []struct {
		name   string
		counts []uint64
		want   []float64
	}{
		{"nothing observed", []uint64{0, 0, 0, 0}, []float64{}},
		{"one in the first bucket", []uint64{1, 0, 0, 0}, []float64{0.5}},
		{"one in the last", []uint64{0, 0, 1, 0}, []float64{3}},
		{"one above all buckets", []uint64{0, 0, 0, 1}, []float64{4}},
		{"two in one, one above", []uint64{0, 2, 0, 1}, []float64{1.25, 1.75, 4}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := (reading{bounds: bounds, counts: test.counts}).samples(); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	many := reading{bounds: bounds, counts: []uint64{900_000, 0, 50_000, 50_000}}.samples()
	low := len(slices.DeleteFunc(slices.Clone(many), func(v float64) bool { return v > 1 }))
	top := len(slices.DeleteFunc(slices.Clone(many), func(v float64) bool { return v < 4 }))
	if len(many) != 100 || low != 90 || top != 5 || !slices.IsSorted(many) {
		t.Errorf("%d samples, %d low, %d top: %v", len(many), low, top, many)
	}
}

func TestASourceThatBeganAnewIsNoNegativeCount(t *testing.T) {
	if d := (reading{value: 3, counts: []uint64{1}}).since(reading{value: 10, counts: []uint64{5}}); d.value != 0 || d.counts[0] != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestEMFOptionsThatCannotWorkAreAllReported(t *testing.T) {
	_, err := NewEMF(NewMetrics("v1"), EMFOptions{})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}
