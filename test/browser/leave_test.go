//go:build integration

package browser

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"fairlead/test/fairleadtest"
)

// A page whose server is away cannot but write these to the console: the
// browser does, whatever the page does.
var awayErrors = []string{
	`WebSocket connection to '.*' failed`,
	`Failed to load resource: net::ERR_CONNECTION_(REFUSED|RESET)`,
	`Failed to load resource: the server responded with a status of 503`,
}

// lastingAddress is a free port which no outgoing connection takes while the
// server that listens on it is restarted: those get theirs from 32768 on (Linux)
// or 49152 (macOS).
func lastingAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("found no free port between 20000 and 30000")
	return ""
}

func TestAServerRestartIsSurvived(t *testing.T) {
	address := lastingAddress(t)
	first := fairleadtest.Start(t, "--listen", address, "--task-id", "task-one", "--drain", "1s")
	p := console(t, first, "restart")
	p.expect(awayErrors...)
	p.says("task", "task-one")
	p.send(`"before"`)
	p.shows(own(`"before"`))

	if code := first.Stop(); code != 0 {
		t.Fatalf("the first server exited with %d", code)
	}
	second := fairleadtest.Start(t, "--listen", address, "--task-id", "task-two")
	p.newest("back", "Back after ")
	p.state("open")
	p.says("task", "task-two")
	becomes(p, "1", node("reconnects")+".textContent")
	becomes(p, true, node("error-banner")+".hidden")
	becomes(p, true, node("retry-now")+".hidden")

	book, err := p.logbook()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range book {
		kinds = append(kinds, e.Event)
		if e.Event == "closed" && (!strings.Contains(e.Text, "Closed with 1001, going away") || !strings.Contains(e.Text, "“Server shutting down”")) {
			t.Errorf("the logbook says of the close: %s", e.Text)
		}
	}
	// Attempts while nobody listened are one entry, or none if it was quick.
	if got := strings.Join(kinds, " "); got != "opened closed back" && got != "opened closed failed back" {
		t.Errorf("the logbook's entries are %s", got)
	}
	if last := book[len(book)-1]; !strings.Contains(last.Text, "Page served by task-two; before, it was task-one.") {
		t.Errorf("the logbook says of the return: %s", last.Text)
	}

	p.send(`"after"`)
	p.shows(own(`"before"`), own(`"after"`))
	second.Connections(1)
}

func TestACrashIsExplainedAndRetryNowEndsTheWait(t *testing.T) {
	address := lastingAddress(t)
	first := fairleadtest.Start(t, "--listen", address)
	p := blank(t)
	p.expect(awayErrors...)
	// The page waits at random. Here the first two waits are none, so that the
	// second attempt to fail brings the banner, and the third outlasts the test.
	p.do("load the dice", order(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `{ const throws = [0, 0]; Math.random = () => throws.shift() ?? 1000; }`,
	}))
	p.visit(first, "crash")

	first.Signal(os.Kill)
	<-first.Exited()
	p.logged("closed", "Closed with 1006, broken off")
	p.says("error-banner", "Nothing answers at "+address)
	becomes(p, false, node("error-banner")+".hidden")
	p.state("waiting")
	p.says("state", "Waiting")
	p.newest("failed", "2 attempts failed")
	p.fill("editor", `"nobody hears this"`)
	p.click("send")
	p.says("answer", "Not sent: the connection is not open.")

	fairleadtest.Start(t, "--listen", address)
	p.click("retry-now")
	p.newest("back", "Back after ")
	becomes(p, true, node("error-banner")+".hidden")
	becomes(p, "1", node("reconnects")+".textContent")
	p.click("send")
	p.shows(own(`"nobody hears this"`))
}

func TestWhoDisconnectsStaysDisconnected(t *testing.T) {
	server := fairleadtest.Start(t)
	p := console(t, server, "disconnect")
	server.Connections(1)

	p.click("connect-toggle")
	p.state("closed")
	p.newest("disconnected", "Disconnected by you")
	server.Connections(0)

	// What makes a waiting page try at once must not wake one that was told to
	// stay away. By the page's own clock it then stays so for two seconds, far longer
	// than its first wait, which is 250 ms at most.
	p.do("come back to the page", chromedp.Evaluate[chromedp.Void](
		`dispatchEvent(new Event("online")); document.dispatchEvent(new Event("visibilitychange"))`))
	becomes(p, true, `/not connected during ([3-9]|\d\d) of them/.test(`+node("chart-text")+`.textContent)`)
	p.state("closed")
	if n := len(p.socketsSoFar()); n != 1 {
		t.Errorf("the page opened %d WebSockets, want the one that was closed", n)
	}
	if book, err := p.logbook(); err != nil || len(book) != 2 {
		t.Errorf("the logbook is %+v, %v; want opened and disconnected", book, err)
	}

	p.click("connect-toggle")
	p.newest("opened", "Open on disconnect")
	p.send(`"again"`)
	p.shows(own(`"again"`))
	becomes(p, "0", node("reconnects")+".textContent")
	server.Connections(1)
}
