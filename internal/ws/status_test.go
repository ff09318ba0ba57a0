package ws

import (
	"strings"
	"testing"
)

func TestWhichStatusCodesACloseFrameMayCarry(t *testing.T) {
	tests := []struct {
		name        string
		first, last StatusCode
		want        bool
	}{
		{"nothing below 1000 is a status code", 0, 999, false},
		{"1000 to 1003 are the RFC's first four", 1000, 1003, true},
		{"1004 is reserved and 1005 and 1006 stand for a missing code or frame", 1004, 1006, false},
		{"1007 to 1014 are registered", 1007, 1014, true},
		{"1015 stands for a failed TLS handshake", 1015, 1015, false},
		{"1016 to 2999 are reserved for the protocol", 1016, 2999, false},
		{"3000 to 4999 belong to libraries and applications", 3000, 4999, true},
		{"nothing above 4999 is defined", 5000, 65535, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for c := int(tt.first); c <= int(tt.last); c++ {
				if got := StatusCode(c).Sendable(); got != tt.want {
					t.Fatalf("StatusCode(%d).Sendable() = %v, want %v", c, got, tt.want)
				}
			}
		})
	}
}

func TestStatusCodesAreNamedInLogs(t *testing.T) {
	tests := []struct {
		name string
		code StatusCode
		want string
	}{
		{"a registered code has its name", CloseTooBig, "1009 message too big"},
		{"so has one that is never sent", CloseAbnormal, "1006 abnormal closure"},
		{"an application's code is a number", 4321, "4321"},
		{"so is a reserved one", 1004, "1004"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.code.String(); got != tt.want {
				t.Errorf("String() = %q, want %q", got, tt.want)
			}
		})
	}
	for c := CloseNormal; c <= CloseTLSHandshake; c++ {
		if named := strings.Contains(c.String(), " "); named != (c != 1004) {
			t.Errorf("%q: every registered code but 1004 has a name", c)
		}
	}
}
