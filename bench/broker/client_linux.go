package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// client is a WebSocket that costs the load as little as a Go program can: no goroutine and no buffer while it is idle.
type client struct {
	conn  net.Conn
	r     *bufio.Reader // made by the first read
	frame []byte        // the last one read
}

// dials spreads connections over loopback addresses: one has about 28,000 ports, and those of the last run may be in TIME_WAIT.
var dials atomic.Uint32

// dial opens a WebSocket and returns its hello. since is "" for a plain one.
func dial(t *task, channel, since string) (c *client, hello string, err error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+dials.Add(1)%8))}}
	conn, err := d.Dial("tcp", t.addr)
	if err != nil {
		return nil, "", err
	}
	c = &client{conn: conn}
	query := "?channel=" + channel
	if since != "" {
		query += "&since=" + since
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, "", err
	}
	_, err = io.WriteString(conn, "GET /wss"+query+" HTTP/1.1\r\nHost: "+t.addr+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	if err != nil {
		return nil, "", fmt.Errorf("ask for the upgrade: %w", err)
	}
	c.r = bufio.NewReaderSize(conn, 32<<10)
	for first := true; ; first = false {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return nil, "", fmt.Errorf("read the answer to the upgrade: %w", err)
		}
		if first && !strings.HasPrefix(line, "HTTP/1.1 101 ") {
			return nil, "", fmt.Errorf("the upgrade was answered %q", line)
		}
		if line == "\r\n" {
			break
		}
	}
	greeting, err := c.next()
	if err != nil {
		return nil, "", fmt.Errorf("read the hello: %w", err)
	}
	return c, string(greeting), conn.SetDeadline(time.Time{})
}

// rest lets go of the buffer of a client that nothing is read from any more.
func (c *client) rest() { c.r, c.frame = nil, nil }

var errClosed = errors.New("the server closed the connection")

// next is the payload of the next message, good until the one after. Pings are passed over: nothing here runs long enough to have to
// answer them.
func (c *client) next() ([]byte, error) {
	for {
		var head [10]byte
		if _, err := io.ReadFull(c.r, head[:2]); err != nil {
			return nil, err
		}
		size := uint64(head[1])
		switch size {
		case 126:
			if _, err := io.ReadFull(c.r, head[2:4]); err != nil {
				return nil, err
			}
			size = uint64(binary.BigEndian.Uint16(head[2:]))
		case 127:
			if _, err := io.ReadFull(c.r, head[2:10]); err != nil {
				return nil, err
			}
			size = binary.BigEndian.Uint64(head[2:])
		}
		if uint64(cap(c.frame)) < size {
			c.frame = make([]byte, size)
		}
		c.frame = c.frame[:size]
		if _, err := io.ReadFull(c.r, c.frame); err != nil {
			return nil, err
		}
		switch head[0] {
		case 0x81:
			return c.frame, nil
		case 0x88:
			return nil, fmt.Errorf("%w: %q", errClosed, c.frame)
		}
	}
}

// send sends a text of less than 126 bytes, masked with nought.
func (c *client) send(text []byte) error {
	frame := make([]byte, 0, 6+125)
	frame = append(frame, 0x81, 0x80|byte(len(text)), 0, 0, 0, 0)
	_, err := c.conn.Write(append(frame, text...))
	return err
}

// close resets the connection, so that it does not stay in TIME_WAIT.
func (c *client) close() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.conn.Close()
}
