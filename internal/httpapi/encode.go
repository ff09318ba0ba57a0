package httpapi

import (
	"fairlead/internal/dialect"
	"fairlead/internal/hub"
	"fairlead/internal/ws"
)

// The forms a message is sent in: plain or with its position, and each of them
// uncompressed or deflated for one of the eight windows. A deflated message
// refers to nothing outside itself, so those for the several window sizes are
// the same bytes; they differ only in which messages are too long for the
// window and go uncompressed.
const (
	minWindow = 8  // RFC 7692 §7.1.2: 8 to 15
	windows   = 10 // forms in each mode: uncompressed, 8 windows, one spare
)

// formFor is the form for a connection with so many window bits (0: no
// compression).
func formFor(resumable bool, windowBits int) hub.Form {
	f := hub.Form(0)
	if resumable {
		f = windows
	}
	if windowBits != 0 {
		f += hub.Form(windowBits - minWindow + 1)
	}
	return f
}

// formOf is the reverse.
func formOf(f hub.Form) (resumable bool, windowBits int) {
	if resumable = f >= windows; resumable {
		f -= windows
	}
	if f != 0 {
		windowBits = int(f) + minWindow - 1
	}
	return resumable, windowBits
}

// encoder frames messages for the hub: once a pass and form, shared by all.
type encoder struct {
	minDeflate int
}

// deflatedFrames are kept with a message while its forms are made: plain, and
// with its position. A frame that is empty but there does not get smaller.
type deflatedFrames [2][]byte

// AppendMessage implements hub.Encoder.
func (e encoder) AppendMessage(dst []byte, f hub.Form, m *hub.Message) []byte {
	resumable, windowBits := formOf(f)
	var room [hub.MaxEpoch + 21]byte
	var position []byte
	size := dialect.MessageSize(m.Payload)
	if resumable {
		position = m.Position.Append(room[:0])
		size = dialect.PositionedSize(m.Payload, position)
	}
	if size >= e.minDeflate && ws.DeflatedFits(size, windowBits) {
		if frame := deflatedFrame(m, position, size); len(frame) > 0 {
			return append(dst, frame...)
		}
	}
	return appendText(ws.AppendHeader(dst, ws.OpText, false, size), m.Payload, position)
}

func appendText(dst, x, position []byte) []byte {
	if position == nil {
		return dialect.AppendMessage(dst, x)
	}
	return dialect.AppendPositioned(dst, x, position)
}

// deflatedFrame is m deflated, by the first who asks; empty if that is no gain.
func deflatedFrame(m *hub.Message, position []byte, size int) []byte {
	frames, ok := m.Cache.(*deflatedFrames)
	if !ok {
		frames = new(deflatedFrames)
		m.Cache = frames
	}
	which := &frames[0]
	if position != nil {
		which = &frames[1]
	}
	if *which == nil {
		*which = []byte{}
		text := appendText(make([]byte, 0, size), m.Payload, position)
		if p, smaller := ws.Deflate(nil, text); smaller {
			*which = ws.AppendFrame(nil, ws.OpText, true, p)
		}
	}
	return *which
}
