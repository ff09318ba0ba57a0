// Command echo answers every message with itself, straight on the engine: what
// conformance suites and engine benchmarks talk to. It is no part of the
// product.
//
//	go run ./bench/echo --listen 127.0.0.1:9001 --poller epoll
//
// Compression is on, messages may have 64 MiB, and the path does not matter.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"fairlead/internal/ws"
)

// maxMessage is the largest message the suites send, with room to spare.
const maxMessage = 64 << 20

type command struct {
	Listen string `default:"127.0.0.1:9001" help:"Address to listen on (${default})."`
	Poller string `default:"auto" enum:"auto,epoll,portable" help:"How sockets are read: ${enum} (${default})."`
}

func main() {
	var cmd command
	ctx := kong.Parse(&cmd, kong.Description("WebSocket echo server on Fairlead's engine, for test suites."))
	ctx.FatalIfErrorf(cmd.Run())
}

// Run serves until SIGINT or SIGTERM.
func (cmd *command) Run() error {
	backend, err := ws.ParseBackend(cmd.Poller)
	if err != nil {
		return err
	}
	engine, err := ws.New(ws.Options{
		Backend:         backend,
		MaxMessageBytes: maxMessage,
		// An echo may wait whole while the next message arrives.
		MaxQueueBytes: 4 * maxMessage,
		PingInterval:  -1, // a ping that no case asked for fails the case
		// So that a suite's small messages come back compressed too.
		MinDeflateBytes: 1,
	})
	if err != nil {
		return err
	}
	defer engine.Shutdown()
	l, err := net.Listen("tcp", cmd.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: echo{engine}, ReadHeaderTimeout: 10 * time.Second}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		server.Close()
	}()
	fmt.Fprintf(os.Stderr, "echo: ws://%s, poller %s\n", l.Addr(), cmd.Poller)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type echo struct{ engine *ws.Engine }

func (e echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hs, bad := ws.CheckHandshake(r, ws.HandshakeOptions{Compression: true})
	if bad != nil {
		for name, values := range bad.Header {
			w.Header()[name] = values
		}
		http.Error(w, bad.Message, bad.Status)
		return
	}
	c, err := e.engine.Accept(w, hs, e)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	c.Open(nil)
}

func (echo) Message(c *ws.Conn, op ws.Opcode, payload []byte) { c.WriteMessage(op, payload) }

func (echo) Closed(*ws.Conn, ws.End) {}
