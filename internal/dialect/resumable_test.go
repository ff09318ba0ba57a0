package dialect

import (
	"testing"
	"time"
)

func TestResumableFramesAreTheContractToTheByte(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"connection":"ok","channel":"lobby","position":"c7k2:1043"}`:                   AppendHello(nil, "lobby", "c7k2:1043"),
		`{"connection":"ok","channel":"a.b","position":"c7k2:1043","recovered":true}`:    AppendResumedHello(nil, "a.b", "c7k2:1043", true),
		`{"connection":"ok","channel":"lobby","position":"c7k2:1043","recovered":false}`: AppendResumedHello(nil, "lobby", "c7k2:1043", false),
		`{"message":{"a":1},"position":"c7k2:1044"}`:                                     AppendPositioned(nil, []byte(`{"a":1}`), []byte("c7k2:1044")),
		`{"reconnect":{"afterMs":1250}}`:                                                 AppendReconnect(nil, 1250*time.Millisecond),
	} {
		if string(got) != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
	if got := PositionedSize([]byte(`{"a":1}`), []byte("c7k2:1044")); got != len(`{"message":{"a":1},"position":"c7k2:1044"}`) {
		t.Error(got)
	}
}
