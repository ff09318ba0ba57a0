//go:build integration

// Package browser opens the console of the real binary in a headless Chromium and
// uses it as a person does: with a mouse, a keyboard, a phone, two tabs, and a
// server that goes away. One Chromium serves all tests; each has a fresh profile
// of its own in it.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"

	"fairlead/test/fairleadtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if closeChromium != nil {
		if err := closeChromium(); err != nil {
			fmt.Fprintln(os.Stderr, "Chromium:", err)
			code = 1
		}
	}
	// Not VerifyTestMain: the browser's own goroutines end with it, not before.
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const standardChromium = "/usr/bin/chromium"

// startTime is how long Chromium, or a window of it, may take to come up on a
// machine that is busy with other things.
const startTime = time.Minute

// closeChromium is set once Chromium runs; it ends it and deletes its profiles.
var closeChromium func() error

// chromium is the browser all tests share, started by the first that asks.
var chromium = sync.OnceValues(startChromium)

func startChromium() (context.Context, error) {
	program := os.Getenv("CHROMIUM")
	if program == "" {
		program = standardChromium
	}
	if _, err := exec.LookPath(program); err != nil {
		return nil, fmt.Errorf("no browser to test with: %w: run `make setup`, or `apt-get install chromium`, or name a Chromium or Chrome: CHROMIUM=/path/to/it", err)
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program),
		chromedp.WindowSize(1280, 1100),
		// Chromium's own services would look for the world; no test needs a name.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
	}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync",
		"disable-breakpad",      // no crash reporter to outlive the tests
		"disable-dev-shm-usage", // containers have a tiny /dev/shm, and tabs that outgrow it crash
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	// Its data folder is a fresh temporary one, which goes when it goes.
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	// A deadline on the context would end the browser later: it lives as long as
	// the context it was started with.
	late := time.AfterFunc(startTime, cancel)
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	late.Stop()
	closeChromium = func() error {
		defer stop()
		bounded, cancel := context.WithTimeout(ctx, fairleadtest.WaitTime)
		defer cancel()
		return chromedp.Cancel(bounded)
	}
	return ctx, nil
}
