package telemetry

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogLineIsOneJSONObjectWithTheTask(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, LogOptions{Format: "json", Task: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("ready", "reason", "two\nlines")
	log.Debug("not at this level")
	if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["task"] != "t1" || line["msg"] != "ready" || line["reason"] != "two\nlines" {
		t.Errorf("got %v", line)
	}
}

func TestTextIsForPeopleAndKeepsToOneLine(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, LogOptions{Format: "text", Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("draining", "reason", "two\nlines")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=DEBUG msg=draining") || strings.Contains(got, "task=") {
		t.Errorf("got %q", got)
	}
}

func TestAutoIsJSONUnlessOnATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log, err := NewLogger(file, LogOptions{Format: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("ready")
	written, err := os.ReadFile(file.Name())
	if err != nil || !json.Valid(written) {
		t.Errorf("got %q, %v", written, err)
	}
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		defer null.Close()
		if !isTerminal(null) { // the nearest to a terminal that a test has
			t.Error("a character device is not taken for a terminal")
		}
	}
}

func TestUnknownLogSettingsAreRefused(t *testing.T) {
	for _, o := range []LogOptions{{Format: "xml"}, {Level: "loud"}} {
		if _, err := NewLogger(&bytes.Buffer{}, o); err == nil || !strings.Contains(err.Error(), "use ") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	for _, level := range []string{"debug", "info", "warn", "error"} {
		if _, err := NewLogger(&bytes.Buffer{}, LogOptions{Level: level}); err != nil {
			t.Error(err)
		}
	}
}
