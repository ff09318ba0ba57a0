package valkey

import (
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/hub"
)

func TestRunsAreReadAsTheyWereWritten(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"c7k2:7 5 hello", []string{"7 hello"}},
		{"c7k2:7 0 ", []string{"7 "}},
		{"c7k2:7 1,0,3 abcd", []string{"7 a", "8 ", "9 bcd"}},
		{"c7k2:7 3  ,1", []string{"7  ,1"}},
	} {
		r, err := parseRun(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var got []string
		for !r.empty() {
			at, payload := r.next()
			if at.Epoch != "c7k2" {
				t.Errorf("%q: epoch %q", c.text, at.Epoch)
			}
			got = append(got, fmt.Sprint(at.Offset, " ", payload))
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q gives %q", c.text, got)
		}
	}
	for _, bad := range []string{"", "c7k2:7", "c7k2:7 5", "c7k2:7 5 hell", "c7k2:7 5 hello!", "c7k2:0 1 x", "C:7 1 x", "c7k2:7  ", "c7k2:7 1, x",
		"c7k2:7 ,1 x", "c7k2:7 +1 x", "c7k2:7 -1,2 x", "c7k2:7 99999999999999999999 x", "c7k2:7 9223372036854775807,9223372036854775807 x"} {
		if r, err := parseRun(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, s := range []string{"a:1 1 x", "a:1 1,2,0 abc", "a:18446744073709551615 1,1 xy", "a:1 , ", "a:1 0,0 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRun(s)
		if err != nil {
			return
		}
		var lengths []string
		var payloads strings.Builder
		first := r.first
		for !r.empty() {
			_, payload := r.next()
			lengths = append(lengths, fmt.Sprint(len(payload)))
			payloads.WriteString(payload)
		}
		// Leading zeros aside, what was read is what was written.
		again, err := parseRun(first.String() + " " + strings.Join(lengths, ",") + " " + payloads.String())
		if err != nil || again.payloads != payloads.String() || again.first != first {
			t.Errorf("%q: %+v, %v", s, again, err)
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, s := range []string{"a 1 0 0 0", "a 1", "a", "a -1", " 1", "A 1 2 3 4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := parseHead(s); ok && !hub.ValidEpoch(at.Epoch) {
			t.Errorf("%q gives %+v", s, at)
		}
	})
}

func TestReadingARunAllocatesNothing(t *testing.T) {
	text := "c7k2abcdefgh:1043 5,5,5,5 " + strings.Repeat("hello", 4)
	if n := testing.AllocsPerRun(100, func() {
		r, err := parseRun(text)
		if err != nil {
			t.Fatal(err)
		}
		for !r.empty() {
			r.next()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// From https://valkey.io/topics/cluster-spec/ and CLUSTER KEYSLOT of a server.
func TestSlotsAreThoseOfTheServer(t *testing.T) {
	for tag, want := range map[string]uint16{"123456789": 0x31C3 % slots, "foo": 12182, "somekey": 11058, "hash_tag": 2515} {
		if got := slotOf(tag); got != want {
			t.Errorf("%q is in slot %d, want %d", tag, got, want)
		}
	}
}
