package ws

import (
	"strings"
	"testing"
)

func TestNegotiatingCompression(t *testing.T) {
	const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	tests := []struct {
		name   string
		offer  string // a line feed separates header lines
		bits   uint8
		answer string
	}{
		{"a bare offer", "permessage-deflate", 15, agreed},
		{"what Chrome and Firefox send", "permessage-deflate; client_max_window_bits", 15, agreed},
		{"what Safari sends", "permessage-deflate", 15, agreed},
		{"a client that wants no takeover anyway", "permessage-deflate; client_no_context_takeover; server_no_context_takeover", 15, agreed},
		{"no spaces", "permessage-deflate;server_no_context_takeover;client_max_window_bits=12", 15, agreed},
		{"spaces and tabs everywhere", " \tpermessage-deflate\t ; \tserver_max_window_bits \t=\t 12\t ", 12, agreed + "; server_max_window_bits=12"},
		{"a smaller window for the client, which it keeps to unasked", "permessage-deflate; client_max_window_bits=8", 15, agreed},
		{"a smaller window for the server", "permessage-deflate; server_max_window_bits=10", 10, agreed + "; server_max_window_bits=10"},
		{"the smallest window", "permessage-deflate; server_max_window_bits=8", 8, agreed + "; server_max_window_bits=8"},
		{"the largest window, asked for", "permessage-deflate; server_max_window_bits=15", 15, agreed + "; server_max_window_bits=15"},
		{"a quoted value", `permessage-deflate; server_max_window_bits="9"`, 9, agreed + "; server_max_window_bits=9"},
		{"a quoted value with backslashes", `permessage-deflate; server_max_window_bits="\1\1"`, 11, agreed + "; server_max_window_bits=11"},
		{"another extension first", `x-other; a="b\c"; d, permessage-deflate`, 15, agreed},
		{"the first of two good offers wins", "permessage-deflate; server_max_window_bits=9, permessage-deflate", 9, agreed + "; server_max_window_bits=9"},
		{"a bad offer and its fallback", "permessage-deflate; server_max_window_bits=16, permessage-deflate", 15, agreed},
		{"a fallback on the next header line", "permessage-deflate; mystery\npermessage-deflate; server_max_window_bits=14", 14, agreed + "; server_max_window_bits=14"},
		{"empty list elements", ", ,permessage-deflate,,", 15, agreed},

		{"no header", "", 0, ""},
		{"an empty list", " , ", 0, ""},
		{"only another extension", "permessage-bzip2", 0, ""},
		{"the old name of Safari 6", "x-webkit-deflate-frame", 0, ""},
		{"the name in capitals, which is another name", "Permessage-Deflate", 0, ""},
		{"an unknown parameter", "permessage-deflate; mystery", 0, ""},
		{"an empty parameter name's namesake", "permessage-deflate; server_max_window_bits2=9", 0, ""},
		{"a repeated parameter", "permessage-deflate; client_max_window_bits; client_max_window_bits", 0, ""},
		{"a parameter repeated with another value", "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10", 0, ""},
		{"a value on server_no_context_takeover", "permessage-deflate; server_no_context_takeover=1", 0, ""},
		{"a value on client_no_context_takeover", "permessage-deflate; client_no_context_takeover=true", 0, ""},
		{"server_max_window_bits without a value", "permessage-deflate; server_max_window_bits", 0, ""},
		{"window bits below 8", "permessage-deflate; server_max_window_bits=7", 0, ""},
		{"window bits above 15", "permessage-deflate; client_max_window_bits=16", 0, ""},
		{"window bits of three digits", "permessage-deflate; server_max_window_bits=100", 0, ""},
		{"a leading zero", "permessage-deflate; server_max_window_bits=08", 0, ""},
		{"a plus sign", "permessage-deflate; server_max_window_bits=+9", 0, ""},
		{"a minus sign", "permessage-deflate; client_max_window_bits=-9", 0, ""},
		{"a value that is no number", "permessage-deflate; client_max_window_bits=ten", 0, ""},

		{"broken: an empty value", "permessage-deflate; client_max_window_bits=", 0, ""},
		{"broken: an empty quoted value", `permessage-deflate; client_max_window_bits=""`, 0, ""},
		{"broken: a quoted value that is no token", `x; a="b c", permessage-deflate`, 0, ""},
		{"broken: an open quote", `permessage-deflate; server_max_window_bits="9`, 0, ""},
		{"broken: a backslash at the end", `permessage-deflate; server_max_window_bits="9\`, 0, ""},
		{"broken: an escaped quote that leaves it open", `permessage-deflate; server_max_window_bits="9\"`, 0, ""},
		{"broken: text after a quoted value", `permessage-deflate; server_max_window_bits="9"9`, 0, ""},
		{"broken: a semicolon without a parameter", "permessage-deflate;", 0, ""},
		{"broken: a semicolon in front", "; permessage-deflate", 0, ""},
		{"broken: two names in a row", "permessage-deflate client_max_window_bits", 0, ""},
		{"broken: a parameter without a name", "permessage-deflate; =9", 0, ""},
		{"broken: a byte outside ASCII", "permessage-deflate; m\u00fcll", 0, ""},
		{"broken after a good offer", "permessage-deflate, ;", 0, ""},
		{"broken on another line than the good offer", "permessage-deflate\n@", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := negotiateDeflate(strings.Split(tt.offer, "\n"))
			if got.windowBits != tt.bits {
				t.Fatalf("windowBits = %d, want %d", got.windowBits, tt.bits)
			}
			if got.windowBits == 0 {
				return
			}
			if answer := string(got.appendTo(nil)); answer != tt.answer {
				t.Errorf("answer %q, want %q", answer, tt.answer)
			}
		})
	}
}

func TestEveryWindowIsNamedInTheAnswer(t *testing.T) {
	for bits, text := range map[uint8]string{8: "8", 9: "9", 10: "10", 11: "11", 12: "12", 13: "13", 14: "14", 15: "15"} {
		got := negotiateDeflate([]string{"permessage-deflate; server_max_window_bits=" + text})
		if got.windowBits != bits || !strings.HasSuffix(string(got.appendTo(nil)), "; server_max_window_bits="+text) {
			t.Errorf("%s: agreed %+v, answered %q", text, got, got.appendTo(nil))
		}
	}
}

func TestWhichMessagesFitAWindow(t *testing.T) {
	tests := []struct {
		name       string
		size, bits int
		want       bool
	}{
		{"nothing goes deflated without the extension", 1, 0, false},
		{"a message as long as the window", 32768, 15, true},
		{"one byte more, since DEFLATE has no longer references", 32769, 15, true},
		{"a message as long as a small window", 4096, 12, true},
		{"one byte more than a small window", 4097, 12, false},
		{"a message as long as the smallest window", 256, 8, true},
		{"one byte more than that", 257, 8, false},
		{"a small message in a large window", 300, 15, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := DeflatedFits(tt.size, tt.bits); got != tt.want {
				t.Errorf("DeflatedFits(%d, %d) = %v, want %v", tt.size, tt.bits, got, tt.want)
			}
		})
	}
}

func FuzzExtensions(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate",
		`x-a; b="c\"d"; e, permessage-deflate ; server_max_window_bits = "\9"`,
		"permessage-deflate;\n,;=\"\\",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		lines := strings.Split(header, "\n")
		got := negotiateDeflate(lines)
		if got.windowBits == 0 {
			if got.asked {
				t.Fatal("no extension, but a window asked for")
			}
			return
		}
		if got.windowBits < 8 || got.windowBits > 15 || (!got.asked && got.windowBits != 15) {
			t.Fatalf("agreed %+v", got)
		}
		if !strings.Contains(header, deflateName) {
			t.Fatal("agreed on what was not offered")
		}
		// What is answered is itself an offer that agrees on the same.
		if again := negotiateDeflate([]string{string(got.appendTo(nil))}); again != got {
			t.Fatalf("the answer %q reads as %+v, want %+v", got.appendTo(nil), again, got)
		}
		// Lines are one list, so joining them changes nothing.
		if joined := negotiateDeflate([]string{strings.Join(lines, ",")}); joined != got {
			t.Fatalf("joined: %+v, by line: %+v", joined, got)
		}
	})
}
