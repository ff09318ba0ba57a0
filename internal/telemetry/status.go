package telemetry

// Status is the JSON of the admin listener's /status: what a person, `fairlead status` or a script wants to know about
// one task. Fields are only ever added. Sizes are bytes, times seconds.
type Status struct {
	State         string  `json:"state"` // starting, ready, draining or stopped
	Task          string  `json:"task"`
	Version       string  `json:"version"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Broker        string  `json:"broker"` // its kind, never its address: that may hold a password

	Connections int64 `json:"connections"` // open now
	Channels    int64 `json:"channels"`    // with at least one subscriber

	Drain    *DrainStatus   `json:"drain,omitempty"` // absent until a drain begins
	Limits   LimitsStatus   `json:"limits"`
	Counters CountersStatus `json:"counters"`
}

// DrainStatus is how far a drain has come.
type DrainStatus struct {
	Reason         string  `json:"reason"`          // what began it, such as the signal's name
	Remaining      int     `json:"remaining"`       // connections still open
	Forced         int     `json:"forced"`          // connections cut instead of closed
	WindowSeconds  float64 `json:"window_seconds"`  // the closes are spread over this
	BudgetSeconds  float64 `json:"budget_seconds"`  // after this the rest is cut
	ElapsedSeconds float64 `json:"elapsed_seconds"` // since it began; stands still at its end
}

// LimitsStatus are the limits in force, derived ones included.
type LimitsStatus struct {
	MaxConnections   int     `json:"max_connections"`
	MaxConnectionsBy string  `json:"max_connections_by"` // what set it: "setting", "file descriptors", "memory" or "default"
	MaxMessageBytes  int     `json:"max_message_bytes"`
	MaxQueueBytes    int     `json:"max_queue_bytes"`
	MessageRate      float64 `json:"message_rate"`     // a second and connection; 0: no limit
	UpgradeRate      float64 `json:"upgrade_rate"`     // a second; 0: no limit
	FileDescriptors  int64   `json:"file_descriptors"` // 0: unknown
	MemoryBytes      int64   `json:"memory_bytes"`     // of the cgroup or the machine; 0: unknown
}

// CountersStatus are totals since the start.
type CountersStatus struct {
	MessagesIn   int64            `json:"messages_in"`
	MessagesOut  int64            `json:"messages_out"`
	BytesIn      int64            `json:"bytes_in"`
	BytesOut     int64            `json:"bytes_out"`
	ClosedByCode map[string]int64 `json:"closed_by_code"` // Metrics.ClosedByCode
}
