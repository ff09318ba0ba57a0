package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// platformImage is the image for linux/arch.
type platformImage struct {
	arch  string
	image v1.Image
}

// writeArchive writes the images to the tar file out, and returns the digest of
// their common index. Two descriptions of the same blobs lie side by side:
//
//   - the OCI layout, one index over all architectures, for skopeo, podman,
//     crane (unpacked) and Docker with the containerd store;
//   - manifest.json, for docker load without it, which knows no index: a tag an
//     architecture.
func writeArchive(out, version string, images []platformImage) (v1.Hash, error) {
	dir, err := os.MkdirTemp("", "fairlead-layout-")
	if err != nil {
		return v1.Hash{}, fmt.Errorf("a place for the layout: %w", err)
	}
	defer os.RemoveAll(dir)

	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var docker []dockerEntry
	for _, p := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: p.image,
			Descriptor: v1.Descriptor{
				Platform: &v1.Platform{OS: "linux", Architecture: p.arch, Variant: variant(p.arch)},
			},
		})
		entry, err := dockerEntryOf(p, version)
		if err != nil {
			return v1.Hash{}, err
		}
		docker = append(docker, entry)
	}
	digest, err := index.Digest()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("digest of the index: %w", err)
	}

	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("starting the layout: %w", err)
	}
	err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag(version),                                 // skopeo and podman
		"io.containerd.image.name":          "docker.io/library/fairlead:" + tag(version), // docker load, ctr import
	}))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("writing the layout: %w", err)
	}
	text, err := json.Marshal(docker)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("encoding manifest.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644); err != nil {
		return v1.Hash{}, fmt.Errorf("writing manifest.json: %w", err)
	}
	return digest, pack(dir, out)
}

// dockerEntry is an image in Docker's own archive format.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func dockerEntryOf(p platformImage, version string) (dockerEntry, error) {
	m, err := p.image.Manifest()
	if err != nil {
		return dockerEntry{}, fmt.Errorf("manifest for %s: %w", p.arch, err)
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	e := dockerEntry{
		Config:   blob(m.Config.Digest),
		RepoTags: []string{"fairlead:" + tag(version) + "-" + p.arch},
	}
	for _, layer := range m.Layers {
		e.Layers = append(e.Layers, blob(layer.Digest))
	}
	return e, nil
}

var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// tag is the version in the letters that a tag may have.
func tag(version string) string { return notInTags.ReplaceAllString(version, "-") }

// pack writes the files under dir to the tar file out, in the order of their
// names and without times or owners.
func pack(dir, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close() // a failure to write is told by the Close below
	w := tar.NewWriter(f)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(rel), Size: int64(len(data)), Mode: 0o644, ModTime: epoch}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}
