package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// LogOptions set the log up. The zero value is auto format, level info, no task.
type LogOptions struct {
	Format string // json, text, or auto ("" too): text if the writer is a terminal, else json
	Level  string // debug, info ("" too), warn or error
	Task   string // goes on every line as "task"; "" leaves it out
}

// NewLogger returns a logger that writes to w, one Write a line. It is meant for lifecycle events, a line each; what
// happens per message or per connection is counted, not logged.
//
// w should be standard error: standard output belongs to the EMF lines, which must never share a line with anything.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	// JSON would have durations in nanoseconds, which nobody reads.
	options := slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().Round(time.Millisecond).String())
		}
		return a
	}}
	switch o.Level {
	case "debug":
		options.Level = slog.LevelDebug
	case "", "info":
		options.Level = slog.LevelInfo
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	default:
		return nil, fmt.Errorf("log level %q is unknown: use debug, info, warn or error", o.Level)
	}

	var handler slog.Handler
	switch {
	case o.Format == "text", (o.Format == "" || o.Format == "auto") && isTerminal(w):
		handler = slog.NewTextHandler(w, &options)
	case o.Format == "json", o.Format == "", o.Format == "auto":
		handler = slog.NewJSONHandler(w, &options)
	default:
		return nil, fmt.Errorf("log format %q is unknown: use json, text or auto", o.Format)
	}
	if o.Task != "" {
		handler = handler.WithAttrs([]slog.Attr{slog.String("task", o.Task)})
	}
	return slog.New(handler), nil
}

// isTerminal takes any character device for a terminal. That is wrong for /dev/null, where the format does not matter,
// and spares an ioctl for each platform.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
