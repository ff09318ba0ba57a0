//go:build integration

package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"

	"fairlead/test/fairleadtest"
)

func TestTheListStaysShortUnderABurst(t *testing.T) {
	const burst, bound = 2000, 500
	server := fairleadtest.Start(t, "--message-rate", "0")
	p := console(t, server, "burst")
	p.do("watch the list's length", chromedp.Evaluate[chromedp.Void](
		`globalThis.longest = 0; new MutationObserver(() => { longest = Math.max(longest, `+node("messages")+`.childElementCount) })
			.observe(`+node("messages")+`, {childList: true})`))

	publish(t, server.WebSocket("?channel=burst"), burst)

	becomes(p, "2,000", `document.querySelector("#message-count").textContent`)
	becomes(p, bound, node("messages")+".childElementCount")
	rows, err := p.rows("message")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != bound {
		t.Fatalf("the list holds %d messages, want the last %d", len(rows), bound)
	}
	for i, r := range rows {
		if want := fmt.Sprintf(`{"n":%d}`, burst-bound+i); r.Body != want {
			t.Fatalf("row %d is %s, want %s", i, r.Body, want)
		}
	}
	if longest := get[int](p, "longest"); longest > bound {
		t.Errorf("the list grew to %d rows, want never more than %d", longest, bound)
	}
	p.says("chart-text", "2,000 messages in")

	// And the page is as usable as before.
	p.fill("filter", `"n":1999`)
	becomes(p, 1, `[...`+node("messages")+`.children].filter((li) => li.checkVisibility()).length`)
	p.fill("filter", "")
	p.send(`"still here"`)
	becomes(p, `"still here"`, node("messages")+`.querySelector("[data-own] .body")?.textContent ?? ""`)
	p.state("open")
	p.click("clear")
	becomes(p, 0, node("messages")+".childElementCount")
}

// publish sends n numbered messages, and returns when all have come back.
func publish(t *testing.T, url string, n int) {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	returned := make(chan error, 1)
	go func() {
		for i := -1; i < n; { // the greeting comes first
			_, message, err := c.ReadMessage()
			if err != nil {
				returned <- fmt.Errorf("read after %d messages: %w", i, err)
				return
			}
			i++
			if strings.Contains(string(message), `"error"`) {
				returned <- fmt.Errorf("the server answered %s", message)
				return
			}
		}
		returned <- nil
	}()
	for i := range n {
		if err := c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
}
