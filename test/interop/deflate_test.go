//go:build integration

package interop

import (
	"strings"
	"testing"

	"fairlead/test/fairleadtest"
)

func TestDeflateIsNegotiated(t *testing.T) {
	const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	offers := []struct {
		name  string
		offer *offer
		want  string
	}{
		{"nothing offered", nil, ""},
		{"the library's own offer", &offer{}, agreed},
		{"no context takeover", &offer{NoTakeover: true}, agreed},
		{"a server window of 15 bits", &offer{ServerBits: 15}, agreed + "; server_max_window_bits=15"},
		{"a server window of 10 bits", &offer{ServerBits: 10}, agreed + "; server_max_window_bits=10"},
		{"a server window of 9 bits", &offer{ServerBits: 9}, agreed + "; server_max_window_bits=9"},
		{"a client window of 15 bits", &offer{ClientBits: 15}, agreed},
		{"a client window of 9 bits", &offer{ClientBits: 9}, agreed},
		{"both windows", &offer{ServerBits: 12, ClientBits: 11, NoTakeover: true}, agreed + "; server_max_window_bits=12"},
	}
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		// All in one channel, so that they share what is encoded.
		var all []*conn
		for _, o := range offers {
			conn := d.open(command{URL: server.WebSocket(""), Offer: o.offer})
			if conn.extensions != o.want {
				t.Errorf("%s: extensions %q, want %q", o.name, conn.extensions, o.want)
			}
			all = append(all, conn)
		}
		for _, size := range []int{255, 256, 500, 512, 513, 1000, 5000, 40_000, 64 << 10} {
			for _, value := range []string{text(size), noise(size)} {
				for _, sender := range all {
					sender.send(value)
					for _, conn := range all {
						conn.expectText(`{"message":` + value + `}`)
					}
				}
			}
		}
	}, "--message-rate", "0")
}

func TestDeflateSavesBytesOnTheWire(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		const size = 40_000
		for _, c := range []struct {
			name    string
			offer   *offer
			between [2]int
		}{
			{"without", nil, [2]int{size, size + 100}},
			{"with", &offer{}, [2]int{10, size / 20}},
			// It may refer back 512 bytes only, so what is longer goes as it is.
			{"with a window of 9 bits", &offer{ServerBits: 9}, [2]int{size, size + 100}},
		} {
			conn := d.open(command{URL: server.WebSocket(""), Offer: c.offer})
			before := conn.received()
			conn.send(text(size))
			conn.expectText(`{"message":` + text(size) + `}`)
			if n := conn.received() - before; n < c.between[0] || n > c.between[1] {
				t.Errorf("%s: %d bytes came for a message of %d, want %d to %d", c.name, n, size, c.between[0], c.between[1])
			}
			conn.close(1000, "")
			conn.expectClose(1000, "")
		}
		// A tiny message is not deflated even for who could read it.
		conn := d.open(command{URL: server.WebSocket("?channel=tiny"), Offer: &offer{}})
		before := conn.received()
		conn.send(text(100))
		conn.expectText(`{"message":` + text(100) + `}`)
		if n := conn.received() - before; n != 2+len(`{"message":}`)+100 {
			t.Errorf("a message of 100 bytes took %d on the wire, want it plain", n)
		}
	})
}

func TestDeflateSwitchedOff(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		conn := d.open(command{URL: server.WebSocket(""), Offer: &offer{ServerBits: 12}})
		if conn.extensions != "" {
			t.Errorf("the server agreed to %q", conn.extensions)
		}
		conn.send(text(40_000))
		conn.expectText(`{"message":` + text(40_000) + `}`)
	}, "--no-compression")
}

// A small frame that inflates beyond the limit is stopped at the limit.
func TestDeflatedBombIsTooBig(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		other := d.open(command{URL: server.WebSocket("")})
		conn := d.open(command{URL: server.WebSocket(""), Offer: &offer{}})
		conn.send(`"` + strings.Repeat("a", 20<<20) + `"`) // some 20 KiB on the wire
		conn.expectClose(1009, "")
		other.send(`"unharmed"`)
		other.expectText(`{"message":"unharmed"}`)
	})
}
