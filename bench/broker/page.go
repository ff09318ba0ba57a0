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

// page is docs/benchmarks-broker.md. What it says about a cell is in the template; every number comes from the results.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) },
	"number":  func(n int) string { return row{}.number(float64(n)) },
}).Parse(pageText))

// Date is the day the figures were taken.
func (r *results) Date() string { day, _, _ := strings.Cut(r.Taken, "T"); return day }

func (r *results) writePage(name string) error {
	var out bytes.Buffer
	if err := page.Execute(&out, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return writeFile(name, out.Bytes())
}
