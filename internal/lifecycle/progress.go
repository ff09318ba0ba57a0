package lifecycle

import (
	"log/slog"
	"time"
)

// Progress is how far a drain has come, for /status and metrics. All zero but Window and Budget before it starts.
type Progress struct {
	Running   bool          // started and not ended
	Total     int           // connections the drain has known of, those that arrived late included
	Asked     int           // of them, asked to leave so far, or gone when their turn came
	Remaining int           // connections open now, asked or not; 0 once the drain has ended
	Forced    int           // connections cut because they did not leave in time, or were not given the time to
	Elapsed   time.Duration // since the start; stands still at the end
	Window    time.Duration // the closes are spread over this
	Budget    time.Duration // Window plus grace: what is left by then is cut
}

// Result is how a drain ended.
type Result struct {
	Total       int           // connections the drain has known of
	Closed      int           // of them, gone by answering the close or by themselves
	Forced      int           // of them, cut: by the end of the budget, an interruption, or the engine's own close timeout
	Elapsed     time.Duration // from the start to the end
	Interrupted bool          // ended by the context (a second signal), not by itself
}

// ExitCode is 0 when everybody could leave, 1 when somebody was cut or the drain was interrupted.
func (r Result) ExitCode() int {
	if r.Forced > 0 || r.Interrupted {
		return 1
	}
	return 0
}

// LogValue has a Result logged as its fields.
func (r Result) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("total", r.Total),
		slog.Int("closed", r.Closed),
		slog.Int("forced", r.Forced),
		slog.Duration("elapsed", r.Elapsed),
		slog.Bool("interrupted", r.Interrupted),
	)
}
