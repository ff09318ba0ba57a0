// Command image builds the server's container image without a container engine:
// a multi-architecture OCI layout in one tar file, the same to the byte for the
// same sources, Go version and -version.
//
// What goes in is read from the last stage of the Dockerfile, so that the two
// ways to build cannot drift apart.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	root := flags.String("root", filepath.Join("..", ".."), "folder with the Dockerfile and the server's go.mod")
	version := flags.String("version", "dev", "what the server reports as its version")
	out := flags.String("out", "fairlead-image.tar", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}

	stage, err := readStage(filepath.Join(*root, "Dockerfile"), map[string]string{"VERSION": *version})
	if err != nil {
		return err
	}
	roots, err := certificates()
	if err != nil {
		return err
	}
	var built []platformImage
	for _, arch := range architectures {
		binary, err := compile(*root, arch, *version)
		if err != nil {
			return err
		}
		image, err := assemble(stage, arch, content{
			"/fairlead":                          {binary, 0o755},
			"/etc/ssl/certs/ca-certificates.crt": {roots, 0o644},
		})
		if err != nil {
			return fmt.Errorf("assembling the image for %s: %w", arch, err)
		}
		built = append(built, platformImage{arch, image})
	}
	digest, err := writeArchive(*out, *version, built)
	if err != nil {
		return fmt.Errorf("writing %s: %w", *out, err)
	}

	fmt.Fprintf(stdout, "%s, for docker load -i, podman load -i and skopeo copy oci-archive:\n  index        %s\n", *out, digest)
	for _, p := range built {
		d, err := p.image.Digest()
		if err != nil {
			return fmt.Errorf("digest for %s: %w", p.arch, err)
		}
		fmt.Fprintf(stdout, "  linux/%-6s %s\n", p.arch, d)
	}
	return nil
}
