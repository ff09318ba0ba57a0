// Command fairlead is a WebSocket server that scales on live connections and
// survives deploys. Each file here is one subcommand and wires, nothing else.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// version is set at link time.
var version = "dev"

// cli is the command line: a subcommand a field.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Serve WebSockets, the console and health checks."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the server on this machine whether it lives; for container health checks."`
	Version     versionCmd     `cmd:"" help:"Say which version this is."`
}

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// exitCode is an error that has been told already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a fault of the command line that shows only on this host.
type usageError struct{ error }

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// run is main with its surroundings given. Exit codes: 0 done, 1 failed, 2 the
// command line is wrong.
func run(args []string, io streams) int {
	exited := -1
	parser, err := kong.New(new(cli),
		kong.Name("fairlead"),
		kong.Description("WebSockets on AWS Fargate that scale on live connections and survive deploys. Every flag has an environment variable, FAIRLEAD_…, named beside it."),
		kong.Writers(io.out, io.err),
		kong.Exit(func(code int) { exited = code }), // --help
		kong.Bind(io),
	)
	if err != nil {
		fmt.Fprintln(io.err, "fairlead:", err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(io.err, "fairlead: %v\n", err)
		fmt.Fprintln(io.err, "See fairlead --help.")
		return 2
	}
	err = ctx.Run()
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(io.err, "fairlead: %v\n", err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}
