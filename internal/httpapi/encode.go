package httpapi

import (
	"fairlead/internal/dialect"
	"fairlead/internal/hub"
	"fairlead/internal/ws"
)

// The forms a message is sent in. A deflated message refers to nothing outside
// itself, so those for the several window sizes are the same bytes; they differ
// only in which messages are too long for the window and go out plain.
const (
	formPlain    hub.Form = 0
	minWindow             = 8 // RFC 7692 §7.1.2: 8 to 15
	formDeflate8 hub.Form = 1 // and one more for each further window bit
)

// formFor is the form for a connection with so many window bits (0: no
// compression).
func formFor(windowBits int) hub.Form {
	if windowBits == 0 {
		return formPlain
	}
	return formDeflate8 + hub.Form(windowBits-minWindow)
}

// encoder frames messages for the hub: once a pass and form, shared by all.
type encoder struct {
	minDeflate int
}

// deflatedMessage is kept with a message while its forms are made; nil bytes
// mean that it does not get smaller.
type deflatedMessage struct{ frame []byte }

// AppendMessage implements hub.Encoder.
func (e encoder) AppendMessage(dst []byte, f hub.Form, m *hub.Message) []byte {
	size := dialect.MessageSize(m.Payload)
	if f == formPlain || size < e.minDeflate || !ws.DeflatedFits(size, minWindow+int(f-formDeflate8)) {
		dst = ws.AppendHeader(dst, ws.OpText, false, size)
		return dialect.AppendMessage(dst, m.Payload)
	}
	deflated, ok := m.Cache.(*deflatedMessage)
	if !ok {
		deflated = new(deflatedMessage)
		text := dialect.AppendMessage(make([]byte, 0, size), m.Payload)
		if p, smaller := ws.Deflate(nil, text); smaller {
			deflated.frame = ws.AppendFrame(nil, ws.OpText, true, p)
		}
		m.Cache = deflated
	}
	if deflated.frame == nil {
		return e.AppendMessage(dst, formPlain, m)
	}
	return append(dst, deflated.frame...)
}
