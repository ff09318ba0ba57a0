package config

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with one setting.
type Fault struct {
	Flag    string // as written on the command line, "--drain"
	Problem string // what is wrong and what to do, one line
}

// Faults is every fault found in one look at the settings, in the order of the sections. As an error it is a heading
// and a line a fault. Rejected: errors.Join of anonymous errors, since the flag's name is worth keeping apart.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	var b strings.Builder
	if len(f) == 1 {
		b.WriteString("1 setting needs attention:")
	} else {
		fmt.Fprintf(&b, "%d settings need attention:", len(f))
	}
	for _, fault := range f {
		fmt.Fprintf(&b, "\n  %s: %s", fault.Flag, fault.Problem)
	}
	return b.String()
}

func (f *Faults) add(flag, format string, args ...any) {
	*f = append(*f, Fault{Flag: flag, Problem: fmt.Sprintf(format, args...)})
}

func (f Faults) err() error {
	if len(f) == 0 {
		return nil // not Faults(nil), which as an error would not be nil
	}
	return f
}

// number adds a fault unless low ≤ n ≤ high. advice says what the bounds are about.
func number[N ~int | ~int64](f *Faults, flag string, n, low, high N, advice string) {
	if n < low || n > high {
		f.add(flag, "%v is outside %v to %v: %s", n, low, high, advice)
	}
}
