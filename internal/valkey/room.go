package valkey

import (
	"sync"
	"time"
)

// room bounds what waits to be published.
type room struct {
	limit int

	// mu guards the following.
	mu   sync.Mutex
	used int
	wake chan struct{} // closed when something leaves; nil while nobody waits for that
}

// enter waits until cost fits; something larger than the limit fits alone. It gives up after timeout or done.
func (r *room) enter(cost int, timeout time.Duration, done <-chan struct{}) bool {
	var timer *time.Timer
	r.mu.Lock()
	for r.used > 0 && r.used+cost > r.limit {
		if r.wake == nil {
			r.wake = make(chan struct{})
		}
		wake := r.wake
		r.mu.Unlock()
		if timer == nil {
			timer = time.NewTimer(timeout)
			defer timer.Stop()
		}
		select {
		case <-wake:
		case <-timer.C:
			return false
		case <-done:
			return false
		}
		r.mu.Lock()
	}
	r.used += cost
	r.mu.Unlock()
	return true
}

func (r *room) leave(cost int) {
	r.mu.Lock()
	r.used -= cost
	if r.wake != nil && r.used <= r.limit*3/4 {
		close(r.wake)
		r.wake = nil
	}
	r.mu.Unlock()
}
