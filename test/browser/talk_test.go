//go:build integration

package browser

import (
	"fmt"
	"strings"
	"testing"

	"fairlead/test/fairleadtest"
)

func TestTwoTabsTalk(t *testing.T) {
	server := fairleadtest.Start(t, "--task-id", "task-of-two-tabs")
	a := console(t, server, "talk")
	b := a.sibling()
	b.visit(server, "talk")

	a.send(`{"text":"ahoy","n":1.0}`)
	a.shows(own(`{"text":"ahoy","n":1.0}`))
	b.shows(other(`{"text":"ahoy","n":1.0}`))

	const answer = `["welcome",12345678901234567890]` // the digits survive
	b.send(`["welcome", 12345678901234567890]`)
	b.shows(other(`{"text":"ahoy","n":1.0}`), own(answer))
	a.shows(own(`{"text":"ahoy","n":1.0}`), other(answer))

	a.says("task", "task-of-two-tabs")
	// The instruments move once a second.
	becomes(a, true, `Number(`+node("rtt")+`.textContent) > 0`)
	a.says("chart-text", "2 messages in")
	a.says("chart-text", "1 out")
	becomes(a, true, node("error-banner")+".hidden")
}

func TestWhatIsNotJSONIsAnsweredToItsSenderAlone(t *testing.T) {
	server := fairleadtest.Start(t)
	a := console(t, server, "errors")
	b := a.sibling()
	b.visit(server, "errors")

	const wrong = `{'text': hello}`
	a.fill("editor", wrong)
	a.says("verdict", "Not JSON. Line 1, column 2")
	a.click("send") // is held back
	a.says("answer", "Not sent")
	a.click("send-raw")
	a.showsError("invalid_json: ")
	a.says("answer", "The server answered invalid_json: ")
	a.state("open")
	becomes(a, "0", node("reconnects")+".textContent")

	// As a JSON text it is a message like any other, and the first that b sees.
	a.click("quote")
	a.click("send")
	const quoted = `"{'text': hello}"`
	b.shows(other(quoted))
	becomes(a, true, node("answer")+".hidden")
	if n := len(a.socketsSoFar()); n != 1 {
		t.Errorf("the page opened %d WebSockets, want the first one to have stayed open", n)
	}
}

func TestChannelsKeepApart(t *testing.T) {
	server := fairleadtest.Start(t)
	a := console(t, server, "port")
	b := a.sibling()
	b.visit(server, "port")

	b.fill("channel-input", "no spaces")
	b.click("channel-join")
	b.says("channel-hint", "Not a channel name")
	b.state("open")

	b.fill("channel-input", "starboard")
	b.click("channel-join")
	b.newest("opened", "Open on starboard")
	becomes(b, "starboard", `new URL(location).searchParams.get("channel")`)

	a.send(`"to port"`)
	a.shows(own(`"to port"`))
	b.send(`"to starboard"`)
	b.shows(own(`"to starboard"`))
	a.shows(own(`"to port"`))

	// Back by the chip of a channel visited before.
	b.clickOn(`[...document.querySelectorAll("#recent button")].find((chip) => chip.textContent === "port")`)
	b.newest("opened", "Open on port")
	a.send(`"to both"`)
	b.shows(own(`"to starboard"`), other(`"to both"`))
	a.shows(own(`"to port"`), own(`"to both"`))
}

// showsError waits until the list holds one error and no message.
func (p *tab) showsError(prefix string) {
	p.t.Helper()
	fairleadtest.Eventually(p.t, func() error {
		got, err := p.rows("message", "error")
		if err == nil && (len(got) != 1 || got[0].Kind != "error" || !strings.HasPrefix(got[0].Body, prefix)) {
			err = fmt.Errorf("the rows are %+v, want one error %s", got, prefix)
		}
		return err
	})
}
