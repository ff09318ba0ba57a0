package main

import (
	"os"
	"path/filepath"
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
