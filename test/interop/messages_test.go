//go:build integration

package interop

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"fairlead/test/fairleadtest"
)

// values are JSON values as sent, and what subscribers must get of them; ""
// means the very same bytes.
var values = []struct{ name, send, want string }{
	{"an object", `{"a":1,"b":[true,false,null]}`, ""},
	{"a string", `"hello"`, ""},
	{"an empty string", `""`, ""},
	{"null", `null`, ""},
	{"false", `false`, ""},
	{"empty containers", `[{},[],"",0]`, ""},
	{"1.0 stays 1.0", `1.0`, ""},
	{"1e5 stays 1e5", `1e5`, ""},
	{"minus nought", `-0`, ""},
	{"more digits than a double holds", `[12345678901234567890.123456789012345678901234567890,1E+400,0.10]`, ""},
	{"key order", `{"z":1,"a":2,"m":3}`, ""},
	{"duplicate keys", `{"a":1,"a":2,"a":1}`, ""},
	{"unicode", `{"grüße":"Привет, 世界 🚢","combining":"é"}`, ""},
	{"escapes are not resolved", `"\u0041\/\ud83d\udea2\n\t\"\\"`, ""},
	{"half a surrogate pair, escaped", `"\ud800"`, ""},
	{"a null character, escaped", `"a\u0000b"`, ""},
	{"nothing is escaped for HTML", `"<script>&amp;</script>'"`, ""},
	{"line separators stay as they are", "\"\u2028\u2029\u007f\ufeff\"", ""},
	{"white space between tokens goes", " {\t\"a\" :\r\n [ 1 , 2 ] }\n", `{"a":[1,2]}`},
	{"white space in strings stays", `{ " a b " : "  c\td  " }`, `{" a b ":"  c\td  "}`},
	{"it looks like an answer", `{"message":{"connection":"ok"}}`, ""},
	{"nested 2,000 deep", strings.Repeat("[", 2000) + strings.Repeat("]", 2000), ""},
	{"64 KiB to the byte", text(64 << 10), ""},
	{"64 KiB that hardly shrinks", noise(64 << 10), ""},
	{"40 KiB of many bytes a character", `"` + strings.Repeat("🚢", 10<<10) + `"`, ""},
}

// text is a JSON string of so many bytes, as text is.
func text(size int) string {
	return `"` + strings.Repeat("The quick brown fox jumps over the lazy dog. ", size/45+1)[:size-2] + `"`
}

// noise is a JSON string of so many bytes that says something new to its end.
func noise(size int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := []byte(strings.Repeat(`"`, size))
	for i := 1; i < size-1; i++ {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.IntN(64)]
	}
	return string(b)
}

func TestAMessageReachesEverybodyAsItWasSent(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		plain := d.open(command{URL: server.WebSocket("")})
		packed := d.open(command{URL: server.WebSocket(""), Offer: &offer{}})
		if plain.extensions != "" || packed.extensions == "" {
			t.Fatalf("extensions %q and %q, want none and permessage-deflate", plain.extensions, packed.extensions)
		}
		for _, v := range values {
			want := v.want
			if want == "" {
				want = v.send
			}
			want = `{"message":` + want + `}`
			for _, sender := range []*conn{plain, packed} {
				sender.send(v.send)
				plain.expectText(want)
				packed.expectText(want)
				sender.sendBinary(v.send) // comes out as text
				plain.expectText(want)
				packed.expectText(want)
			}
		}
	}, "--message-rate", "0")
}

func TestWhatIsNotJSONReachesItsSenderAlone(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		sender, other := d.open(command{URL: server.WebSocket("")}), d.open(command{URL: server.WebSocket("")})
		for _, bad := range []string{``, ` `, `hello`, `{"a":1`, `{'a':1}`, `[1,]`, `01`, `+1`, `.5`, `NaN`, `1 2`, `"a` + "\n" + `b"`, "\ufeff1", `{"a":1}x`} {
			sender.send(bad)
			if m := sender.expectError("invalid_json"); m == "" {
				t.Errorf("%q: no word on what is wrong", bad)
			}
		}
		sender.sendBinary("\"\xff\"") // as text this would be a protocol error
		sender.expectError("invalid_json")

		sender.send(`"still here"`)
		sender.expectText(`{"message":"still here"}`)
		other.expectText(`{"message":"still here"}`) // its first message: it saw no error
	})
}

func TestChannelsAreApart(t *testing.T) {
	everybody(t, func(t *testing.T, server *fairleadtest.Server, d *driver) {
		lobby := d.open(command{URL: server.WebSocket("")})
		byName := d.open(command{URL: server.WebSocket("?channel=lobby")})
		a := d.open(command{URL: server.WebSocket("?channel=a")})
		odd := d.open(command{URL: server.WebSocket("?channel=A_b.c:d-9")})
		a.send(`"for a"`)
		a.expectText(`{"message":"for a"}`)
		odd.send(`"for the odd one"`)
		odd.expectText(`{"message":"for the odd one"}`)
		lobby.send(`"for the lobby"`)
		lobby.expectText(`{"message":"for the lobby"}`)
		byName.expectText(`{"message":"for the lobby"}`)
		a.send(`"for a again"`)
		a.expectText(`{"message":"for a again"}`)

		for _, bad := range []string{"?channel=", "?channel=a%20b", "?channel=" + strings.Repeat("x", 129), "?channel=a&channel=b"} {
			if e := d.ask(command{URL: server.WebSocket(bad)}).expect("refused"); e.Code != 400 || !strings.Contains(e.Reason, "channel") {
				t.Errorf("%s: %d %q, want a 400 that speaks of the channel", bad, e.Code, e.Reason)
			}
		}
	})
}

// The order of one sender's messages is everybody's order.
func TestMessagesStayInOrder(t *testing.T) {
	everybody(t, func(_ *testing.T, server *fairleadtest.Server, d *driver) {
		const many = 500
		a, b := d.open(command{URL: server.WebSocket("")}), d.open(command{URL: server.WebSocket(""), Offer: &offer{}})
		for i := range many {
			a.send(strconv.Itoa(i))
		}
		for i := range many {
			want := fmt.Sprintf(`{"message":%d}`, i)
			a.expectText(want)
			b.expectText(want)
		}
	}, "--message-rate", "0")
}

func TestFragmentsAreOneMessage(t *testing.T) {
	everybody(t, func(_ *testing.T, server *fairleadtest.Server, d *driver) {
		for _, o := range []*offer{nil, {}} {
			c := d.open(command{URL: server.WebSocket(""), Offer: o})
			c.send(`{"a":`, ` 1,`, `"b":"x`, `y"}`)
			c.expectText(`{"message":{"a":1,"b":"xy"}}`)
			c.sendBinary(`[1,`, `2]`)
			c.expectText(`{"message":[1,2]}`)
			c.send(``, ``, `7`, ``)
			c.expectText(`{"message":7}`)
			c.send("\"\xc3", "\xbc\"") // between the two bytes of a character
			c.expectText(`{"message":"ü"}`)
			long := text(48 << 10)
			c.send(long[:1], long[1:20<<10], long[20<<10:])
			c.expectText(`{"message":` + long + `}`)
		}
	})
}
