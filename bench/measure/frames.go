package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// clientFrame builds a frame as a client sends it. The masking key is zero: the
// server has the same work with any key, and the load has none with this one.
func clientFrame(b0 byte, payload []byte) []byte {
	var head []byte
	switch n := len(payload); {
	case n < 126:
		head = []byte{b0, bitMask | byte(n)}
	case n <= 0xffff:
		head = binary.BigEndian.AppendUint16([]byte{b0, bitMask | 126}, uint16(n))
	default:
		head = binary.BigEndian.AppendUint64([]byte{b0, bitMask | 127}, uint64(n))
	}
	return append(append(head, 0, 0, 0, 0), payload...)
}

// message is the JSON that is published: 100 bytes, so that a delivery is a frame
// of 114 bytes, the size that every earlier figure was taken with.
var message = []byte(`{"text":"` + strings.Repeat("fairlead ", 10)[:89] + `"}`)

// delivery is the frame in which the server sends message to each subscriber.
var delivery = func() []byte {
	payload := `{"message":` + string(message) + `}`
	return append([]byte{finText, byte(len(payload))}, payload...)
}()

// hello is the first frame of a connection.
var hello = append([]byte{finText, 19}, `{"connection":"ok"}`...)

// The paths that connections are opened on.
const (
	plainPath     = "/wss"
	resumablePath = "/wss?since=now"
)

// clientKey and acceptKey are the example of RFC 6455 §1.3: a fixed key lets the
// answer be compared instead of hashed.
const (
	clientKey = "dGhlIHNhbXBsZSBub25jZQ=="
	acceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgradeRequest asks for a WebSocket; with deflate it offers permessage-deflate
// the way browsers do.
func upgradeRequest(address, path string, deflate bool) []byte {
	r := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + clientKey + "\r\n"
	if deflate {
		r += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	return []byte(r + "\r\n")
}

// upgradeAnswer is what the floor process says; it looks like the server's.
var upgradeAnswer = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + acceptKey + "\r\n\r\n")

var endOfHead = []byte("\r\n\r\n")

// checkUpgrade judges an answer's complete head (with what was read behind it).
func checkUpgrade(answer []byte, deflate bool) error {
	head, _, _ := bytes.Cut(answer, endOfHead)
	switch {
	case !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")):
		return fmt.Errorf("the server refused an upgrade: %.500q", answer)
	case !bytes.Contains(head, []byte(acceptKey)):
		return fmt.Errorf("the server's Sec-WebSocket-Accept is wrong: %q", head)
	case bytes.Contains(head, []byte("permessage-deflate")) == deflate:
		return nil
	case deflate:
		return errors.New("permessage-deflate was offered and the server did not take it")
	}
	return errors.New("the server negotiated permessage-deflate that was not offered")
}

// parseClose reads a close frame's payload; 1005 stands for none (RFC 6455 §7.1.5).
func parseClose(payload []byte) (code uint16, reason string) {
	if len(payload) < 2 {
		return 1005, ""
	}
	return binary.BigEndian.Uint16(payload), string(payload[2:])
}
