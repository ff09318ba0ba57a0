package valkey

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A hook like IAM's, with tokens for 15 minutes.
func TestCredentialsAreAskedForBeforeTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var fail error
		c := &credentials{timeout: time.Second, ask: func(context.Context) (string, string, time.Time, error) {
			if fail != nil {
				return "", "", time.Time{}, fail
			}
			asked++
			return "task", fmt.Sprint("token", asked), time.Now().Add(15 * time.Minute), nil
		}}
		get := func() (string, time.Duration, error) {
			user, password, refresh, err := c.get(t.Context())
			if err == nil && user != "task" {
				t.Errorf("user %q", user)
			}
			return password, time.Until(refresh), err
		}
		for range 3 { // connections made at about the same time share a token
			if password, in, err := get(); password != "token1" || in != 15*time.Minute*3/4 || err != nil {
				t.Errorf("%s for %v, %v", password, in, err)
			}
		}
		time.Sleep(12 * time.Minute)
		if password, _, _ := get(); password != "token2" {
			t.Errorf("after three quarters it is %s", password)
		}
		time.Sleep(12 * time.Minute)
		fail = errPlain
		if password, in, err := get(); password != "token2" || in > retryCredentials || err != nil {
			t.Errorf("while the hook fails: %s, again in %v, %v", password, in, err)
		}
		time.Sleep(4 * time.Minute)
		if _, _, err := get(); err == nil {
			t.Error("an expired token was given")
		}
		fail = nil
		if password, _, err := get(); password != "token3" || err != nil {
			t.Errorf("when the hook works again: %s, %v", password, err)
		}
	})
}

func TestCredentialsWithoutAnEndAreAskedForOnce(t *testing.T) {
	c := &credentials{timeout: time.Second, ask: func(context.Context) (string, string, time.Time, error) { return "u", "p", time.Time{}, nil }}
	if _, _, refresh, err := c.get(t.Context()); err != nil || !refresh.IsZero() {
		t.Errorf("refresh at %v, %v", refresh, err)
	}
}
