package ws

import (
	"fmt"
	"strings"
	"testing"
)

// Sections 1 to 4: lengths, pings and pongs, reserved bits, reserved opcodes.

func TestConformanceFraming(t *testing.T) {
	var rows []row
	for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
		rows = append(rows,
			row{section: fmt.Sprintf("1.1.%d", i+1), says: fmt.Sprintf("text of %d bytes", n),
				send: [][]byte{clientFrame(finText, words(n))}, want: []answer{text(words(n))}},
			row{section: fmt.Sprintf("1.2.%d", i+1), says: fmt.Sprintf("binary of %d bytes that are not UTF-8", n),
				send: [][]byte{clientFrame(finBinary, strings.Repeat("\xfd", n))}, want: []answer{blob(strings.Repeat("\xfd", n))}})
	}
	for _, key := range [][4]byte{{}, {0xff, 0, 0, 0}, {1, 2, 3, 4}} {
		for _, n := range []int{1, 3, 7, 31, 33, 200} {
			rows = append(rows, row{section: "beyond", says: fmt.Sprintf("%d bytes masked with % x", n, key),
				send: [][]byte{bigFrame(finText, []byte(words(n)), key)}, want: []answer{text(words(n))}})
		}
	}
	raw := func(b ...byte) [][]byte { return [][]byte{clientFrame(finText, "before"), b} }
	before := []answer{text("before")}
	rows = append(rows,
		row{"beyond", "a frame without a mask", raw(finText, 2, 'h', 'i'), before, fails(CloseProtocolError)},
		row{"beyond", "a ping without a mask", raw(finPing, 0), before, fails(CloseProtocolError)},
		row{"beyond", "125 bytes in the 16-bit form", raw(finText, bitMask|126, 0, 125, 0, 0, 0, 0), before, fails(CloseProtocolError)},
		row{"beyond", "65535 bytes in the 64-bit form", raw(finText, bitMask|127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0), before, fails(CloseProtocolError)},
		row{"beyond", "a length with the top bit set", raw(finText, bitMask|127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), before, fails(CloseProtocolError)},
		row{"beyond", "one byte over the message limit, by its header", raw(finText, bitMask|127, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0), before, fails(CloseTooBig)},
		row{"beyond", "the longest length there is, by its header", raw(finBinary, bitMask|127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), before, fails(CloseTooBig)},
	)
	play(t, rows, "")
}

func TestConformancePings(t *testing.T) {
	ping := func(p string) []byte { return clientFrame(finPing, p) }
	var ten [][]byte
	var pongs []answer
	for i := range 10 {
		ten = append(ten, ping(fmt.Sprint("number ", i)))
		pongs = append(pongs, pong(fmt.Sprint("number ", i)))
	}
	full, over := strings.Repeat("\xfe", 125), strings.Repeat("\xfe", 126)
	bye := clientFrame(finClose, closePayload(CloseNormal, ""))
	play(t, []row{
		{section: "2.1", says: "a ping without payload", send: [][]byte{ping("")}, want: []answer{pong("")}},
		{section: "2.2", says: "a ping with text", send: [][]byte{ping("ahoy, harbour")}, want: []answer{pong("ahoy, harbour")}},
		{section: "2.3", says: "a ping with bytes that are not text", send: [][]byte{ping("\x00\xff\xfe\xc0\x80\x00")}, want: []answer{pong("\x00\xff\xfe\xc0\x80\x00")}},
		{section: "2.4 2.6", says: "a ping of 125 bytes", send: [][]byte{ping(full)}, want: []answer{pong(full)}},
		{section: "2.5", says: "a ping of 126 bytes", send: [][]byte{ping(over)}, end: fails(CloseProtocolError)},
		{section: "2.5", says: "a pong of 126 bytes", send: [][]byte{clientFrame(finPong, over)}, end: fails(CloseProtocolError)},
		{section: "2.7", says: "an empty pong nobody asked for, then the close", send: [][]byte{clientFrame(finPong, ""), bye}, end: closes(CloseNormal)},
		{section: "2.8", says: "a pong with payload nobody asked for, then the close", send: [][]byte{clientFrame(finPong, "unasked"), bye}, end: closes(CloseNormal)},
		{section: "2.9", says: "an unasked pong, then a ping", send: [][]byte{clientFrame(finPong, "unasked"), ping("asked")}, want: []answer{pong("asked")}},
		{section: "2.10 2.11", says: "ten pings are answered one by one, in order", send: ten, want: pongs},
		{section: "beyond", says: "pings and messages keep their order", send: [][]byte{ping("a"), clientFrame(finText, "b"), ping("c"), clientFrame(finBinary, "d")},
			want: []answer{pong("a"), text("b"), pong("c"), blob("d")}},
	}, "")
}

func TestConformanceReservedBits(t *testing.T) {
	good := clientFrame(finText, "good")
	late := clientFrame(finPing, "too late")
	echoed := []answer{text("good")}
	const rsv3, rsv2, rsv1 = bitRSV3, bitRSV2, bitRSV1
	violation := fails(CloseProtocolError)
	rows := []row{
		{"3.1", "RSV3 on a text", [][]byte{clientFrame(finText|rsv3, "bad")}, nil, violation},
		{"3.2", "RSV2 on a text behind a good one", [][]byte{good, clientFrame(finText|rsv2, "bad"), late}, echoed, violation},
		{"3.3", "RSV2 and RSV3 on a text behind a good one", [][]byte{good, clientFrame(finText|rsv2|rsv3, "bad"), late}, echoed, violation},
		{"3.4", "RSV1 on a text behind a good one", [][]byte{good, clientFrame(finText|rsv1, "bad"), late}, echoed, violation},
		{"3.5", "RSV1 and RSV3 on a binary", [][]byte{clientFrame(finBinary|rsv1|rsv3, "\x00\xff\x00\xff")}, nil, violation},
		{"3.6", "RSV1 and RSV2 on a binary", [][]byte{clientFrame(finBinary|rsv1|rsv2, "bad")}, nil, violation},
		{"3.6", "RSV1 and RSV2 on a ping", [][]byte{clientFrame(finPing|rsv1|rsv2, "bad")}, nil, violation},
		{"3.7", "all reserved bits on a close", [][]byte{clientFrame(finClose|rsv1|rsv2|rsv3, "")}, nil, violation},
	}
	for bits := 1; bits < 8; bits++ {
		for _, b0 := range []byte{finText, finBinary, finPing, finPong, finClose} {
			rows = append(rows, row{"3.*", fmt.Sprintf("reserved bits %03b on opcode %d behind a good message", bits, b0&maskOpcode),
				[][]byte{good, clientFrame(b0|byte(bits<<4), ""), late}, echoed, violation})
		}
		rows = append(rows, row{"3.*", fmt.Sprintf("reserved bits %03b on a continuation", bits),
			[][]byte{good, clientFrame(byte(OpText), "a"), clientFrame(finCont|byte(bits<<4), "b"), late}, echoed, violation})
	}
	play(t, rows, "")
}

func TestConformanceOpcodes(t *testing.T) {
	good := clientFrame(finText, "good")
	late := clientFrame(finPing, "too late")
	var rows []row
	for group, first := range []byte{3, 11} {
		for i := range byte(5) {
			bad := bitFin | (first + i)
			section := fmt.Sprintf("4.%d.%d", group+1, i+1)
			rows = append(rows,
				row{section, fmt.Sprintf("opcode %d without payload", first+i), [][]byte{clientFrame(bad, "")}, nil, fails(CloseProtocolError)},
				row{section, fmt.Sprintf("opcode %d with payload", first+i), [][]byte{clientFrame(bad, "reserved")}, nil, fails(CloseProtocolError)},
				row{section, fmt.Sprintf("opcode %d behind a good message", first+i), [][]byte{good, clientFrame(bad, ""), late}, []answer{text("good")}, fails(CloseProtocolError)},
				row{section, fmt.Sprintf("opcode %d with payload behind a good message", first+i), [][]byte{good, clientFrame(bad, "reserved"), late}, []answer{text("good")}, fails(CloseProtocolError)},
				row{section, fmt.Sprintf("opcode %d without FIN", first+i), [][]byte{clientFrame(first+i, "")}, nil, fails(CloseProtocolError)},
			)
		}
	}
	play(t, rows, "")
}
