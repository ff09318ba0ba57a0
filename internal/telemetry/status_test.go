package telemetry

import (
	"encoding/json"
	"testing"
)

func TestStatusHasTheFieldsThatScriptsRead(t *testing.T) {
	text, err := json.Marshal(Status{State: "draining", Task: "t1", Connections: 3, Drain: &DrainStatus{Remaining: 3, WindowSeconds: 10},
		Counters: CountersStatus{ClosedByCode: map[string]int64{"1001": 5}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"state":"draining","task":"t1","version":"","uptime_seconds":0,"broker":"","connections":3,"channels":0,` +
		`"drain":{"reason":"","remaining":3,"forced":0,"window_seconds":10,"budget_seconds":0,"elapsed_seconds":0},` +
		`"limits":{"max_connections":0,"max_connections_by":"","max_message_bytes":0,"max_queue_bytes":0,"message_rate":0,` +
		`"upgrade_rate":0,"file_descriptors":0,"memory_bytes":0},` +
		`"counters":{"messages_in":0,"messages_out":0,"bytes_in":0,"bytes_out":0,"closed_by_code":{"1001":5}}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	text, _ = json.Marshal(Status{State: "ready"})
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil || fields["drain"] != nil {
		t.Errorf("a drain before it began: %s", text)
	}
}
