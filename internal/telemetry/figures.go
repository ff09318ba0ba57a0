package telemetry

import (
	"math"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// figure is one metric of the EMF lines: a family of the registry under CloudWatch's habits of naming. The labels are
// summed up, because every dimension value makes a metric that is billed.
type figure struct {
	family string // without namePrefix
	name   string
	unit   string // one of CloudWatch's
	when   when
}

// when a figure is written.
type when uint8

const (
	always when = iota
	// whenReady: the average over the tasks is what scaling follows, so a task that takes no connections must not be in
	// it. A draining one would pull the average down just when its clients arrive at the others.
	whenReady
	whenDraining
)

// figures are the metrics of a line, at most 100 (a directive's limit). What is in Prometheus and not here is in the
// test beside, with the reason.
var figures = []figure{
	{"connections_open", "ActiveConnections", "Count", whenReady},
	{"connections_opened_total", "ConnectionsOpened", "Count", always},
	{"connections_closed_total", "ConnectionsClosed", "Count", always},
	{"slow_consumers_total", "SlowConsumers", "Count", always},
	{"resumed_total", "Resumed", "Count", always},
	{"gaps_total", "Gaps", "Count", always},
	{"publish_requests_total", "PublishRequests", "Count", always},
	{"upgrades_refused_total", "UpgradesRefused", "Count", always},
	{"handshake_seconds", "HandshakeTime", "Seconds", always},
	{"channels", "Channels", "Count", always},
	{"queue_bytes", "QueueBytes", "Bytes", always},
	{"messages_in_total", "MessagesIn", "Count", always},
	{"messages_out_total", "MessagesOut", "Count", always},
	{"bytes_in_total", "BytesIn", "Bytes", always},
	{"bytes_out_total", "BytesOut", "Bytes", always},
	{"message_errors_total", "MessageErrors", "Count", always},
	{"fanout_pass_seconds", "FanoutPassTime", "Seconds", always},
	{"fanout_pass_subscribers", "FanoutPassSubscribers", "Count", always},
	{"fanout_pass_messages", "FanoutPassMessages", "Count", always},
	{"broker_connected", "BrokerConnected", "Count", always},
	{"broker_published_total", "BrokerPublished", "Count", always},
	{"broker_failed_total", "BrokerFailed", "Count", always},
	{"broker_filled_total", "BrokerFilled", "Count", always},
	{"broker_breaks_total", "BrokerBreaks", "Count", always},
	{"broker_connections_lost_total", "BrokerConnectionsLost", "Count", always},
	{"drain_remaining", "DrainRemaining", "Count", whenDraining},
	{"drain_seconds", "DrainTime", "Seconds", whenDraining},
	{"drain_forced_total", "DrainForced", "Count", always},
}

// isCounter goes by the suffix that Prometheus demands of counters.
func (f figure) isCounter() bool { return strings.HasSuffix(f.family, "_total") }

// maxSamples is how many values one metric may have in a line.
const maxSamples = 100

// reading is what one family said at one moment.
type reading struct {
	value  float64   // of a gauge or counter, summed over the labels
	bounds []float64 // of a histogram: upper bounds of its buckets
	counts []uint64  // observations in each bucket; one more for those above
}

func read(family *dto.MetricFamily) reading {
	var r reading
	for _, metric := range family.GetMetric() {
		switch {
		case metric.GetCounter() != nil:
			r.value += metric.GetCounter().GetValue()
		case metric.GetGauge() != nil:
			r.value += metric.GetGauge().GetValue()
		case metric.GetHistogram() != nil: // ours have no labels, hence one metric
			var below uint64
			for _, bucket := range metric.GetHistogram().GetBucket() {
				r.bounds = append(r.bounds, bucket.GetUpperBound())
				r.counts = append(r.counts, bucket.GetCumulativeCount()-below)
				below = bucket.GetCumulativeCount()
			}
			r.counts = append(r.counts, metric.GetHistogram().GetSampleCount()-below)
		}
	}
	return r
}

// since is what happened between an earlier reading of the family and this one. An earlier one that is greater belongs
// to a source that began anew.
func (r reading) since(earlier reading) reading {
	d := reading{value: max(0, r.value-earlier.value), bounds: r.bounds}
	for i, n := range r.counts {
		if i < len(earlier.counts) && earlier.counts[i] <= n {
			n -= earlier.counts[i]
		}
		d.counts = append(d.counts, n)
	}
	return d
}

// samples turns a histogram into values: as many as there were observations, or 100 that divide them evenly, each put
// in its bucket by linear interpolation. CloudWatch's average and percentiles of them are right to within a bucket;
// its SampleCount is not the number of observations once there were over 100.
//
// Rejected: {"Values":[…],"Counts":[…]}, which PutMetricData has but EMF's specification does not; a reservoir of real
// observations, which would be a second account beside the histogram.
func (r reading) samples() []float64 {
	var total uint64
	for _, n := range r.counts {
		total += n
	}
	k := min(total, maxSamples)
	samples := make([]float64, 0, k)
	bucket, below := 0, uint64(0)
	for i := range k {
		rank := (float64(i) + 0.5) * float64(total) / float64(k)
		for float64(below+r.counts[bucket]) < rank {
			below += r.counts[bucket]
			bucket++
		}
		samples = append(samples, round(r.within(bucket, (rank-float64(below))/float64(r.counts[bucket]))))
	}
	return samples
}

// within is the value at a share (0 to 1) of the way through a bucket; above the last bound there is only that.
func (r reading) within(bucket int, share float64) float64 {
	lower := 0.0
	if bucket > 0 {
		lower = r.bounds[bucket-1]
	}
	if bucket == len(r.bounds) {
		return lower
	}
	return lower + share*(r.bounds[bucket]-lower)
}

// round keeps four significant digits: more would pretend to know, and make the line longer.
func round(v float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil || math.IsInf(rounded, 0) {
		return v
	}
	return rounded
}
