package main

import (
	"time"

	"fairlead/internal/telemetry"
)

// sources tells the metrics where each figure is counted.
func (s *server) sources() telemetry.Sources {
	o := telemetry.Sources{
		State:          func() string { return s.machine.State().String() },
		Connections:    func() int64 { return int64(s.engine.Len()) },
		Channels:       func() int64 { return int64(s.hub.Stats().Channels) },
		QueueBytes:     func() int64 { return s.engine.Stats().QueuedBytes },
		MessagesIn:     func() int64 { return s.engine.Stats().MessagesIn },
		MessagesOut:    func() int64 { return s.engine.Stats().FramesOut },
		BytesIn:        func() int64 { return s.engine.Stats().BytesIn },
		BytesOut:       func() int64 { return s.engine.Stats().BytesOut },
		DrainRemaining: func() int64 { return int64(s.drainer.Progress().Remaining) },
		DrainElapsed:   func() time.Duration { return s.drainer.Progress().Elapsed },
		DrainForced:    func() int64 { return int64(s.drainer.Progress().Forced) },
	}
	if b := s.broker; b != nil {
		o.BrokerConnected = func() int64 {
			if b.Stats().Connected {
				return 1
			}
			return 0
		}
		o.BrokerPublished = func() int64 { return int64(b.Stats().Published) }
		o.BrokerFailed = func() int64 {
			var n uint64
			for _, failed := range b.Stats().Failed {
				n += failed
			}
			return int64(n)
		}
		o.BrokerFilled = func() int64 { return int64(b.Stats().Filled) }
		o.BrokerBreaks = func() int64 { return int64(b.Stats().Breaks) }
		o.BrokerLost = func() int64 { return int64(b.Stats().Lost) }
	}
	return o
}

// status is what the admin listener tells.
func (s *server) status() telemetry.Status {
	stats := s.engine.Stats()
	o := s.settings
	st := telemetry.Status{
		State:         s.machine.State().String(),
		Task:          s.task,
		Version:       version,
		UptimeSeconds: time.Since(s.start).Seconds(),
		Broker:        o.Broker.Kind(),
		Connections:   int64(stats.Open),
		Channels:      int64(s.hub.Stats().Channels),
		Limits: telemetry.LimitsStatus{
			MaxConnections:   s.capacity.Connections,
			MaxConnectionsBy: s.capacity.By,
			MaxMessageBytes:  o.Limits.MaxMessageBytes,
			MaxQueueBytes:    o.Limits.MaxQueueBytes,
			MessageRate:      o.Protection.MessageRate,
			UpgradeRate:      o.Protection.UpgradeRate,
			FileDescriptors:  s.host.Descriptors,
			MemoryBytes:      s.host.Memory,
		},
		Counters: telemetry.CountersStatus{
			MessagesIn:   stats.MessagesIn,
			MessagesOut:  stats.FramesOut,
			BytesIn:      stats.BytesIn,
			BytesOut:     stats.BytesOut,
			ClosedByCode: s.metrics.ClosedByCode(),
		},
	}
	if p := s.drainer.Progress(); p.Running || p.Elapsed > 0 {
		st.Drain = &telemetry.DrainStatus{
			Reason:         s.machine.Reason(),
			Remaining:      p.Remaining,
			Forced:         p.Forced,
			WindowSeconds:  p.Window.Seconds(),
			BudgetSeconds:  p.Budget.Seconds(),
			ElapsedSeconds: p.Elapsed.Seconds(),
		}
	}
	return st
}
