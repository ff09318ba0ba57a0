package ws

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Section 12: permessage-deflate (RFC 7692) over sizes and kinds of payload.
// The client's half is the standard library's compressor and decompressor, not
// the engine's.

const deflateOfferAll = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; client_max_window_bits\r\n"

// corpora are payload kinds with the size of what is windowed for messages.
func corpora(tb testing.TB) map[string]corpus {
	r := rand.New(rand.NewPCG(12, 12))
	image := make([]byte, 256<<10) // a gradient under noise, 512 bytes a line
	for i := range image {
		image[i] = byte((i&511+i>>9)/8 + r.IntN(3))
	}
	vocabulary := strings.Fields("der Leuchtturm wirft über das Wasser ein Licht und jedes Schiff grüßt zurück weil die Nacht groß ist λιμάνι φάρος 船")
	var prose, page strings.Builder
	for prose.Len() < 200<<10 {
		prose.WriteString(vocabulary[r.IntN(len(vocabulary))])
		prose.WriteString([]string{" ", " ", " ", ", ", ".\n"}[r.IntN(5)])
	}
	for page.Len() < 200<<10 {
		fmt.Fprintf(&page, "<li class=\"berth b%d\"><a href=\"/berths/%x\">%s</a></li>\n", r.IntN(9), r.Uint32(), vocabulary[r.IntN(len(vocabulary))])
	}
	return map[string]corpus{
		"12.1 JSON":  {finText, sampleJSON(tb, 190<<10, 12)},
		"12.2 image": {finBinary, image},
		"12.3 prose": {finBinary, []byte(prose.String())},
		"12.4 HTML":  {finText, []byte(page.String())},
		"12.5 noise": {finBinary, noise(300 << 10)},
	}
}

type corpus struct {
	b0   byte
	data []byte
}

// message is the i-th adjoining window of about n bytes, wrapping at the end.
// Text is cut between characters.
func (c corpus) message(i, n int) []byte {
	at := i * n % len(c.data)
	m := slices.Clone(c.data[at:min(at+n, len(c.data))])
	for len(m) < n {
		m = append(m, c.data[:min(n-len(m), len(c.data))]...)
	}
	if c.b0 == finText {
		m = bytes.ToValidUTF8(m, nil)
	}
	return m
}

// deflateSizes are the message sizes and the fragment sizes (0: one frame) of
// the eighteen cases of every subsection.
var deflateSizes = [18]struct{ message, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256}, {131072, 1024}, {131072, 4096}, {131072, 32768},
}

// deflateClient compresses as a client that keeps no context.
type deflateClient struct {
	out bytes.Buffer
	w   *flate.Writer
}

// newDeflateClients has one for each of several levels.
func newDeflateClients(tb testing.TB) (all [4]*deflateClient) {
	for i, level := range []int{1, 6, 9, flate.HuffmanOnly} {
		all[i] = newDeflateClient(tb, level)
	}
	return all
}

func newDeflateClient(tb testing.TB, level int) *deflateClient {
	w, err := flate.NewWriter(io.Discard, level)
	if err != nil {
		tb.Fatal(err)
	}
	return &deflateClient{w: w}
}

func (d *deflateClient) deflate(tb testing.TB, m []byte) []byte {
	d.out.Reset()
	d.w.Reset(&d.out)
	if _, err := d.w.Write(m); err != nil {
		tb.Fatal(err)
	}
	if err := d.w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSuffix(d.out.Bytes(), []byte(deflateTail))
}

// send sends one message, compressed, in fragments of the compressed bytes.
func (d *deflateClient) send(c *rawClient, b0 byte, m []byte, fragment int) {
	c.t.Helper()
	z := d.deflate(c.t, m)
	if fragment == 0 {
		fragment = len(z)
	}
	frames := fragmented(b0, z, max(fragment, 1))
	frames[0][0] |= bitRSV1
	c.send(join(frames...))
}

// expectDeflated reads an echo. One that is deflated must be so within the
// window that was agreed, and smaller than its message.
func (c *rawClient) expectDeflated(b0 byte, m []byte, windowBits int) (deflated bool) {
	c.t.Helper()
	got, p, err := c.frame()
	if err != nil || got&^bitRSV1 != b0 {
		c.t.Fatalf("got frame %#x of %d bytes, %v; want %#x", got, len(p), err, b0)
	}
	plain := p
	if deflated = got&bitRSV1 != 0; deflated {
		if windowBits == 0 {
			c.t.Fatal("a deflated frame though nothing was agreed")
		}
		if len(p) >= len(m) {
			c.t.Fatalf("%d bytes deflated to %d", len(m), len(p))
		}
		// A reference reaches back at most to the start of its message, so
		// one that fits the window cannot leave it. 15 bits is all that the
		// format itself can reach.
		if windowBits < maxWindowBits && len(m) > 1<<windowBits {
			c.t.Fatalf("a deflated message of %d bytes for a window of %d", len(m), 1<<windowBits)
		}
		if plain, err = stdInflate(p); err != nil {
			c.t.Fatalf("the echo does not inflate: %v", err)
		}
	}
	if !bytes.Equal(plain, m) {
		c.t.Fatalf("the echo's %d bytes differ from the message's %d", len(plain), len(m))
	}
	return deflated
}

func TestConformanceDeflate(t *testing.T) {
	t.Parallel()
	all := corpora(t)
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		clients := newDeflateClients(t)
		for name, data := range all {
			for i, size := range deflateSizes {
				t.Run(fmt.Sprintf("%s, case %d, %d bytes, fragments of %d", name, i+1, size.message, size.fragment), func(t *testing.T) {
					s.settle(t)
					c := s.dialTCP(t)
					c.upgrade(deflateOfferAll)
					d := clients[i%4]
					small := 0
					rounds := max(1, min(6, 32<<10/size.message))
					for j := range rounds {
						m := data.message(j, size.message)
						d.send(c, data.b0, m, size.fragment)
						if c.expectDeflated(data.b0, m, maxWindowBits) {
							small++
						}
					}
					if name != "12.5 noise" && size.message >= 4096 && small != rounds {
						t.Errorf("%d of %d echoes were deflated", small, rounds)
					}
					ending{}.check(t, s, c)
				})
			}
		}
	})
}

// What the suite leaves out: faults under compression, and streams that are
// right though no usual client sends them.
func TestConformanceDeflateOddities(t *testing.T) {
	f := clientFrame
	const rsv1 = bitRSV1
	light := strings.Repeat(light+" ", 30)
	z := func(s string) string { return string(stdDeflate(t, []byte(s), 6)) }
	in := func(payload string, size int) [][]byte {
		frames := fragmented(finText, []byte(payload), size)
		frames[0][0] |= rsv1
		return frames
	}
	good, echoed := f(finText|rsv1, z("good")), text("good")
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 §7.2.3.1
	violation, corrupt := fails(CloseProtocolError), fails(CloseInvalidPayload)
	rows := []row{
		{"12.*", "an empty message of one byte", [][]byte{f(finText|rsv1, "\x00")}, []answer{text("")}, ending{}},
		{"12.*", "an empty message of no byte", [][]byte{f(finText|rsv1, "")}, []answer{text("")}, ending{}},
		{"12.*", "a compressed message in one-byte fragments", in(hello, 1), []answer{text("Hello")}, ending{}},
		{"12.*", "a compressed message with empty fragments", [][]byte{f(byte(OpText)|rsv1, ""), f(byte(OpContinuation), hello), f(finCont, "")}, []answer{text("Hello")}, ending{}},
		{"12.*", "a stored block", [][]byte{f(finText|rsv1, "\x00\x05\x00\xfa\xffHello\x00")}, []answer{text("Hello")}, ending{}},
		{"12.*", "a final block", [][]byte{f(finText|rsv1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}, []answer{text("Hello")}, ending{}},
		{"12.*", "two blocks", [][]byte{f(finText|rsv1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")}, []answer{text("Hello")}, ending{}},
		{"12.*", "plain and compressed in turns", [][]byte{f(finText, "a"), f(finText|rsv1, hello), f(finBinary, "b"), f(finBinary|rsv1, hello)},
			[]answer{text("a"), text("Hello"), blob("b"), blob("Hello")}, ending{}},
		{"12.*", "a ping within a compressed message", [][]byte{f(byte(OpText)|rsv1, hello[:3]), f(finPing, "within"), f(finCont, hello[3:])}, []answer{pong("within"), text("Hello")}, ending{}},
		{"12.*", "a plain message in fragments comes back compressed", fragmented(finText, []byte(light), 7), []answer{{finText | rsv1, mustDeflate(t, light)}}, ending{}},
		{"12.*", "a compressed binary that is not text", [][]byte{f(finBinary|rsv1, z("\xff\xfe\xc0"))}, []answer{blob("\xff\xfe\xc0")}, ending{}},

		{"12.*", "RSV1 on a continuation", [][]byte{good, f(byte(OpText)|rsv1, hello[:3]), f(finCont|rsv1, hello[3:])}, []answer{echoed}, violation},
		{"12.*", "RSV1 on a continuation of a plain message", [][]byte{good, f(byte(OpText), "a"), f(finCont|rsv1, "b")}, []answer{echoed}, violation},
		{"12.*", "RSV1 on a ping", [][]byte{good, f(finPing|rsv1, "")}, []answer{echoed}, violation},
		{"12.*", "RSV1 on a pong", [][]byte{good, f(finPong|rsv1, "")}, []answer{echoed}, violation},
		{"12.*", "RSV1 on a close", [][]byte{good, f(finClose|rsv1, closePayload(CloseNormal, ""))}, []answer{echoed}, violation},
		{"12.*", "RSV2 stays reserved", [][]byte{good, f(finText|rsv1|bitRSV2, hello)}, []answer{echoed}, violation},
		{"12.*", "RSV3 stays reserved", [][]byte{good, f(finText|rsv1|bitRSV3, hello)}, []answer{echoed}, violation},
		{"12.*", "a block type that does not exist", [][]byte{good, f(finText|rsv1, "\x07\x00")}, []answer{echoed}, corrupt},
		{"12.*", "a message cut within a block", [][]byte{good, f(finText|rsv1, z(light)[:9])}, []answer{echoed}, corrupt},
		{"12.*", "a reference to the message before", [][]byte{good, f(finText|rsv1, "\x02\x13\x00\x00\x00")}, []answer{echoed}, corrupt},
		{"12.*", "a stored block whose length check fails", [][]byte{good, f(finText|rsv1, "\x00\x05\x00\xfa\xfeHello\x00")}, []answer{echoed}, corrupt},
		{"12.*", "text that is not UTF-8 once inflated", [][]byte{good, f(finText|rsv1, z("ok\xed\xa0\x80"))}, []answer{echoed}, corrupt},
		{"12.*", "text that ends within a character once inflated", [][]byte{good, f(finText|rsv1, z("ok\xcf"))}, []answer{echoed}, corrupt},
	}
	play(t, rows, deflateOfferAll)
}

func mustDeflate(t *testing.T, s string) string {
	out, smaller := Deflate(nil, []byte(s))
	if !smaller {
		t.Fatalf("%q does not shrink", s)
	}
	return string(out)
}
