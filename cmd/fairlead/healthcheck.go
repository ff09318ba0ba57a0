package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthcheckCmd takes the server's own variable, so that in a container it
// needs no argument, no shell and no curl.
type healthcheckCmd struct {
	Listen  string        `name:"listen" env:"FAIRLEAD_LISTEN" default:":8080" placeholder:"HOST:PORT" help:"The server's --listen (${default})."`
	Timeout time.Duration `default:"3s" placeholder:"TIME" help:"How long the answer may take (${default})."`
}

// Run asks /health and fails unless the answer is 200.
func (c *healthcheckCmd) Run(out streams) error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w: write host:port, for example :8080", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/health"
	client := &http.Client{Timeout: c.Timeout}
	resp, err := client.Get(url)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // what it says is only for people
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: %s answered %s: %s", url, resp.Status, body)
	}
	fmt.Fprintf(out.out, "%s\n", body)
	return nil
}
