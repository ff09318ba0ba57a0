package valkey

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after so many failures in a row: full jitter, a random time below min(limit, 50 ms × 2ⁿ), so that
// the tasks that lost one server do not come back to it together.
func backoff(failures int, limit time.Duration) time.Duration {
	ceiling := limit
	if failures < 16 {
		ceiling = min(limit, minBackoff<<failures)
	}
	return rand.N(ceiling) + 1
}

// jitter is d ± 25 %.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }
