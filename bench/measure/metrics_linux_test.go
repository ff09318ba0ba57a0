package main

import (
	"strings"
	"testing"
)

func TestMessagesPerPassFromTheMetrics(t *testing.T) {
	text := func(sum, count string) *strings.Reader {
		return strings.NewReader("# TYPE fairlead_fanout_pass_messages histogram\nfairlead_fanout_pass_messages_bucket{le=\"1\"} 5\n" +
			"fairlead_fanout_pass_messages_sum " + sum + "\nfairlead_fanout_pass_messages_count " + count + "\n")
	}
	before, err1 := parsePasses(text("10", "10"))
	after, err2 := parsePasses(text("40", "22"))
	if err1 != nil || err2 != nil || after.since(before) != 2.5 {
		t.Errorf("%v, %v, %v", err1, err2, after.since(before))
	}
	if _, err := parsePasses(strings.NewReader("other 1\n")); err == nil {
		t.Error("metrics without passes were taken")
	}
}
