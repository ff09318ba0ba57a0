package hub

import (
	"slices"
	"time"
)

// frames are a block's first messages in one form, encoded for replays and shared by them all.
type frames struct {
	form  Form
	used  int64 // when they were last wanted, by the hub's clock
	batch *Batch
}

// keepFrames is how long frames are kept after the last replay that wanted them: clients return in crowds or hardly at all.
const keepFrames = 30 * time.Second

// framesOverhead is what a batch counts beside its data.
const framesOverhead = 128

func (f *frames) cost() int { return cap(f.batch.Data) + 4*cap(f.batch.Ends) + framesOverhead }

// framesIn finds the frames in form f. channel.mu is held.
func (b *block) framesIn(f Form) *frames {
	for i := range b.frames {
		if b.frames[i].form == f {
			return &b.frames[i]
		}
	}
	return nil
}

func (b *block) framesCost() (cost int) {
	for i := range b.frames {
		cost += b.frames[i].cost()
	}
	return cost
}

// dropFrames lets go of frames last used at unused or before. channel.mu is held.
func (w *window) dropFrames(unused int64) {
	if w.frames == 0 {
		return
	}
	w.frames = 0
	for _, b := range w.blocks {
		b.frames = slices.DeleteFunc(b.frames, func(f frames) bool { return f.used <= unused })
		if len(b.frames) == 0 {
			b.frames = nil
		}
		w.frames += b.framesCost()
	}
}

// replay is what one subscriber missed: everything that is needed to encode it without the channel's lock.
type replay struct {
	channel *channel
	past    *past
	form    Form
	epoch   string
	private []Message // older than the window
	spans   []span
	cached  []*Batch // for each span what was encoded already; nil if nothing
}

// replay collects what comes after an offset before head: messages, which begin there and meet the window, and then the window. mu
// is held.
func (c *channel) replay(f Form, after uint64, messages []Message) *replay {
	r := &replay{channel: c, past: c.past, form: f, epoch: c.head.Epoch}
	first := c.first()
	n := 0
	for n < len(messages) && messages[n].Position.Offset < first {
		n++
	}
	r.private = messages[:n]
	if c.past != nil {
		r.spans = c.past.window.spans(max(after, first-1), c.head.Offset)
	}
	r.cached = make([]*Batch, len(r.spans))
	for i := range r.spans {
		r.cached[i] = r.spans[i].block.wanted(f, c.hub.store.clock.Load())
	}
	c.hub.counters.replayed.Add(c.head.Offset - after)
	return r
}

// wanted is what was encoded of b in form f. channel.mu is held.
func (b *block) wanted(f Form, now int64) *Batch {
	if fs := b.framesIn(f); fs != nil {
		fs.used = now
		return fs.batch
	}
	return nil
}

// batches makes the batches. No lock is held.
func (r *replay) batches() []*Batch {
	e := r.channel.hub.encoder
	batches := make([]*Batch, 0, len(r.spans)+len(r.private)/blockMessages+1)
	for rest := r.private; len(rest) > 0; {
		n, size := 0, 0
		for n < len(rest) && n < blockMessages && size < blockBytes {
			size += len(rest[n].Payload)
			n++
		}
		scratch := scratches.Get().(*[]byte)
		batches = append(batches, encode(e, r.form, rest[:n], scratch))
		giveScratch(scratch)
		rest = rest[n:]
	}
	for i := range r.spans {
		s := &r.spans[i]
		b := r.cached[i]
		if b == nil || len(b.Ends) < len(s.entries) {
			b = r.encoded(s)
		}
		skip := int(s.from + 1 - s.block.first)
		batches = append(batches, b.part(skip, len(s.entries)-skip))
	}
	return batches
}

// encoded is the batch of a span's entries, and maybe more, encoded now unless another replay has done it meanwhile.
func (r *replay) encoded(s *span) *Batch {
	c, p := r.channel, r.past
	p.replaying.Lock()
	defer p.replaying.Unlock()
	now := c.hub.store.clock.Load()
	c.mu.Lock()
	b := s.block.wanted(r.form, now)
	c.mu.Unlock()
	if b != nil && len(b.Ends) >= len(s.entries) {
		return b
	}
	b = r.extend(b, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepFrames(s.block, frames{r.form, now, b})
	return b
}

// extend is b with the entries of s that it does not have. b may be nil. past.replaying is held.
func (r *replay) extend(b *Batch, s *span) *Batch {
	e := r.channel.hub.encoder
	if b == nil {
		b = new(Batch)
	}
	// What follows b.Data in memory is nobody's yet: others have b with its present length. Only here is it written, and only
	// one at a time, so a block that grows between replays is not copied again and again.
	data, ends := b.Data, b.Ends
	if data == nil {
		size := 0
		for _, e := range s.entries {
			size += len(e.payload) + messageOverhead
		}
		data, ends = make([]byte, 0, size), make([]uint32, 0, len(s.entries))
	}
	for i := len(ends); i < len(s.entries); i++ {
		m := Message{Payload: s.entries[i].payload, Position: Position{r.epoch, s.block.first + uint64(i)}}
		data = e.AppendMessage(data, r.form, &m)
		ends = append(ends, uint32(len(data)))
	}
	if s.closed && cap(data)-len(data) > len(data)/4 { // compressed, as a rule
		data = slices.Clone(data)
	}
	return &Batch{Data: data, Ends: ends}
}

// keepFrames keeps f with its block, if that is still in the window and there is room. mu is held.
func (c *channel) keepFrames(b *block, f frames) {
	s := &c.hub.store
	if c.past == nil || !slices.Contains(c.past.window.blocks, b) {
		return
	}
	old := b.framesIn(f.form)
	more := f.cost()
	if old != nil {
		more -= old.cost()
	}
	if more > 0 && s.frames.Load()+int64(more) > s.maxFrames {
		return
	}
	if old != nil {
		*old = f
	} else {
		b.frames = append(b.frames, f)
	}
	c.past.window.frames += more
	c.account()
}
