package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// content is what may be copied into the image, by absolute path.
type content map[string]file

type file struct {
	data []byte
	mode int64
}

// epoch is the time of everything in the image: a build leaves no trace of when.
var epoch = time.Unix(0, 0).UTC()

// assemble makes the image for one architecture: a layer for each COPY of the
// stage, in its order, so that a new binary leaves the layers before it as they were.
func assemble(s *stage, arch string, files content) (v1.Image, error) {
	if len(s.copied) != len(files) {
		return nil, fmt.Errorf("the Dockerfile copies %d files, the builder has %d", len(s.copied), len(files))
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, name := range s.copied {
		f, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("the Dockerfile copies %s, which the builder does not have", name)
		}
		layer, err := layerOf(name, f)
		if err != nil {
			return nil, fmt.Errorf("layer of %s: %w", name, err)
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "COPY " + name},
		})
		if err != nil {
			return nil, fmt.Errorf("adding the layer of %s: %w", name, err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: epoch}
	config.OS, config.Architecture, config.Variant = "linux", arch, variant(arch)
	config.Config = s.config
	return mutate.ConfigFile(image, config)
}

// variant completes the platform the way container engines write it.
func variant(arch string) string {
	if arch == "arm64" {
		return "v8"
	}
	return ""
}

// layerOf packs one file and the folders above it, all owned by root.
func layerOf(name string, f file) (v1.Layer, error) {
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, dir := range parents(name) {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755, ModTime: epoch}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name[1:], Size: int64(len(f.data)), Mode: f.mode, ModTime: epoch}
	if err := w.WriteHeader(h); err != nil {
		return nil, err
	}
	if _, err := w.Write(f.data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressionLevel(gzip.BestCompression),
		tarball.WithCompressedCaching,
	)
}

// parents lists the folders above name, the outermost first, without the root.
func parents(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}
