package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// results is one run: what the page is written from.
type results struct {
	Taken    string   `json:"taken"` // RFC 3339, UTC
	Version  string   `json:"version"`
	Go       string   `json:"go"`
	Machine  machine  `json:"machine"`
	Settings settings `json:"settings"`
	Cells    []string `json:"cells"`
	// Figures holds, for each figure, its value in each repetition.
	Figures map[string][]float64 `json:"figures"`
}

// machine is what the figures were taken on.
type machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	Virtual   bool    `json:"virtual"`
	MemoryGiB float64 `json:"memory_gib"`
	Kernel    string  `json:"kernel"`
}

// settings are what the cells were run with.
type settings struct {
	Repeat      int      `json:"repeat"`
	Connections int      `json:"connections"` // idle, drain
	Subscribers int      `json:"subscribers"` // fanout
	Upgrades    int      `json:"upgrades"`
	Starts      int      `json:"starts"`
	Seconds     float64  `json:"seconds"` // of each paced measurement
	Drain       float64  `json:"drain_seconds"`
	ServerCore  int      `json:"server_core"`
	LoadCore    int      `json:"load_core"`
	ServerArgs  []string `json:"server_args"`
}

func (r *results) record(figure string, value float64) {
	r.Figures[figure] = append(r.Figures[figure], value)
}

func readResults(name string) (*results, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: measure first, with `go run ./bench/measure`", err)
	}
	if err != nil {
		return nil, err
	}
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &r, nil
}

func (r *results) write(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	return writeFile(name, append(text, '\n'))
}

func writeFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
