package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// results is one run: what the page is written from.
type results struct {
	Taken    string   `json:"taken"` // RFC 3339, UTC
	Version  string   `json:"version"`
	Go       string   `json:"go"`
	Broker   string   `json:"broker"` // what its INFO says
	Machine  machine  `json:"machine"`
	Settings settings `json:"settings"`
	Cells    []string `json:"cells"`
	// Figures holds, for each figure, its value in each repetition.
	Figures map[string][]float64 `json:"figures"`
}

// machine is what the figures were taken on.
type machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	Virtual   bool    `json:"virtual"`
	MemoryGiB float64 `json:"memory_gib"`
	Kernel    string  `json:"kernel"`
}

// settings are what the cells were run with.
type settings struct {
	Repeat      int     `json:"repeat"`
	Seconds     float64 `json:"seconds"` // of each turn of latency
	Messages    int     `json:"messages"`
	Returning   int     `json:"returning"`
	Connections int     `json:"connections"`
	Channels    int     `json:"channels"`
}

// The figures, by the names they have in the raw results. Each is recorded once a repetition.
const (
	figMemory50    = "memory_p50_us"       // publish → deliver on one task, broker in memory
	figMemory99    = "memory_p99_us"       //
	figBroker50    = "broker_p50_us"       // publish on one task → deliver on the other
	figBroker99    = "broker_p99_us"       //
	figPublishOne  = "publish_one_per_s"   // one channel, one broker connection
	figPublishMany = "publish_many_per_s"  // a thousand channels, likewise
	figCeiling     = "redis_script_per_s"  // redis-benchmark, the same script, one connection, pipelined
	figCeilingRaw  = "redis_xadd_per_s"    // redis-benchmark, a bare XADD, likewise
	figReplayMem   = "replay_memory_cpu_s" // CPU of the task, broker in memory
	figReplay      = "replay_broker_cpu_s" // CPU of the task that had nothing of the channel before
	figReplayTook  = "replay_broker_s"     // first dial to the last message of the last client
	figIdle        = "idle_resumable_kib"  // resident memory a resumable connection holds
	figChannel     = "channel_kib"         // what a channel adds to its one connection, in the task
	figChannelSaid = "channel_said_kib"    // the same with one message of 100 bytes in its window
	figRedis       = "redis_channel_kib"   // what Redis holds of a channel without a message
	figRedisSaid   = "redis_channel_1_kib" // with one message
	figDisturbance = "disturbance"         // of the machine others used, worst of latency and replay
)

func (r *results) record(figure string, value float64) {
	r.Figures[figure] = append(r.Figures[figure], value)
}

func readResults(name string) (*results, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: measure first, with `go run ./bench/broker`", err)
	}
	if err != nil {
		return nil, err
	}
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &r, nil
}

func (r *results) write(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	return writeFile(name, append(text, '\n'))
}

func writeFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// median of values; of an even number, the mean of the two in the middle. NaN if there is none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// percentile of sorted values, the nearest rank.
func percentile(sorted []float64, p float64) float64 {
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// both joins what was measured in the same repetition.
func both(a, b []float64, f func(a, b float64) float64) []float64 {
	all := make([]float64, min(len(a), len(b)))
	for i := range all {
		all[i] = f(a[i], b[i])
	}
	return all
}
