//go:build integration

package browser

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch sees everything a tab does, and keeps what a page of ours must never do:
// break its Content-Security-Policy, write an error to the console, throw, or ask
// anything of another origin.
type watch struct {
	mu       sync.Mutex // guards the following
	host     string     // the only one that may be asked; any until it is set
	expected []*regexp.Regexp
	faults   []string
	sockets  []string // URL of every WebSocket the page tried to open
	answers  []string // what came of each: "101", or the browser's words for why not
}

// keepTo names the origin that requests may go to.
func (w *watch) keepTo(origin string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host = hostOf(origin)
}

// expect takes what matches off the faults, those seen already too: a refused
// connection is an error in the console, and a test that stops the server wants
// just that.
func (w *watch) expect(patterns ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range patterns {
		w.expected = append(w.expected, regexp.MustCompile(p))
	}
}

func (w *watch) faultsSoFar() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.faults), func(fault string) bool {
		return slices.ContainsFunc(w.expected, func(p *regexp.Regexp) bool { return p.MatchString(fault) })
	})
}

func (w *watch) socketsSoFar() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sockets)
}

func (w *watch) answersSoFar() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.answers)
}

// see is told every event of the tab, in order.
func (w *watch) see(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.asked(e.Request.URL)
	case *network.EventWebSocketCreated:
		w.sockets = append(w.sockets, e.URL)
		w.asked(e.URL)
	case *network.EventWebSocketHandshakeResponseReceived:
		w.answers = append(w.answers, strconv.FormatInt(e.Response.Status, 10))
	case *network.EventWebSocketFrameError:
		w.answers = append(w.answers, e.ErrorMessage)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			w.fault("%s error in the log: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			w.fault("console.%s: %s", e.Type, texts(e.Args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		w.fault("exception: %s", text)
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			w.fault("content security policy broken: %s, %s %s", d.ViolatedDirective, d.ContentSecurityPolicyViolationType, d.BlockedURL)
		}
	}
}

func (w *watch) asked(address string) {
	if w.host == "" || address == "about:blank" || strings.HasPrefix(address, "data:") || hostOf(address) == w.host {
		return
	}
	w.fault("request to another origin than %s: %s", w.host, address)
}

func (w *watch) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func texts(values []*runtime.RemoteObject) string {
	var s []string
	for _, v := range values {
		s = append(s, cmp.Or(v.Description, string(v.Value)))
	}
	return strings.Join(s, " ")
}

// hostOf is host:port: http and ws of one server are one origin to us.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return u.Host
}
