package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// passes is what the server's own metrics say about its fan-out.
type passes struct{ count, messages float64 }

// passes asks the admin listener. The answer costs the server CPU, so it is asked
// outside of what is measured.
func (s *server) passes() (passes, error) {
	resp, err := http.Get("http://" + s.admin.String() + "/metrics")
	if err != nil {
		return passes{}, fmt.Errorf("read the server's metrics: %w", err)
	}
	defer resp.Body.Close()
	p, err := parsePasses(resp.Body)
	if err != nil {
		return p, fmt.Errorf("read the server's metrics: %w", err)
	}
	return p, nil
}

func parsePasses(metrics io.Reader) (p passes, err error) {
	found := 0
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		to := map[string]*float64{
			"fairlead_fanout_pass_messages_count": &p.count,
			"fairlead_fanout_pass_messages_sum":   &p.messages,
		}[name]
		if to == nil {
			continue
		}
		if *to, err = strconv.ParseFloat(value, 64); err != nil {
			return p, err
		}
		found++
	}
	if found != 2 {
		return p, errors.New("fairlead_fanout_pass_messages is not there")
	}
	return p, nil
}

// since is how many messages a pass carried since an earlier look.
func (p passes) since(before passes) float64 {
	return (p.messages - before.messages) / (p.count - before.count)
}
