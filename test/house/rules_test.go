package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The words are put together here so that this file obeys its own rule.
var marker = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func finished(s source) []string {
	var faults []string
	for i, line := range strings.Split(string(s.text), "\n") {
		if word := marker.FindString(line); word != "" {
			faults = append(faults, fmt.Sprintf("line %d says %s: finish it, or file an issue and say plainly what is not done", i+1, word))
		}
	}
	return faults
}

// vague are package names that say where code was put, not what it does.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "types", "lib"}

func named(s source) []string {
	if !s.isGo() {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), s.name, s.text, parser.PackageClauseOnly)
	if err != nil {
		return []string{err.Error()}
	}
	if slices.Contains(vague, strings.TrimSuffix(file.Name.Name, "_test")) {
		return []string{"package " + file.Name.Name + ": name it after what it does"}
	}
	return nil
}

const module = "fairlead"

// wiring are the packages under internal/ that put leaves together. The rest
// import nothing of this module outside their own folder, tests included: a
// leaf that can be tested only with its neighbour is not a leaf.
var wiring = []string{"httpapi", "rehearsal"}

// implements are the leaves that implement an interface of another one, and
// may import that one and no more: hub declares Broker in its own words
// (Position, Message, Sink), and valkey is one. Copies of those types in
// valkey, converted by the wiring, were rejected: every message would pass
// through them.
var implements = map[string]string{"valkey": "hub"}

func leaves(s source) []string {
	rest, internal := strings.CutPrefix(s.name, "internal/")
	leaf, _, folder := strings.Cut(rest, "/")
	if !s.isGo() || !internal || !folder || slices.Contains(wiring, leaf) {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), s.name, s.text, parser.ImportsOnly)
	if err != nil {
		return []string{err.Error()}
	}
	own := path.Join(module, "internal", leaf)
	declares := ""
	if other, ok := implements[leaf]; ok {
		declares = path.Join(module, "internal", other)
	}
	var faults []string
	for _, spec := range file.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		ours := name == module || strings.HasPrefix(name, module+"/")
		if ours && name != own && !strings.HasPrefix(name, own+"/") && name != declares {
			faults = append(faults, fmt.Sprintf(
				"imports %s: leaves do not know one another; declare a small interface here and let cmd or internal/httpapi wire it", name))
		}
	}
	return faults
}

// awake forbids tests that skip themselves, and sleeps that only hope to be long
// enough. A loop may sleep between two looks at its condition; under
// testing/synctest Sleep moves a clock that nobody waits for; and in a fuzz
// target Skip means "this input says nothing".
func awake(s source) []string {
	if !s.isTest() {
		return nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, s.name, s.text, parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	synctest := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
	var faults []string
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		fuzz := strings.HasPrefix(fn.Name.Name, "Fuzz")
		var loop token.Pos // the end of the outermost loop around the node
		ast.Inspect(fn, func(n ast.Node) bool {
			if n, ok := n.(*ast.ForStmt); ok {
				loop = max(loop, n.End())
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			line := fset.Position(call.Pos()).Line
			switch on, method := callee(call); {
			case on == "time" && method == "Sleep" && !synctest && call.Pos() >= loop:
				faults = append(faults, fmt.Sprintf("line %d sleeps: wait for the condition, or run under testing/synctest", line))
			case slices.Contains([]string{"t", "b", "tb"}, on) && strings.HasPrefix(method, "Skip") && !fuzz:
				faults = append(faults, fmt.Sprintf("line %d skips the test: have `make setup` bring what it needs", line))
			}
			return true
		})
	}
	return faults
}

// callee returns x and f of a call x.f(…), or nothing.
func callee(call *ast.CallExpr) (on, method string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return x.Name, sel.Sel.Name
}
