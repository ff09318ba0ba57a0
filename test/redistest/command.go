package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// commandTime bounds one command.
const commandTime = 5 * time.Second

// Do runs one command on a connection of its own and returns its answer as text: an array's elements are separated by spaces, and what is
// null is "". An error that the server answers is an error.
//
// It speaks the protocol itself, so that the client library of the server under test cannot hide its own faults.
func (s *Server) Do(args ...string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Addr, commandTime)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return "", err
	}
	request := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	answer, err := reply(bufio.NewReader(c))
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return answer, nil
}

// reply reads one answer: https://redis.io/docs/latest/develop/reference/protocol-spec/, version 2.
func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty answer")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil {
		return "", fmt.Errorf("an answer that begins with %q", line)
	}
	if n < 0 {
		return "", nil
	}
	if kind == '$' {
		text := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	}
	parts := make([]string, n)
	for i := range parts {
		if parts[i], err = reply(r); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, " "), nil
}
