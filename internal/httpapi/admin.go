package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"fairlead/internal/telemetry"
)

// AdminHandler serves the loopback listener. Nothing on it asks who is there,
// which is why it must be reachable from this machine alone.
func AdminHandler(m *telemetry.Metrics, status func() telemetry.Status) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		body := json.NewEncoder(w)
		body.SetIndent("", "  ")
		_ = body.Encode(status()) // the reader is gone if it fails
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, "Nothing is here. Try /status, /metrics or /debug/pprof/.\n")
	})
	return mux
}
