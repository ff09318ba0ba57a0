package hub

import (
	"errors"
	"math"
	"testing"
)

func TestParsePosition(t *testing.T) {
	for _, p := range []Position{
		{"c7k2", 1043}, {"0", 0}, {"z", 1}, {"0123456789abcdef", math.MaxUint64},
	} {
		if got, err := ParsePosition(p.String()); err != nil || got != p {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	for _, s := range []string{
		"", ":", "c7k2", "c7k2:", ":1", "c7k2:-1", "c7k2:+1", "c7k2: 1", "c7k2:01", "c7k2:00", "c7k2:1:2", "C7K2:1", "c7_k2:1", "c7k2:1043 ",
		"c7k2:18446744073709551616", "0123456789abcdefg:1", "0123456789abcdef:018446744073709551615", "c7k2:1e3", "c7k2:0x1", "é:1",
	} {
		if got, err := ParsePosition(s); !errors.Is(err, ErrPosition) || got != (Position{}) {
			t.Errorf("%q is read as %v, %v", s, got, err)
		}
	}
}

func TestOnlyTheZeroPositionIsZero(t *testing.T) {
	if !(Position{}).Zero() || (Position{"a", 0}).Zero() || (Position{"", 1}).Zero() {
		t.Error("Zero is wrong")
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"c7k2:1043", "a:0", "a:00", "a:18446744073709551615", "a:18446744073709551616", ":", "0123456789abcdef0:1", "a:+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			if !errors.Is(err, ErrPosition) || !p.Zero() {
				t.Errorf("%q: %v, %v", s, p, err)
			}
			return
		}
		if !ValidEpoch(p.Epoch) || p.String() != s {
			t.Errorf("%q is read as %v", s, p)
		}
	})
}
