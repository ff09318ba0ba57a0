// Package house holds the rules that are this project's own and that no linter
// on the shelf checks. Each rule looks at one file and says what is wrong in
// words that tell how to put it right.
package house

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a file of the tree; name is slash-separated, from the module's root.
type source struct {
	name string
	text []byte
}

func (s source) isGo() bool   { return strings.HasSuffix(s.name, ".go") }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// rules are what every file must obey. A rule returns one line per fault.
var rules = map[string]func(source) []string{
	"files stay short":           short,
	"no marker of unfinished":    finished,
	"packages are named":         named,
	"leaves stand alone":         leaves,
	"tests neither skip nor nap": awake,
}

func TestTheTreeObeysTheHouseRules(t *testing.T) {
	sources := tree(t, filepath.Join("..", ".."))
	if len(sources) < 10 {
		t.Fatalf("found %d source files: the walk does not see the tree", len(sources))
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, s := range sources {
				for _, fault := range rule(s) {
					t.Errorf("%s: %s", s.name, fault)
				}
			}
		})
	}
}

// written are the endings of files that people write here by hand.
var written = []string{".go", ".js", ".mjs", ".ts", ".css", ".html", ".py", ".sh", ".lua", ".yml", ".yaml"}

// skipped are folders with nothing written by hand in them.
var skipped = []string{".git", ".tools", "bin", "node_modules", "cdk.out", "testdata"}

func tree(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's temporary file, gone since the folder was listed
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains(written, path.Ext(file)) && d.Name() != "Makefile" && d.Name() != "Dockerfile" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading the tree: %w", err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return fmt.Errorf("naming a file of the tree: %w", err)
		}
		sources = append(sources, source{filepath.ToSlash(name), text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

const maxLines = 500

func short(s source) []string {
	if n := bytes.Count(s.text, []byte("\n")); n >= maxLines {
		return []string{fmt.Sprintf("%d lines; a file holds one idea in fewer than %d: split it by idea", n, maxLines)}
	}
	return nil
}
