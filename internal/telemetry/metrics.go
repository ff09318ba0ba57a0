package telemetry

import (
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the task's metrics. Events that are rare next to deliveries (a connection opens, a pass ends) are counted
// here by calls; everything on the path of a message is read from Sources. All methods may be called from any goroutine.
type Metrics struct {
	// own holds the fairlead_ metrics, process those of the Go runtime and the process. They are apart because the
	// latter list every open descriptor, which is too much to do for an EMF line that would not use it.
	own, process *prometheus.Registry
	sources      atomic.Pointer[Sources]

	// Connections that were upgraded. Its rate is how fast clients come: a step means a task elsewhere was lost.
	opened prometheus.Counter
	// Connections that ended, by close code (1006: no close frame) and reason. Look at it before anything else when
	// clients complain: each reason has its own remedy.
	closed *prometheus.CounterVec
	// Of those, the ones closed because they read too slowly, as a figure of its own for an alarm.
	slow prometheus.Counter
	// Upgrades answered with an HTTP error, by reason.
	refused *prometheus.CounterVec
	// Time from a complete request header to the handshake's answer, both included. Grows when the CPU is short.
	handshake prometheus.Histogram

	// Clients that came back with a position and got everything after it.
	resumed prometheus.Counter
	// Clients that came back with a position too old, or of another epoch, and
	// were told so: lengthen the history window if deploys cause them.
	gaps prometheus.Counter
	// Publish requests over HTTP, by status. 202 is a message that was taken.
	published *prometheus.CounterVec

	// Messages not taken, by the code their sender was given.
	messageErrors *prometheus.CounterVec

	// Time of one fan-out pass: all writes of what was published to one channel since its last pass. The time of a
	// delivery's last byte is at most this behind the first.
	passSeconds prometheus.Histogram
	// Subscribers written to in a pass. passSeconds ÷ this is the cost of a delivery.
	passSubscribers prometheus.Histogram
	// Messages coalesced in a pass: 1 when idle; it grows with load, and that is what keeps up.
	passMessages prometheus.Histogram
}

// NewMetrics registers every metric. version goes on fairlead_build_info. Until Attach the sources read zero.
func NewMetrics(version string) *Metrics {
	m := &Metrics{own: prometheus.NewRegistry(), process: prometheus.NewRegistry()}
	m.sources.Store(new(Sources{}.orZero()))

	m.opened = m.counter("connections_opened_total", "Connections upgraded since the start.")
	m.closed = m.counters("connections_closed_total", "Connections ended, by close code and reason.", "code", "reason")
	m.slow = m.counter("slow_consumers_total", "Connections closed because they read too slowly.")
	m.resumed = m.counter("resumed_total", "Clients that came back with a position and missed nothing.")
	m.gaps = m.counter("gaps_total", "Clients that came back with a position that could not be resumed from.")
	m.published = m.counters("publish_requests_total", "Publish requests over HTTP, by status.", "status")
	m.refused = m.counters("upgrades_refused_total", "Upgrades refused, by reason.", "reason")
	m.handshake = m.histogram("handshake_seconds", "Time to answer a WebSocket handshake.",
		prometheus.ExponentialBuckets(50e-6, 2, 18)) // 50 µs is an upgrade's CPU time; up to 6.5 s
	m.messageErrors = m.counters("message_errors_total", "Messages of clients not taken, by error code.", "code")
	m.passSeconds = m.histogram("fanout_pass_seconds", "Time of one fan-out pass.",
		prometheus.ExponentialBuckets(10e-6, 2, 20)) // one write is 10 µs, 500,000 of them 5 s
	m.passSubscribers = m.histogram("fanout_pass_subscribers", "Subscribers written to in one fan-out pass.",
		prometheus.ExponentialBuckets(1, 2, 18)) // up to 131,072
	m.passMessages = m.histogram("fanout_pass_messages", "Messages coalesced in one fan-out pass.",
		prometheus.ExponentialBuckets(1, 2, 12)) // up to 2,048

	// Series exist before the first event, so that its rate can be seen.
	for reason := range refusalReasons {
		m.refused.WithLabelValues(string(reason))
	}
	m.published.WithLabelValues("202")
	for code := range messageErrors {
		m.messageErrors.WithLabelValues(string(code))
	}
	m.registerSources()
	m.gauge("build_info", "1; the labels tell the build.", prometheus.Labels{"version": version, "goversion": runtime.Version()},
		func(Sources) float64 { return 1 })
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// registerSources declares what is read from Sources; the meanings are on their fields.
func (m *Metrics) registerSources() {
	m.gauge("connections_open", "Connections open now.", nil, func(s Sources) float64 { return float64(s.Connections()) })
	m.gauge("channels", "Channels with a subscriber.", nil, func(s Sources) float64 { return float64(s.Channels()) })
	m.gauge("queue_bytes", "Bytes waiting in the queues of connections.", nil, func(s Sources) float64 { return float64(s.QueueBytes()) })
	m.gauge("drain_remaining", "Connections the drain still waits for.", nil, func(s Sources) float64 { return float64(s.DrainRemaining()) })
	m.gauge("drain_seconds", "Time since the drain began; stands still at its end.", nil, func(s Sources) float64 { return s.DrainElapsed().Seconds() })
	for _, state := range states {
		m.gauge("state", "1 for the state the task is in.", prometheus.Labels{"state": state}, func(s Sources) float64 {
			if s.State() == state {
				return 1
			}
			return 0
		})
	}
	m.total("messages_in_total", "Messages received from clients.", func(s Sources) int64 { return s.MessagesIn() })
	m.total("messages_out_total", "Messages given to connections; a broadcast to n counts n.", func(s Sources) int64 { return s.MessagesOut() })
	m.total("bytes_in_total", "Bytes received on upgraded connections.", func(s Sources) int64 { return s.BytesIn() })
	m.total("bytes_out_total", "Bytes sent on upgraded connections.", func(s Sources) int64 { return s.BytesOut() })
	m.gauge("broker_connected", "1 while the broker between tasks is connected.", nil, func(s Sources) float64 { return float64(s.BrokerConnected()) })
	m.total("broker_published_total", "Messages the broker took.", func(s Sources) int64 { return s.BrokerPublished() })
	m.total("broker_failed_total", "Messages the broker did not take.", func(s Sources) int64 { return s.BrokerFailed() })
	m.total("broker_filled_total", "Messages got from the stream because pub/sub lost them.", func(s Sources) int64 { return s.BrokerFilled() })
	m.total("broker_breaks_total", "Channels whose continuity was lost.", func(s Sources) int64 { return s.BrokerBreaks() })
	m.total("broker_connections_lost_total", "Connections to the broker that broke.", func(s Sources) int64 { return s.BrokerLost() })
	m.total("drain_forced_total", "Connections cut by the drain instead of closed.", func(s Sources) int64 { return s.DrainForced() })
}

// Attach sets where the figures are read; call it once they can be. It is apart from NewMetrics because engine and hub
// are themselves made with hooks into Metrics.
func (m *Metrics) Attach(s Sources) { m.sources.Store(new(s.orZero())) }

// ConnectionOpened counts an upgrade that succeeded; took is from the complete request header to the answer.
func (m *Metrics) ConnectionOpened(took time.Duration) {
	m.opened.Inc()
	m.handshake.Observe(took.Seconds())
}

// ConnectionClosed counts the end of a connection.
func (m *Metrics) ConnectionClosed(code uint16, reason CloseReason) {
	m.closed.WithLabelValues(codeLabel(code), label(closeReasons, reason)).Inc()
	if reason == ClosedSlowConsumer {
		m.slow.Inc()
	}
}

// Resumed counts a client that came back with a position.
func (m *Metrics) Resumed(recovered bool) {
	if recovered {
		m.resumed.Inc()
		return
	}
	m.gaps.Inc()
}

// PublishRequest counts a publish request over HTTP by the status of its answer.
func (m *Metrics) PublishRequest(status int) {
	m.published.WithLabelValues(strconv.Itoa(status)).Inc()
}

// UpgradeRefused counts an upgrade that was answered with an HTTP error.
func (m *Metrics) UpgradeRefused(reason RefusalReason) {
	m.refused.WithLabelValues(label(refusalReasons, reason)).Inc()
}

// MessageRefused counts a message that was not taken and whose sender was told so.
func (m *Metrics) MessageRefused(code MessageError) {
	m.messageErrors.WithLabelValues(label(messageErrors, code)).Inc()
}

// FanoutPass records one pass of one channel. It is called once a pass, never once a subscriber.
func (m *Metrics) FanoutPass(took time.Duration, subscribers, messages int) {
	m.passSeconds.Observe(took.Seconds())
	m.passSubscribers.Observe(float64(subscribers))
	m.passMessages.Observe(float64(messages))
}

// Handler serves /metrics in the formats Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.own, m.process}, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // /proc may be unreadable; the rest is still worth having
	})
}

// ClosedByCode is the number of connections ended, by close code as in the metric; for /status.
func (m *Metrics) ClosedByCode() map[string]int64 {
	byCode := map[string]int64{}
	families, _ := m.own.Gather() // its metrics cannot fail: all are counts in memory
	for _, family := range families {
		if family.GetName() != namePrefix+"connections_closed_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if pair.GetName() == "code" {
					byCode[pair.GetValue()] += int64(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return byCode
}

const namePrefix = "fairlead_"

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: namePrefix + name, Help: help})
	m.own.MustRegister(c)
	return c
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: namePrefix + name, Help: help}, labels)
	m.own.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: namePrefix + name, Help: help, Buckets: buckets})
	m.own.MustRegister(h)
	return h
}

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, read func(Sources) float64) {
	m.own.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: namePrefix + name, Help: help, ConstLabels: labels},
		func() float64 { return read(*m.sources.Load()) }))
}

func (m *Metrics) total(name, help string, read func(Sources) int64) {
	m.own.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: namePrefix + name, Help: help},
		func() float64 { return float64(read(*m.sources.Load())) }))
}
