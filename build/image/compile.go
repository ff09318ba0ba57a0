package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// architectures are built for Linux: Fargate's default here, and the common one.
var architectures = []string{"arm64", "amd64"}

// buildArgs are go build's arguments up to the output file; the Dockerfile has
// the same, which a test compares. No VCS stamp: it would differ between a clone
// and an archive of the same sources.
func buildArgs(version string) []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=" + version}
}

// compile returns the static server binary for linux/arch, from the module in root.
func compile(root, arch, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "fairlead-image-")
	if err != nil {
		return nil, fmt.Errorf("a place to compile to: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "fairlead")

	cmd := exec.Command("go", append(buildArgs(version), "-o", out, "./cmd/fairlead")...)
	cmd.Dir = root
	// Whatever the developer's environment says about code generation must not
	// reach the image.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling for linux/%s: %w\n%s", arch, err, strings.TrimSpace(string(text)))
	}
	binary, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("reading what was compiled for linux/%s: %w", arch, err)
	}
	return binary, nil
}
