//go:build integration

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"fairlead/test/fairleadtest"
)

// tab is a window with one page. What the page must never do fails its test when
// the test ends, see watch.
type tab struct {
	*watch
	t   *testing.T
	ctx context.Context
}

type step = chromedp.Action[chromedp.Void]

// blank opens an empty tab with a profile of its own, so that no test finds what
// another left in the storage.
func blank(t *testing.T) *tab {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	return newTab(browser, t, chromedp.WithNewBrowserContext())
}

// sibling opens an empty tab with the same profile.
func (p *tab) sibling() *tab {
	p.t.Helper()
	return newTab(p.ctx, p.t)
}

func newTab(parent context.Context, t *testing.T, options ...chromedp.ContextOption) *tab {
	t.Helper()
	w := &watch{}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(w.see))...)
	p := &tab{watch: w, t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page: %s", p.describe())
		}
		for _, fault := range p.faultsSoFar() {
			t.Errorf("the page must not do this: %s", fault)
		}
		cancel()
	})
	late := time.AfterFunc(startTime, cancel)
	defer late.Stop()
	if err := chromedp.Do(ctx, order(audits.Enable, cdp.Empty{})); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return p
}

// console opens the server's page on a channel and waits until it is connected.
func console(t *testing.T, server *fairleadtest.Server, channel string) *tab {
	t.Helper()
	p := blank(t)
	p.visit(server, channel)
	return p
}

// visit is console in a tab that is there already.
func (p *tab) visit(server *fairleadtest.Server, channel string) {
	p.t.Helper()
	p.keepTo(server.URL(""))
	p.do("open the console", chromedp.Navigate(server.URL("/?channel="+channel)))
	p.state("open")
}

// order is a command of the DevTools protocol whose answer says nothing.
func order[P, R any](command cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}

// do runs steps; what is said of them in the failure.
func (p *tab) do(what string, steps ...step) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, fairleadtest.WaitTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// eval is the value of a JavaScript expression, a promise's once it has one.
func eval[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, fairleadtest.WaitTime)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("%s: %w", expression, err)
	}
	return v, nil
}

// get is eval where an error ends the test.
func get[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := eval[T](p, expression)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// becomes waits until an expression has a value.
func becomes[T comparable](p *tab, want T, expression string) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		got, err := eval[T](p, expression)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %v, want %v", expression, got, want)
		}
		return err
	})
}

// says waits until the text of an element holds a text.
func (p *tab) says(id, part string) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		got, err := eval[string](p, node(id)+".textContent")
		if err == nil && !strings.Contains(got, part) {
			err = fmt.Errorf("%s says %q, want it to hold %q", id, got, part)
		}
		return err
	})
}

func (p *tab) state(want string) {
	p.t.Helper()
	becomes(p, want, node("state")+".dataset.state")
}

// node is the expression for an element of the page, named by its data-testid.
func node(id string) string { return "document." + `querySelector('` + css(id) + `')` }

func css(id string) string { return `[data-testid="` + id + `"]` }

func (p *tab) click(id string) {
	p.t.Helper()
	p.do("click "+id, chromedp.Click(chromedp.CSS(css(id))))
}

// clickOn clicks the element that an expression finds.
func (p *tab) clickOn(expression string) {
	p.t.Helper()
	p.do("click "+expression, chromedp.Click(chromedp.JSPath(expression)))
}

// fill replaces the text of a field, as a paste does.
func (p *tab) fill(id, text string) {
	p.t.Helper()
	p.do("fill "+id,
		chromedp.Click(chromedp.CSS(css(id))),
		chromedp.Evaluate[chromedp.Void](node(id)+".select()"),
		order(input.InsertText, input.InsertTextParams{Text: text}),
	)
	becomes(p, text, node(id)+".value")
}

// press presses keys one after the other, each with the modifiers.
func (p *tab) press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	var steps []step
	for _, r := range keys {
		events := kb.Encode(r)
		down, up := events[0], events[len(events)-1]
		for _, e := range []*input.DispatchKeyEventParams{down, up} {
			chromedp.KeyModifiers(modifiers...)(e)
		}
		// The character goes with its key, and is typed only if the page lets it:
		// sent as an event of its own, as chromedp.KeyEvent does, it is typed even
		// where the key was taken for a shortcut.
		if down.Modifiers&^int64(chromedp.ModifierShift) == 0 && len(events) == 3 {
			down.Type, down.Text, down.UnmodifiedText = input.DispatchKeyEventTypeKeyDown, events[1].Text, events[1].UnmodifiedText
		}
		steps = append(steps, order(input.DispatchKeyEvent, *down), order(input.DispatchKeyEvent, *up))
	}
	p.do(fmt.Sprintf("press %q", keys), steps...)
}

// send puts JSON into the editor and sends it.
func (p *tab) send(message string) {
	p.t.Helper()
	p.fill("editor", message)
	p.click("send")
}

// row is a line of the list of messages.
type row struct {
	Kind string // message, error or event
	Own  bool
	Body string
}

// rows are the lines of some kinds, oldest first.
func (p *tab) rows(kinds ...string) ([]row, error) {
	list, err := json.Marshal(kinds)
	if err != nil {
		return nil, err
	}
	return eval[[]row](p, `[...`+node("messages")+`.children].reverse().filter((li) => `+string(list)+`.includes(li.dataset.kind)).map((li) => (
		{Kind: li.dataset.kind, Own: "own" in li.dataset, Body: li.querySelector(".body").textContent}))`)
}

// shows waits until the list holds these messages and errors, and nothing else
// but events.
func (p *tab) shows(want ...row) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		got, err := p.rows("message", "error")
		if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			err = fmt.Errorf("the messages are %+v, want %+v", got, want)
		}
		return err
	})
}

func own(body string) row   { return row{"message", true, body} }
func other(body string) row { return row{"message", false, body} }

// entry is a line of the logbook.
type entry struct{ Event, Text string }

// logbook is the page's, oldest first; it is never empty once the page was open.
// What resuming brought is left out: it stands behind each return.
func (p *tab) logbook() ([]entry, error) {
	book, err := p.wholeLogbook()
	return slices.DeleteFunc(book, func(e entry) bool { return e.Event == "resumed" || e.Event == "gap" }), err
}

func (p *tab) wholeLogbook() ([]entry, error) {
	return eval[[]entry](p, `[...`+node("events")+`.children].reverse().map((li) => (
		{Event: li.dataset.event, Text: li.querySelector("div").textContent}))`)
}

// newest waits until the latest entry is of a kind, and its title begins with
// words.
func (p *tab) newest(event, words string) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		book, err := p.logbook()
		if err != nil {
			return err
		}
		if last := book[len(book)-1]; last.Event != event || !strings.HasPrefix(last.Text, words) {
			return fmt.Errorf("the logbook's latest is %+v, want %s: %s", last, event, words)
		}
		return nil
	})
}

// logged waits for an entry of a kind whose title begins with words.
func (p *tab) logged(event, words string) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		book, err := p.wholeLogbook()
		if err == nil && !slices.ContainsFunc(book, func(e entry) bool { return e.Event == event && strings.HasPrefix(e.Text, words) }) {
			err = fmt.Errorf("the logbook is %+v, want %s: %s in it", book, event, words)
		}
		return err
	})
}

// describe is what a failure report needs to know of the page.
func (p *tab) describe() string {
	text, err := eval[string](p, `[location, document.title,
		...[...document.querySelectorAll("#task, #state, #banner, #verdict, #answer, #channel-hint, #chart-text")].map((e) => e.id + ": " + e.textContent),
		"the newest lines of logbook and messages, last first:",
		...[...document.querySelectorAll("#events > :nth-child(-n+10), #messages > :nth-child(-n+10)")].map((li) => li.innerText.replaceAll("\n", " ")),
	].join("\n")`)
	if err != nil {
		return err.Error()
	}
	return text
}
