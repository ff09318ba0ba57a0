//go:build integration

// Package cluster tests tasks that share channels: real `fairlead serve` processes and a real Redis, both of which are killed, stopped, cut off,
// flushed and filled while clients check everything they are handed.
//
// A client notes each message with its position, over all its connections, and a ledger notes what anybody was told about a
// position. So each test proves, for every client and every stretch that the server called continuous, that it was contiguous, that
// it was the same as everybody else's, and that every message a publisher was told is accepted was in it.
package cluster

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
