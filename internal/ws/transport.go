package ws

import "errors"

// transport is the byte side of a connection: what the backends differ in.
// All calls but release are made with Conn.mu held.
type transport interface {
	// start begins reading; from here on the backend's goroutine is the
	// connection's owner. wantWrite says that output waits already.
	start(c *Conn, wantWrite bool) error
	// write takes what it can without blocking; errAgain with n < len(p) means
	// that Conn.writable will be called after wantWrite(true).
	write(p []byte) (n int, err error)
	// wantWrite turns the calls of Conn.writable on and off.
	wantWrite(on bool)
	// stopRead ends the reading; the owner of a portable connection is then its
	// writer.
	stopRead()
	// finishWrite sends FIN after what was written; reading goes on.
	finishWrite()
	// hangUp ends the socket in both directions without giving the descriptor
	// back, so that the owner wakes and does that.
	hangUp()
	// release gives the descriptor back. Owner only.
	release()
}

// errAgain says that the kernel takes no more bytes now.
var errAgain = errors.New("ws: try again")
