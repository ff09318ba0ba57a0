package valkey

import (
	"context"
	"fmt"
	"sync"
	"time"

	vk "github.com/valkey-io/valkey-go"
)

// retryCredentials is when the next attempt follows one that failed, on a connection that is already authenticated.
const retryCredentials = 15 * time.Second

// credentials hands one answer of the hook to all connections, and asks again before it expires. AWS signs tokens for 15 minutes
// and ends a connection 12 hours after its last AUTH, so that AUTH with every new token keeps a connection for good.
type credentials struct {
	ask     Credentials
	timeout time.Duration

	// mu guards the following, and is held while asking: whoever comes meanwhile wants that answer.
	mu             sync.Mutex
	user, password string
	expires        time.Time
	refresh        time.Time // when to ask again; zero: never
	known          bool
}

// get gives credentials that are not due, and when they will be.
func (c *credentials) get(ctx context.Context) (user, password string, refresh time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || !c.refresh.IsZero() && !time.Now().Before(c.refresh) {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		user, password, expires, err := c.ask(ctx)
		switch now := time.Now(); {
		case err == nil:
			c.user, c.password, c.expires, c.known = user, password, expires, true
			c.refresh = refreshAt(now, expires)
		case !c.known || !now.Before(c.expires):
			return "", "", time.Time{}, fmt.Errorf("asking for credentials: %w", err)
		default: // what there is still serves
			c.refresh = refreshAt(now, c.expires)
			if soon := now.Add(retryCredentials); soon.Before(c.refresh) {
				c.refresh = soon
			}
		}
	}
	return c.user, c.password, c.refresh, nil
}

// refreshAt is after three quarters of what is left, so that a failure leaves time for another attempt.
func refreshAt(now, expires time.Time) time.Time {
	if expires.IsZero() {
		return time.Time{}
	}
	return now.Add(max(expires.Sub(now)*3/4, 100*time.Millisecond))
}

// forSession adapts to the client library, which asks at each connection and when refresh is due. On a connection that is up a
// failure of the hook must not end it: without user and password the library leaves it as it is and asks again.
func (c *credentials) forSession(s *session) func(vk.AuthCredentialsContext) (vk.AuthCredentials, error) {
	return func(vk.AuthCredentialsContext) (vk.AuthCredentials, error) {
		user, password, refresh, err := c.get(s.ctx)
		if err != nil {
			if s.up.Load() {
				s.log.Warn("broker credentials could not be renewed; the connection stays", "broker", s.addr, "error", err)
				return vk.AuthCredentials{RefreshAfter: time.Now().Add(retryCredentials)}, nil
			}
			return vk.AuthCredentials{}, &failure{CauseAuth, fmt.Sprintf("broker %s: no credentials", s.addr), err}
		}
		return vk.AuthCredentials{Username: user, Password: password, RefreshAfter: refresh}, nil
	}
}
