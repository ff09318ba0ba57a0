// Package telemetry is what a task tells about itself: logs on standard error, metrics for Prometheus, the same figures
// as CloudWatch Embedded Metric Format lines on standard output, and the shape of /status. It knows no engine, hub or
// lifecycle: those keep their counts, and the wiring hands over functions that read them (Sources).
package telemetry
