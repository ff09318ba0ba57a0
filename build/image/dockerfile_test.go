package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The last stage is read, so it cannot drift; the compiling stage is compared.
func TestTheDockerfileCompilesWithTheSameFlags(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	args := buildArgs("$VERSION")
	last := len(args) - 1
	want := "CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go " +
		strings.Join(args[:last], " ") + ` "` + args[last] + `" -o /fairlead ./cmd/fairlead`
	joined := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\\\n", " ")), " ")
	if !strings.Contains(joined, want) {
		t.Errorf("the Dockerfile does not say\n%s", want)
	}
}

// An engine sends the build only what .dockerignore lets through.
func TestTheBuildContextHoldsWhatTheServerIsMadeOf(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	rules := strings.Split(string(text), "\n")
	for _, name := range []string{"go.mod", "go.sum"} {
		if !slices.Contains(rules, "!"+name) {
			t.Errorf(".dockerignore keeps %s out", name)
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", "./cmd/fairlead")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("listing the server's packages: %v", err)
	}
	packages := strings.Fields(string(out))
	if len(packages) == 0 {
		t.Fatal("found no package of the server")
	}
	for _, name := range packages {
		_, dir, _ := strings.Cut(name, "/")
		top, _, _ := strings.Cut(dir, "/")
		if !slices.Contains(rules, "!"+top) {
			t.Errorf("the server needs %s, which .dockerignore keeps out", name)
		}
	}
}

func TestADockerfileThatTheBuilderCannotFollowIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"an instruction it does not know":     {"FROM scratch\nWORKDIR /x", "WORKDIR: the image builder does not know"},
		"another base":                        {"FROM debian", "want scratch"},
		"an argument it does not give":        {"FROM scratch\nARG COLOUR=red", "no argument COLOUR"},
		"a label without quotes":              {"FROM scratch\nLABEL a=b", `want NAME="VALUE"`},
		"a copy of several files":             {"FROM scratch\nCOPY --from=build /a /b /c/", "want --from=STAGE, a file, and the file it becomes"},
		"an entry point in shell form":        {"FROM scratch\nENTRYPOINT fairlead", "ENTRYPOINT: invalid character"},
		"a health check with unknown options": {`FROM scratch` + "\n" + `HEALTHCHECK --colour=red CMD ["a"]`, "unknown option --colour"},
		"a health check without a command":    {"FROM scratch\nHEALTHCHECK NONE", "want OPTIONS CMD"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Dockerfile")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := readStage(file, map[string]string{"VERSION": "v1"})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestOnlyTheLastStageIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Dockerfile")
	text := "FROM golang AS build\nUSER root\nRUN a \\\n  b\n# a comment\nFROM scratch\nLABEL a=\"x y\" \\\n  b=\"$VERSION\"\nUSER 1:2\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := readStage(file, map[string]string{"VERSION": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if s.config.User != "1:2" || s.config.Labels["a"] != "x y" || s.config.Labels["b"] != "v1" {
		t.Errorf("got user %q, labels %v", s.config.User, s.config.Labels)
	}
}

func TestAFileThatTheBuilderDoesNotHaveIsRefused(t *testing.T) {
	for name, copied := range map[string][]string{"another file": {"/other"}, "one file more": {"/fairlead", "/other"}} {
		if _, err := assemble(&stage{copied: copied}, "amd64", content{"/fairlead": {nil, 0o755}}); err == nil {
			t.Errorf("%s: assembled, want an error", name)
		}
	}
}
