package hub

// Form is the encoding of a message that a subscriber takes. What a form means is between the Encoder and whoever calls Join;
// the hub only sees to it that each form is encoded once per pass. Forms are below MaxForms.
type Form uint8

// MaxForms bounds Form. 32 holds plain and positioned messages, each uncompressed and for the eight window sizes a
// permessage-deflate client may ask for (18 in all), and keeps the table of a busy channel at 256 bytes.
const MaxForms = 32

// Message is one message of a channel.
type Message struct {
	// Payload is what was published. It is the hub's own and is not changed after Publish.
	Payload []byte

	// Position is the message's place in its channel, given by the broker.
	Position Position

	// Cache is the Encoder's: nil when the message arrives, and kept until every form that a pass needs is encoded. A compressed
	// payload that several forms share belongs here. A replay encodes from a copy of its own, with an empty Cache.
	Cache any
}

// Encoder turns messages into wire frames.
type Encoder interface {
	// AppendMessage appends to dst exactly one wire frame that carries m in form f, and returns the extended slice. Calls with
	// one *Message are serial, so m.Cache needs no lock; other calls run at the same time. It must keep neither dst nor m, and
	// must not call the hub.
	AppendMessage(dst []byte, f Form, m *Message) []byte
}

// Batch is a run of encoded frames, back to back. It is shared by many subscribers and never changes after it was handed out; a
// slow connection may keep it as long as it likes, and the garbage collector takes it back.
type Batch struct {
	Data []byte   // the frames
	Ends []uint32 // the offset in Data just after each frame; never empty
}

// Subscriber is who messages are delivered to.
type Subscriber interface {
	// Deliver hands over the frames of one pass. It must not block, since it holds up everyone after it in the channel. It must
	// not Publish, which may wait for the very pass that is delivering, nor Flush or Close; Join and Leave are fine. Calls for
	// one subscriber never overlap, but come from different goroutines.
	Deliver(b *Batch)

	// Lost says that continuity is broken: the member is out of its channel, as after Leave, and is handed nothing more but the
	// batch of a pass that had already begun. Everything that it was handed is in order and without a gap; it should be told to
	// come back and resume. It is called for resumable members only, once at most, with no lock held; it must not block. Leave
	// need not be called any more but may be.
	Lost()
}

// fewEnds is how many frames a batch has room for without a slice of its own. Passes of one to four messages are the common
// ones, and this saves them an allocation.
const fewEnds = 4

// encode builds the batch of messages in form f. The frames grow in scratch and are copied out, so that what slow connections
// keep has exactly the size of its frames, whatever an encoder needed on the way (compression shrinks, positions grow).
func encode(e Encoder, f Form, messages []Message, scratch *[]byte) *Batch {
	var b *Batch
	if len(messages) <= fewEnds {
		small := new(struct {
			Batch
			ends [fewEnds]uint32
		})
		b = &small.Batch
		b.Ends = small.ends[:0]
	} else {
		b = &Batch{Ends: make([]uint32, 0, len(messages))}
	}
	dst := (*scratch)[:0]
	for i := range messages {
		dst = e.AppendMessage(dst, f, &messages[i])
		b.Ends = append(b.Ends, uint32(len(dst)))
	}
	b.Data = make([]byte, len(dst))
	copy(b.Data, dst)
	*scratch = dst
	return b
}

// part is n frames of the batch, without its first skip. It shares Data.
func (b *Batch) part(skip, n int) *Batch {
	if skip == 0 && n == len(b.Ends) {
		return b
	}
	start := uint32(0)
	if skip > 0 {
		start = b.Ends[skip-1]
	}
	ends := b.Ends[skip : skip+n]
	end := ends[n-1]
	part := &Batch{Data: b.Data[start:end:end], Ends: make([]uint32, n)}
	for i, e := range ends {
		part.Ends[i] = e - start
	}
	return part
}
