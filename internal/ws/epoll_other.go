//go:build !linux

package ws

func newEpoll(int) (backend, error) { return nil, ErrBackend }
