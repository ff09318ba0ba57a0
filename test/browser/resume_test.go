//go:build integration

package browser

import (
	"testing"

	"fairlead/test/fairleadtest"
)

// A tab that was away gets what it missed, and says so.
func TestATabThatWasAwayResumes(t *testing.T) {
	server := fairleadtest.Start(t)
	away := console(t, server, "resume")
	staying := away.sibling()
	staying.visit(server, "resume")
	away.send(`"before"`)
	staying.shows(other(`"before"`))
	away.click("connect-toggle")
	away.newest("disconnected", "Disconnected by you")
	staying.send(`"missed"`)
	staying.shows(other(`"before"`), own(`"missed"`))
	away.click("connect-toggle")
	away.logged("resumed", "Resumed at position ")
	away.shows(own(`"before"`), other(`"missed"`))
	becomes(away, "0", node("gaps")+".textContent")
}
