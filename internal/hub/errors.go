package hub

import "errors"

var (
	// ErrUnavailable says that the broker did not take the message: it is not reachable, or refuses. The message reached nobody
	// as far as is known, and publishing it again later is right. Brokers wrap it; test with errors.Is.
	ErrUnavailable = errors.New("the broker did not take the message")

	// ErrClosed says that the hub was closed. The message reached no subscriber of this task.
	ErrClosed = errors.New("the hub is closed")
)
