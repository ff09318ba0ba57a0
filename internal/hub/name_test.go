package hub

import (
	"strings"
	"testing"
)

func TestValidChannel(t *testing.T) {
	for _, tt := range []struct {
		name    string
		channel string
		want    bool
	}{
		{"the lobby is a channel", Lobby, true},
		{"one letter is enough", "a", true},
		{"every byte of the set may be used", "AZaz09_.:-", true},
		{"128 bytes are allowed", strings.Repeat("x", 128), true},
		{"129 bytes are too many", strings.Repeat("x", 129), false},
		{"the empty name is no name", "", false},
		{"a space is refused", "a b", false},
		{"a slash is refused", "a/b", false},
		{"a brace is refused, brokers give it a meaning", "{a}", false},
		{"a quote is refused", `a"b`, false},
		{"a letter beyond ASCII is refused", "café", false},
		{"a zero byte is refused", "a\x00", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ValidChannel(tt.channel); got != tt.want {
				t.Errorf("ValidChannel(%q) = %v, want %v", tt.channel, got, tt.want)
			}
		})
	}
}
