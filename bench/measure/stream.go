package main

import "errors"

// What the load knows of RFC 6455 frames.
const (
	bitFin  = 0x80
	bitMask = 0x80

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	finText = bitFin | opText

	// maxHead is the longest header of a server's frame: 2 + 8.
	maxHead = 10
)

// stream follows the frames that a server sends on one connection, whatever
// pieces they are read in. It counts messages and keeps nothing of them: the load
// must cost less than the server it measures.
type stream struct {
	left    uint64 // payload bytes of the current frame still to come
	head    [maxHead]byte
	have    uint8 // bytes in head
	payload bool  // the header is complete
	control []byte
}

var (
	errMasked = errors.New("the server masked a frame (RFC 6455 §5.1 forbids it)")
	errOpcode = errors.New("the server sent a frame with an unknown opcode")
	errLong   = errors.New("the server sent a control frame of more than 125 bytes")
)

// next reads p up to the end or the first control frame. messages is how many
// data messages ended; op is 0 or the control frame's, with its payload (valid
// until the next call) and what follows it in p.
func (s *stream) next(p []byte) (messages int, op byte, payload, rest []byte, err error) {
	for len(p) > 0 {
		if !s.payload {
			// Nearly every frame is a short text that came whole.
			for s.have == 0 && len(p) >= 2 && p[0] == finText && p[1] < 126 && len(p) >= 2+int(p[1]) {
				p = p[2+int(p[1]):]
				messages++
			}
			n, err := s.header(p)
			if err != nil {
				return messages, 0, nil, nil, err
			}
			p = p[n:]
			if !s.payload {
				break
			}
		}
		n := len(p)
		if uint64(n) > s.left {
			n = int(s.left)
		}
		op := s.head[0] & 0x0f
		if op >= opClose {
			s.control = append(s.control, p[:n]...)
		}
		s.left -= uint64(n)
		p = p[n:]
		if s.left > 0 {
			break
		}
		s.payload, s.have = false, 0
		if op >= opClose {
			payload, s.control = s.control, nil
			return messages, op, payload, p, nil
		}
		if s.head[0]&bitFin != 0 {
			messages++
		}
	}
	return messages, 0, nil, nil, nil
}

// header takes header bytes from p and says how many.
func (s *stream) header(p []byte) (n int, err error) {
	for n < len(p) {
		s.head[s.have] = p[n]
		s.have++
		n++
		if s.have < 2 {
			continue
		}
		size := uint8(2)
		switch length := s.head[1]; {
		case length&bitMask != 0:
			return n, errMasked
		case length == 126:
			size = 4
		case length == 127:
			size = maxHead
		}
		if s.have < size {
			continue
		}
		s.left = uint64(s.head[1])
		if size > 2 {
			s.left = 0
			for _, b := range s.head[2:size] {
				s.left = s.left<<8 | uint64(b)
			}
		}
		switch op := s.head[0] & 0x0f; {
		case op > opPong || op > opBinary && op < opClose:
			return n, errOpcode
		case op >= opClose && s.left > 125:
			return n, errLong
		}
		s.payload = true
		return n, nil
	}
	return n, nil
}
