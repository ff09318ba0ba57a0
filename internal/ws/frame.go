package ws

import "encoding/binary"

// The frame of RFC 6455 §5.2:
//
//	 byte 0          byte 1              0, 2 or 8 bytes   0 or 4 bytes
//	+-+-+-+-+-------+-+-------------+------------------+--------------+---------+
//	|F|R|R|R| opcode|M| payload len | extended length  | masking key  | payload |
//	|I|S|S|S|  (4)  |A|     (7)     | len=126: 16 bits | if M is set  |         |
//	|N|V|V|V|       |S|             | len=127: 64 bits |              |         |
//	| |1|2|3|       |K|             | (big endian)     |              |         |
//	+-+-+-+-+-------+-+-------------+------------------+--------------+---------+
//
// The shortest length form is mandatory. RSV1 marks a deflated message on its
// first frame (RFC 7692 §6). Clients mask, servers do not (RFC 6455 §5.1).
const (
	bitFin  = 0x80
	bitRSV1 = 0x40
	bitRSV2 = 0x20
	bitRSV3 = 0x10
	bitMask = 0x80

	maskOpcode = 0x0f
	maskLength = 0x7f

	length16 = 126 // the extended length is 16 bits
	length64 = 127 // the extended length is 64 bits

	maxControlPayload = 125 // RFC 6455 §5.5
	maxHeader         = 14  // 2 + 8 + 4
)

// Opcode is a frame's kind (RFC 6455 §11.8).
type Opcode uint8

// The opcodes of RFC 6455; every other value is reserved and a protocol error.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xa
)

func (o Opcode) control() bool { return o&0x8 != 0 }

func (o Opcode) known() bool {
	return o <= OpBinary || (o >= OpClose && o <= OpPong)
}

// Batch is a run of encoded server frames, written with one write(2). It is
// immutable once it was given to a connection: many connections share it.
type Batch struct {
	Data []byte
	// Ends holds the offset in Data after each frame, so that a queue can be
	// cut between frames. The last one equals len(Data).
	Ends []uint32
}

// NewBatch frames one message. The batch holds a copy of payload.
func NewBatch(op Opcode, payload []byte) *Batch {
	data := AppendFrame(make([]byte, 0, len(payload)+10), op, false, payload)
	return &Batch{Data: data, Ends: []uint32{uint32(len(data))}}
}

// frameEnd returns the first frame boundary at or after off.
func (b *Batch) frameEnd(off int) int {
	for _, end := range b.Ends {
		if int(end) >= off {
			return int(end)
		}
	}
	return len(b.Data)
}

// AppendFrame appends one whole unmasked frame (FIN set) to dst. deflated says
// that payload is the output of Deflate and sets RSV1.
func AppendFrame(dst []byte, op Opcode, deflated bool, payload []byte) []byte {
	return append(AppendHeader(dst, op, deflated, len(payload)), payload...)
}

// AppendHeader appends the header of a frame whose payload of n bytes the caller
// appends next.
func AppendHeader(dst []byte, op Opcode, deflated bool, n int) []byte {
	b0 := bitFin | byte(op)
	if deflated {
		b0 |= bitRSV1
	}
	switch {
	case n < length16:
		return append(dst, b0, byte(n))
	case n <= 0xffff:
		return append(dst, b0, length16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, b0, length64), uint64(n))
}

// header is a parsed frame header.
type header struct {
	length uint64
	mask   uint32 // the four key bytes as they lie in memory, see unmask
	op     Opcode
	fin    bool
	rsv1   bool
	masked bool
}

// headerSize returns how long the header that begins with p is, as far as p
// tells: 2 until the length byte is there.
func headerSize(p []byte) int {
	if len(p) < 2 {
		return 2
	}
	n := 2
	switch p[1] & maskLength {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if p[1]&bitMask != 0 {
		n += 4
	}
	return n
}

// decodeHeader reads a complete header of headerSize(p) bytes. It checks only
// what the bytes themselves say (the length form); what is allowed in this
// place is the parser's business.
func decodeHeader(p []byte) (header, error) {
	h := header{
		op:     Opcode(p[0] & maskOpcode),
		fin:    p[0]&bitFin != 0,
		rsv1:   p[0]&bitRSV1 != 0,
		masked: p[1]&bitMask != 0,
		length: uint64(p[1] & maskLength),
	}
	rest := p[2:]
	switch h.length {
	case length16:
		h.length = uint64(binary.BigEndian.Uint16(rest))
		if h.length < length16 {
			return h, protocolError("frame length is not in its shortest form")
		}
		rest = rest[2:]
	case length64:
		h.length = binary.BigEndian.Uint64(rest)
		if h.length>>63 != 0 {
			return h, protocolError("the top bit of a 64-bit frame length is set")
		}
		if h.length <= 0xffff {
			return h, protocolError("frame length is not in its shortest form")
		}
		rest = rest[8:]
	}
	if h.masked {
		h.mask = binary.LittleEndian.Uint32(rest)
	}
	return h, nil
}
