package ws

import (
	"fmt"
	"strings"
	"testing"
)

// Section 13: what is agreed on for an offer, and that both sides' messages
// keep to it.

const (
	pmd     = "permessage-deflate"
	both    = pmd + "; server_no_context_takeover; client_no_context_takeover"
	hinted  = "; client_no_context_takeover; client_max_window_bits"
	bits9   = "; server_max_window_bits=9"
	bits15  = "; server_max_window_bits=15"
	noTaken = "; server_no_context_takeover"
)

// offer is what a client asks for and what it is told.
type offer struct {
	section, says string
	lines         []string // each a Sec-WebSocket-Extensions header
	want          string   // the answer's header; empty: no extension
	bits          int      // the window that the server keeps to
}

func offers() []offer {
	one := func(section, says, line, want string, bits int) offer {
		return offer{section, says, []string{line}, want, bits}
	}
	all := []offer{
		one("13.1", "nothing about the server", pmd+hinted, both, 15),
		one("13.2", "no context takeover", pmd+noTaken+hinted, both, 15),
		one("13.3", "a window of 9 bits", pmd+bits9+hinted, both+bits9, 9),
		one("13.4", "a window of 15 bits", pmd+bits15+hinted, both+bits15, 15),
		one("13.5", "no context takeover and 9 bits", pmd+noTaken+bits9+hinted, both+bits9, 9),
		one("13.6", "no context takeover and 15 bits", pmd+noTaken+bits15+hinted, both+bits15, 15),
		one("13.7", "three offers in one header, the first is best", strings.Join([]string{pmd + noTaken + bits9 + hinted, pmd + noTaken + hinted, pmd + hinted}, ", "), both+bits9, 9),

		{"beyond", "three offers in three headers", []string{pmd + bits9, pmd + noTaken, pmd}, both + bits9, 9},
		one("beyond", "the bare extension", pmd, both, 15),
		one("beyond", "an unknown extension before it", "x-webkit-deflate-frame, "+pmd, both, 15),
		one("beyond", "a faulty offer before a good one", pmd+"; server_max_window_bits=16, "+pmd+"; server_max_window_bits=10", both+"; server_max_window_bits=10", 10),
		one("beyond", "a quoted value", pmd+`; server_max_window_bits="12"`, both+"; server_max_window_bits=12", 12),
		one("beyond", "an unknown extension alone", "permessage-bzip2", "", 0),
		one("beyond", "an unknown parameter", pmd+"; level=9", "", 0),
		one("beyond", "a parameter twice", pmd+noTaken+noTaken, "", 0),
		one("beyond", "no context takeover with a value", pmd+"; server_no_context_takeover=1", "", 0),
		one("beyond", "a server window without a value", pmd+"; server_max_window_bits", "", 0),
		{"beyond", "no offer at all", nil, "", 0},
	}
	for bits := 8; bits <= 15; bits++ {
		all = append(all,
			one("13.*", fmt.Sprintf("a server window of %d bits", bits), fmt.Sprintf("%s; server_max_window_bits=%d", pmd, bits), fmt.Sprintf("%s; server_max_window_bits=%d", both, bits), bits),
			one("13.*", fmt.Sprintf("a client window of %d bits", bits), fmt.Sprintf("%s; client_max_window_bits=%d", pmd, bits), both, 15))
	}
	for _, value := range []string{"0", "7", "16", "09", "+9", "9.0", "x", `""`, "99999999999999999999"} {
		for _, side := range []string{"server", "client"} {
			all = append(all, one("13.*", fmt.Sprintf("a %s window of %s bits", side, value), fmt.Sprintf("%s; %s_max_window_bits=%s", pmd, side, value), "", 0))
		}
	}
	return all
}

func TestConformanceOffers(t *testing.T) {
	t.Parallel()
	data := corpus{finText, sampleJSON(t, 190<<10, 13)}
	onBothBackends(t, func(t *testing.T, b Backend) {
		s := serve(t, suiteOptions(b))
		d := newDeflateClient(t, 6)
		for _, o := range offers() {
			t.Run(o.section+" "+o.says, func(t *testing.T) {
				s.settle(t)
				c := s.dialTCP(t)
				var headers strings.Builder
				for _, line := range o.lines {
					headers.WriteString("Sec-WebSocket-Extensions: " + line + "\r\n")
				}
				resp := c.upgrade(headers.String())
				if got := strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), " | "); got != o.want {
					t.Fatalf("answered %q; want %q", got, o.want)
				}
				sizes := deflateSizes[:]
				if !strings.HasSuffix(o.section, "*") && o.section != "beyond" {
					sizes = append(sizes, struct{ message, fragment int }{512, 0}, struct{ message, fragment int }{513, 0})
				} else {
					sizes = append(sizes[1:5:5], struct{ message, fragment int }{600, 100})
				}
				deflated := 0
				for i, size := range sizes {
					if size.message > 32<<10 && o.section != "13.1" && o.section != "13.7" {
						continue // two offers with the largest will do
					}
					m := data.message(i, size.message)
					switch {
					case o.bits == 0:
						c.send(clientFrame(data.b0, string(m)))
					case i%5 == 4: // a client may leave any message as it is
						c.send(join(fragmented(data.b0, m, max(size.fragment, 1000))...))
					default:
						d.send(c, data.b0, m, size.fragment)
					}
					if c.expectDeflated(data.b0, m, o.bits) {
						deflated++
					} else if len(m) >= 256 && o.bits != 0 && len(m) <= 1<<o.bits {
						t.Errorf("%d bytes came back as they are though %d bits were agreed", len(m), o.bits)
					}
				}
				if o.bits != 0 && deflated == 0 {
					t.Error("nothing came back deflated")
				}
				if o.bits == 0 {
					c.send(clientFrame(finText|bitRSV1, "\x00"))
					fails(CloseProtocolError).check(t, s, c)
					return
				}
				ending{}.check(t, s, c)
			})
		}
	})
}
