//go:build integration

package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"fairlead/test/fairleadtest"
)

// focused is the expression for the element that has the focus: its data-testid,
// or else its id or its text.
const focused = `(() => { const e = document.activeElement; return e === document.body ? "" : e.dataset.testid || e.id || e.textContent.trim() })()`

func TestTheTabKeyWalksThePageInReadingOrder(t *testing.T) {
	server := fairleadtest.Start(t)
	p := console(t, server, "keys")
	want := "Skip to the editor, Skip to the messages, theme-toggle, help-open, mode-toggle, channel-input, channel-join, connect-toggle, " +
		"hello, nested, number, not JSON, 8 KiB, editor, send, format, repeat, filter, pretty, pause, clear, messages, events"
	var walked []string
	for range strings.Count(want, ",") + 1 {
		p.press(kb.Tab)
		walked = append(walked, get[string](p, focused))
		if outline := get[string](p, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
			t.Errorf("%s does not show that it has the focus", walked[len(walked)-1])
		}
	}
	if got := strings.Join(walked, ", "); got != want {
		t.Errorf("the focus went to %s\nwant %s", got, want)
	}
	p.press(kb.Tab, chromedp.ModifierShift)
	becomes(p, "messages", focused)
}

func TestTheKeyboardAloneIsEnough(t *testing.T) {
	server := fairleadtest.Start(t)
	p := console(t, server, "keys")

	p.press(kb.Tab)
	p.press(kb.Enter) // skip to the editor
	becomes(p, "editor", focused)
	p.press("a", chromedp.ModifierCtrl)
	p.press(`{"typed":"? d p"}`) // single keys are text here
	becomes(p, `{"typed":"? d p"}`, node("editor")+".value")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.shows(own(`{"typed":"? d p"}`))

	p.press("a", chromedp.ModifierCtrl)
	p.press("not JSON")
	p.press(kb.Enter, chromedp.ModifierCtrl)
	p.says("answer", "Not sent")
	p.press(kb.Enter, chromedp.ModifierCtrl, chromedp.ModifierShift) // as is
	p.says("answer", "invalid_json")
	p.press(kb.ArrowUp, chromedp.ModifierAlt) // what was sent last
	p.press(kb.ArrowUp, chromedp.ModifierAlt) // and before
	becomes(p, `{"typed":"? d p"}`, node("editor")+".value")

	p.press(kb.Escape) // leaves the field; now single keys act
	becomes(p, "", focused)
	p.press("?")
	becomes(p, true, node("help")+".open")
	p.press("d") // not behind the help
	p.press(kb.Escape)
	becomes(p, false, node("help")+".open")
	p.state("open")

	p.press("m")
	becomes(p, "messages", focused)
	p.press(kb.ArrowDown + kb.ArrowDown + kb.ArrowDown) // newest first: the error, the message, the event
	p.press(kb.ArrowUp)
	p.press(kb.Enter)
	becomes(p, "{\n  \"typed\": \"? d p\"\n}", node("messages")+`.querySelector("[data-open] .body")?.textContent ?? ""`)

	p.press("c")
	becomes(p, "channel-input", focused)
	p.press("other" + kb.Enter)
	p.newest("opened", "Open on other")
	p.press(kb.Escape)
	p.press("d")
	p.state("closed")
	p.press("d")
	p.newest("opened", "Open on other")
	p.state("open")
	p.press("p")
	becomes(p, "true", node("pause")+`.getAttribute("aria-pressed")`)
	p.press("p")
	becomes(p, "false", node("pause")+`.getAttribute("aria-pressed")`)
	p.press("/")
	becomes(p, "filter", focused)
	p.press(kb.Escape)
	p.press("x")
	becomes(p, 0, node("messages")+".childElementCount")
	p.press("e")
	becomes(p, "editor", focused)
}

func TestTheHelpKeepsTheFocusAndGivesItBack(t *testing.T) {
	server := fairleadtest.Start(t)
	p := console(t, server, "help")
	p.click("help-open")
	becomes(p, true, node("help")+".open")
	p.says("endpoint", fmt.Sprintf("ws://%s/wss?channel=help", server.Addr))
	for range 6 {
		p.press(kb.Tab)
		if !get[bool](p, `document.activeElement === document.body || `+node("help")+`.contains(document.activeElement)`) {
			t.Errorf("the focus left the open help for %s", get[string](p, focused))
		}
	}
	p.press(kb.Escape)
	becomes(p, "help-open", focused)
}
