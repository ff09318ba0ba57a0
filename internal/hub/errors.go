package hub

import "errors"

var (
	// ErrUnavailable says that the broker is not reachable, or refuses. A message that was to be published reached nobody as far
	// as is known, and publishing it again later is right; so is entering later. Brokers wrap it; test with errors.Is.
	ErrUnavailable = errors.New("the broker is unavailable")

	// ErrClosed says that the hub was closed. The message reached no subscriber of this task.
	ErrClosed = errors.New("the hub is closed")

	// errGone says that the channel was removed while it was being looked for.
	errGone = errors.New("the channel was removed")
)
