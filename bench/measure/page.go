package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed page.tmpl
var pageText string

// page is docs/benchmarks.md. What it says about a cell is in the template; every
// number comes from the results.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"join": func(args []string) string { return strings.Join(args, " ") },
	"percent": func(share float64) string {
		return fmt.Sprintf("%.0f %%", 100*share)
	},
	"number": func(n int) string { return row{}.number(float64(n)) },
}).Parse(pageText))

// section is a cell's part of the page.
type section struct{ Command string }

// Sections are the cells that were measured; nil for the others.
func (r *results) Sections() map[string]*section {
	all := map[string]*section{}
	for _, l := range r.lines() {
		all[l.Cell] = &section{Command: l.Command()}
	}
	return all
}

// Lines are all of them, for the summary.
func (r *results) Lines() []line { return r.lines() }

// Disturbance is the largest share of the server's core that others used.
func (r *results) Disturbance() float64 { return r.disturbance() }

// Disturbed says whether that is too much.
func (r *results) Disturbed() bool { return r.disturbance() > quiet }

// Date is the day the figures were taken.
func (r *results) Date() string { day, _, _ := strings.Cut(r.Taken, "T"); return day }

// Command is the one that takes a line's figure.
func (l line) Command() string { return "go run ./bench/measure --cell " + l.Cell }

func (r *results) render() ([]byte, error) {
	var out bytes.Buffer
	if err := page.Execute(&out, r); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return out.Bytes(), nil
}

func (r *results) writePage(name string) error {
	text, err := r.render()
	if err != nil {
		return err
	}
	return writeFile(name, text)
}
