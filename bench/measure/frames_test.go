package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDeliveryHasTheSizeOfEarlierMeasurements(t *testing.T) {
	if len(delivery) != 114 || len(message) != 100 || !json.Valid(message) || !json.Valid(delivery[2:]) {
		t.Errorf("a message of %d bytes in a frame of %d: %q", len(message), len(delivery), delivery)
	}
}

func TestCheckUpgrade(t *testing.T) {
	extended := strings.Replace(string(upgradeAnswer), "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1)
	for name, c := range map[string]struct {
		answer  string
		deflate bool
		fault   string // part of the error; empty: none
	}{
		"accepted":                       {string(upgradeAnswer), false, ""},
		"accepted, and the hello behind": {string(upgradeAnswer) + string(hello), false, ""},
		"accepted with deflate":          {extended, true, ""},
		"deflate was not taken":          {string(upgradeAnswer), true, "did not take it"},
		"deflate was not asked for":      {extended, false, "not offered"},
		"refused, with the reason":       {"HTTP/1.1 503 Service Unavailable\r\n\r\nThis task is full.\n", false, "This task is full."},
		"a wrong accept value":           {strings.Replace(string(upgradeAnswer), acceptKey, "x", 1), false, "Sec-WebSocket-Accept"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkUpgrade([]byte(c.answer), c.deflate)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("%v; want %q", err, c.fault)
			}
		})
	}
}

func TestParseClose(t *testing.T) {
	for payload, want := range map[string]struct {
		code   uint16
		reason string
	}{
		"":                 {1005, ""},
		"\x03\xe8":         {1000, ""},
		"\x03\xe9Good bye": {1001, "Good bye"},
	} {
		if code, reason := parseClose([]byte(payload)); code != want.code || reason != want.reason {
			t.Errorf("%q is %d %q; want %d %q", payload, code, reason, want.code, want.reason)
		}
	}
}
