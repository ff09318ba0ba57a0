package fairleadtest

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// WaitTime is how long an ordinary condition may take to become true. It is long
// because it costs nothing where all is well.
const WaitTime = 20 * time.Second

// Eventually asks until ask returns nil, and fails the test with what it said
// last if that does not happen within WaitTime.
func Eventually(tb testing.TB, ask func() error) {
	tb.Helper()
	Within(tb, WaitTime, ask)
}

// Within is Eventually with a time of its own.
func Within(tb testing.TB, most time.Duration, ask func() error) {
	tb.Helper()
	if err := poll(most, ask); err != nil {
		tb.Fatal(err)
	}
}

// errNever marks an answer that asking again will not change.
var errNever = errors.New("for good")

func poll(most time.Duration, ask func() error) error {
	deadline := time.Now().Add(most)
	for {
		err := ask()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errNever):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("after %v: %w", most, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
