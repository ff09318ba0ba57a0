package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const testVersion = "v0.0.0-test+1"

// build makes the archive of the tree's own server once for all tests, in a
// folder that TestMain removes.
var build = sync.OnceValues(func() (string, error) {
	out := filepath.Join(scratch, "image.tar")
	return out, run([]string{"-version", testVersion, "-out", out}, io.Discard)
})

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "fairlead-image-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

func archive(t *testing.T) string {
	t.Helper()
	out, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// index unpacks the archive and reads it as an OCI layout.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(archive(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, data := range untar(t, f) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Fatalf("the layout is not sound: %v", err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout names %d things, want the index alone", len(manifest.Manifests))
	}
	inner, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

// untar returns the regular files of a tar stream and checks that nothing in it
// tells when or by whom it was made.
func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s: time %v, owner %d:%d %q; want the epoch and plain root", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg {
			t.Errorf("%s has type %q, want a regular file", h.Name, h.Typeflag)
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// images returns the image of each architecture.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	idx := index(t)
	manifest, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	byArch := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		if d.Platform == nil || d.Platform.OS != "linux" {
			t.Fatalf("%s is for %v, want linux", d.Digest, d.Platform)
		}
		if byArch[d.Platform.Architecture], err = idx.Image(d.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return byArch
}

// contents returns the files of an image by path.
func contents(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	r := mutate.Extract(image)
	defer r.Close()
	return untar(t, r)
}

var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64}

func TestTheArchiveHoldsOneImagePerArchitecture(t *testing.T) {
	got := images(t)
	if len(got) != len(machines) {
		t.Fatalf("%d images, want %d", len(got), len(machines))
	}
	for arch := range machines {
		if got[arch] == nil {
			t.Errorf("no image for %s", arch)
		}
	}
}

func TestTheConfigurationSaysWhatTheDockerfileSays(t *testing.T) {
	for arch, image := range images(t) {
		file, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := file.Config
		if file.OS != "linux" || file.Architecture != arch {
			t.Errorf("%s: the configuration says %s/%s", arch, file.OS, file.Architecture)
		}
		for what, pair := range map[string][2]string{
			"user":        {c.User, "65532:65532"},
			"entry point": {strings.Join(c.Entrypoint, " "), "/fairlead"},
			"command":     {strings.Join(c.Cmd, " "), "serve"},
			"stop signal": {c.StopSignal, "SIGTERM"},
			"version":     {c.Labels["org.opencontainers.image.version"], testVersion},
			"licence":     {c.Labels["org.opencontainers.image.licenses"], "Apache-2.0"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s is %q, want %q", arch, what, pair[0], pair[1])
			}
		}
		if _, ok := c.ExposedPorts["8080/tcp"]; !ok || len(c.ExposedPorts) != 1 {
			t.Errorf("%s: exposes %v, want 8080/tcp alone", arch, c.ExposedPorts)
		}
		if c.Healthcheck == nil || !slices.Equal(c.Healthcheck.Test, []string{"CMD", "/fairlead", "healthcheck"}) {
			t.Errorf("%s: health check %v, want /fairlead healthcheck", arch, c.Healthcheck)
		}
		if !file.Created.Equal(epoch) {
			t.Errorf("%s: created at %v, want the epoch", arch, file.Created)
		}
	}
}

func TestTheImageHoldsTheBinaryAndTheRootsOnly(t *testing.T) {
	for arch, image := range images(t) {
		total := 0
		var names []string
		for name, data := range contents(t, image) {
			names = append(names, name)
			total += len(data)
		}
		slices.Sort(names)
		if want := []string{"etc/ssl/certs/ca-certificates.crt", "fairlead"}; !slices.Equal(names, want) {
			t.Errorf("%s holds %v, want %v", arch, names, want)
		}
		// 20 MB was the aim; docs/decisions/0015 says what weighs.
		const most = 24 << 20
		if total > most {
			t.Errorf("%s unpacks to %d bytes, want at most %d", arch, total, most)
		}
		t.Logf("%s: %.1f MiB unpacked", arch, float64(total)/(1<<20))
	}
}

func TestTheBinaryIsStaticAndOfTheRightArchitecture(t *testing.T) {
	for arch, image := range images(t) {
		binary := contents(t, image)["fairlead"]
		f, err := elf.NewFile(bytes.NewReader(binary))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if f.Machine != machines[arch] || f.Class != elf.ELFCLASS64 {
			t.Errorf("%s: the binary is for %v %v, want %v", arch, f.Machine, f.Class, machines[arch])
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s: has %v: a scratch image has no loader for it", arch, p.Type)
			}
		}
		if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
			t.Errorf("%s: carries symbols, want them stripped", arch)
		}
	}
}

// Catches a renamed main.version or subcommand, which the linker and the
// Dockerfile would take in silence.
func TestTheBinaryKnowsWhatTheImageAsksOfIt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("the binary is for Linux and this is %s: looked at, not run", runtime.GOOS)
		return
	}
	image := images(t)[runtime.GOARCH]
	if image == nil {
		t.Fatalf("no image for this machine, %s", runtime.GOARCH)
	}
	binary := filepath.Join(t.TempDir(), "fairlead")
	if err := os.WriteFile(binary, contents(t, image)["fairlead"], 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"version"}, testVersion},
		{[]string{"serve", "--help"}, "serve"},
		{[]string{"healthcheck", "--help"}, "healthcheck"},
	} {
		out, err := exec.CommandContext(t.Context(), binary, c.args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.says) {
			t.Errorf("fairlead %s: %v, said %q; want %q in it", strings.Join(c.args, " "), err, out, c.says)
		}
	}
}

func TestTheSameSourcesGiveTheSameBytes(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again.tar")
	if err := run([]string{"-version", testVersion, "-out", again}, io.Discard); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(archive(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two builds differ")
	}
}

// What docker load reads where it knows no OCI layout.
func TestDockersOwnFormatLiesBeside(t *testing.T) {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive(t)) })
	if err != nil {
		t.Fatal(err)
	}
	byArch := images(t)
	if len(manifest) != len(byArch) {
		t.Fatalf("manifest.json names %d images, want %d", len(manifest), len(byArch))
	}
	for arch, want := range byArch {
		// The plus sign of a version is no letter of a tag.
		name := "fairlead:v0.0.0-test-1-" + arch
		i := slices.IndexFunc(manifest, func(d tarball.Descriptor) bool { return slices.Equal(d.RepoTags, []string{name}) })
		if i < 0 {
			t.Errorf("manifest.json does not name %s", name)
			continue
		}
		config, err := want.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		if got := manifest[i].Config; got != "blobs/sha256/"+config.Hex {
			t.Errorf("%s: configuration is %s, want %s", name, got, config)
		}
		layers, err := want.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for j, layer := range layers {
			digest, err := layer.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if j >= len(manifest[i].Layers) || manifest[i].Layers[j] != "blobs/sha256/"+digest.Hex {
				t.Errorf("%s: layers are %v, want %s in place %d", name, manifest[i].Layers, digest, j)
			}
		}
	}
}
