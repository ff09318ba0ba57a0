//go:build !race

// The race detector makes sync.Pool forget on purpose, and the compressor's
// parts come from such pools.

package ws

import "testing"

func TestDeflateAllocatesNothingInASteadyState(t *testing.T) {
	payload := sampleJSON(t, 1024, 4)
	dst := make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { dst, _ = Deflate(dst[:0], payload) }); got >= 1 {
		t.Errorf("%v allocations a message", got)
	}
}
