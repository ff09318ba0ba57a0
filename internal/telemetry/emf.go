package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// CloudWatch Embedded Metric Format: a line of JSON on standard output that CloudWatch Logs turns into metrics.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
//
//	{"_aws": {"Timestamp": ms since 1970,
//	          "CloudWatchMetrics": [{"Namespace": …, "Dimensions": [["Service"]],
//	                                 "Metrics": [{"Name": …, "Unit": …}, …]}]},
//	 "Service": …,          the dimension: a string
//	 "ActiveConnections": 7, a metric: a number, or at most 100 of them
//	 …,
//	 "Task": …, "State": …}  for whoever reads the log; no dimension, hence no metric of its own
//
// A counter is written as what was added since the last line, a gauge as it is, a histogram as samples. Resolution is
// CloudWatch's standard of one minute.

// EMFOptions set an EMF writer up. Writer, Namespace, Service and Interval are required.
type EMFOptions struct {
	// Writer gets each line in one Write. Nothing else may write to it.
	Writer io.Writer
	// Namespace and Service must be what CloudWatch takes; the settings check them.
	Namespace string
	Service   string
	Task      string // for the reader of the log
	// Interval is the time between two lines, which fall on its multiples since the zero time: with one that divides
	// a minute, all tasks write at the same moments and each minute has equally many lines.
	Interval time.Duration
	// Log is told when writing begins to fail and when it works again; nil: nobody is.
	Log *slog.Logger
}

// EMF writes the figures of Metrics as EMF lines.
type EMF struct {
	m *Metrics
	o EMFOptions

	// mu guards the following and the writer.
	mu      sync.Mutex
	last    map[string]reading // by figure, as of the last line that was written
	torn    bool               // the last write ended inside of a line
	failing bool
}

// NewEMF checks the options; each fault is a fault of the wiring.
func NewEMF(m *Metrics, o EMFOptions) (*EMF, error) {
	var faults []error
	if o.Writer == nil {
		faults = append(faults, errors.New("no writer: give standard output"))
	}
	if o.Namespace == "" || o.Service == "" {
		faults = append(faults, errors.New("no namespace or no service: both are part of a metric's name"))
	}
	if o.Interval <= 0 {
		faults = append(faults, fmt.Errorf("an interval of %v: give a positive one that divides a minute", o.Interval))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("setting up EMF: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &EMF{m: m, o: o, last: map[string]reading{}}, nil
}

// Run writes a line at each multiple of the interval, and a last one when ctx is done, so that what the drain counted is
// not lost. End ctx after the last connection, and wait for Run before exiting.
func (e *EMF) Run(ctx context.Context) {
	next := time.Now().Truncate(e.o.Interval).Add(e.o.Interval)
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			e.flushAt(time.Now())
			return
		case <-timer.C:
		}
		// A timer follows the monotonic clock and may fire a little before the wall clock is there: the line still
		// belongs to the minute it was for. A lot before means that the clock was put back: then the clock is right.
		now := time.Now()
		if early := next.Sub(now); early > 0 && early < e.o.Interval/2 {
			now = next
		}
		e.flushAt(now)
		// From the wall clock each time, so that after a correction of the clock the cadence is again that of the others.
		next = now.Truncate(e.o.Interval).Add(e.o.Interval)
		timer.Reset(time.Until(next))
	}
}

// flushAt writes a line and logs, once for a row of failures, if that failed.
func (e *EMF) flushAt(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch err := e.writeLocked(now); {
	case err != nil && !e.failing:
		e.failing = true
		e.o.Log.Warn("CloudWatch metrics cannot be written; the next line makes up for it", "error", err)
	case err == nil && e.failing:
		e.failing = false
		e.o.Log.Info("CloudWatch metrics are written again")
	}
}

func (e *EMF) writeLocked(now time.Time) error {
	line, readings, err := e.line(now)
	if err != nil {
		return fmt.Errorf("making an EMF line: %w", err)
	}
	line = append(line, '\n')
	if e.torn { // end the piece of a line that is there, or this one would be part of it
		line = append([]byte{'\n'}, line...)
	}
	n, err := e.o.Writer.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		e.torn = e.torn || n > 0
		return fmt.Errorf("writing an EMF line: %w", err)
	}
	e.torn = false
	e.last = readings
	return nil
}

// The parts of a line that have a fixed shape; members in the specification's order.
type (
	emfMetadata struct {
		Timestamp         int64
		CloudWatchMetrics []emfDirective
	}
	emfDirective struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []emfMetric
	}
	emfMetric struct {
		Name string
		Unit string
	}
)

func (e *EMF) line(now time.Time) ([]byte, map[string]reading, error) {
	families, err := e.m.own.Gather()
	if err != nil {
		return nil, nil, err
	}
	// After the figures: a drain that begins in between must not leave ActiveConnections in the line.
	state := e.m.sources.Load().State()

	readings := make(map[string]reading, len(figures))
	for _, family := range families {
		readings[family.GetName()] = read(family)
	}
	root := map[string]any{"Service": e.o.Service, "Task": e.o.Task, "State": state}
	var metrics []emfMetric
	for _, f := range figures {
		if f.when == whenReady && state != stateReady || f.when == whenDraining && state != stateDraining {
			continue
		}
		value, some := f.value(readings[namePrefix+f.family], e.last[namePrefix+f.family])
		if !some {
			continue
		}
		root[f.name] = value
		metrics = append(metrics, emfMetric{f.name, f.unit})
	}
	root["_aws"] = emfMetadata{
		Timestamp:         now.UnixMilli(),
		CloudWatchMetrics: []emfDirective{{e.o.Namespace, [][]string{{"Service"}}, metrics}},
	}
	line, err := json.Marshal(root)
	return line, readings, err
}

// value is a figure's number or numbers; false if there is none, since an empty array is no metric.
func (f figure) value(now, last reading) (any, bool) {
	switch {
	case now.counts != nil:
		samples := now.since(last).samples()
		return samples, len(samples) > 0
	case f.isCounter():
		return now.since(last).value, true
	default:
		return now.value, true
	}
}
