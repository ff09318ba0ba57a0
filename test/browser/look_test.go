//go:build integration

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"fairlead/test/fairleadtest"
)

func TestDarkAndLightFollowTheSystemUntilChosen(t *testing.T) {
	server := fairleadtest.Start(t)
	p := blank(t)
	p.system("dark")
	p.visit(server, "look")
	p.traffic()
	p.looks("dark")
	p.shot("dark")
	p.system("light")
	p.looks("light")
	p.shot("light")

	p.click("theme-toggle")
	p.says("theme-toggle", "Dark")
	p.looks("dark")
	p.reload()
	p.says("theme-toggle", "Dark")
	p.looks("dark")

	p.click("theme-toggle")
	p.system("dark")
	p.looks("light")
	p.reload()
	p.says("theme-toggle", "Light")
	p.looks("light")

	p.click("theme-toggle")
	p.says("theme-toggle", "System")
	p.looks("dark")
	p.reload()
	p.looks("dark")
	p.system("light")
	p.looks("light")
}

func TestAPhoneNeedsNoScrollingSideways(t *testing.T) {
	server := fairleadtest.Start(t)
	p := blank(t)
	p.do("become a phone", chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait, chromedp.EmulateScale(2)))
	p.system("dark")
	p.visit(server, strings.Repeat("a-rather-long-name.", 6))
	p.narrow("open")
	p.traffic()
	p.narrow("with messages")
	p.shot("phone")

	p.click("pretty")
	p.clickOn(node("messages") + `.querySelector("[data-own]")`)
	p.narrow("with a row opened")
	p.fill("editor", `{'text': hello}`)
	p.narrow("with a fault in the editor")
	p.click("connect-toggle")
	p.state("closed")
	p.narrow("closed")
	p.click("help-open")
	becomes(p, true, node("help")+".open")
	p.narrow("with the help open")
	p.shot("phone-help")
}

// system sets what the operating system prefers.
func (p *tab) system(scheme string) {
	p.t.Helper()
	p.do("prefer "+scheme, order(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}))
}

func (p *tab) reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
	p.state("open")
}

// traffic gives the page something to show.
func (p *tab) traffic() {
	p.t.Helper()
	for i := range 3 {
		p.send(fmt.Sprintf(`{"type":"position","ship":{"name":"Arethusa","at":[54.32,10.1%d]},"under way":true}`, i))
	}
	p.send(fmt.Sprintf(`"%s"`, strings.Repeat("unbreakable", 40)))
	p.fill("editor", "[1, 2")
	p.click("send-raw")
	p.says("answer", "invalid_json")
	p.says("chart-text", "5 messages in")
}

// brightness is that of a colour from 0 to 1, as WCAG 2 defines relative
// luminance; a canvas turns any notation into numbers.
const brightness = `((colour) => {
	const c = new OffscreenCanvas(1, 1).getContext("2d");
	c.fillStyle = colour;
	c.fillRect(0, 0, 1, 1);
	const [r, g, b] = [...c.getImageData(0, 0, 1, 1).data].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
})`

// looks waits until the page is dark or light, and checks that what it says can
// be read: a contrast of 4.5 at least (WCAG 2, 1.4.3).
func (p *tab) looks(scheme string) {
	p.t.Helper()
	becomes(p, scheme == "dark", brightness+`(getComputedStyle(document.documentElement).backgroundColor) < 0.2`)
	faint := get[[]string](p, `(() => {
		const brightness = `+brightness+`;
		const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$/.test(c)) return c } return "white" };
		return [...document.querySelectorAll("body *")]
			.filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !e.matches(".sr, .skip, script, template *"))
			.map((e) => {
				const [a, b] = [brightness(getComputedStyle(e).color), brightness(behind(e))].sort((x, y) => y - x);
				return [e, (a + 0.05) / (b + 0.05)];
			})
			.filter(([, contrast]) => contrast < 4.5)
			.map(([e, contrast]) => e.tagName + " " + e.className + " “" + e.textContent.trim().slice(0, 30) + "” " + contrast.toFixed(2));
	})()`)
	if len(faint) > 0 {
		p.t.Errorf("%s: hard to read:\n%s", scheme, strings.Join(faint, "\n"))
	}
}

// narrow checks that nothing reaches beyond the window's right edge, except in
// boxes that hide or scroll what is too wide.
func (p *tab) narrow(when string) {
	p.t.Helper()
	if width := get[int](p, "document.documentElement.scrollWidth"); width > 360 {
		p.t.Errorf("%s: the page is %d pixels wide, want 360", when, width)
	}
	wide := get[[]string](p, `(() => {
		const clipped = (e) => { for (e = e.parentElement; e && e !== document.body; e = e.parentElement) if (getComputedStyle(e).overflowX !== "visible") return true; return false };
		return [...document.querySelectorAll("body *")]
			.filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5 && !clipped(e))
			.map((e) => e.tagName + " " + e.className + " to " + e.getBoundingClientRect().right);
	})()`)
	if len(wide) > 0 {
		p.t.Errorf("%s: too wide:\n%s", when, strings.Join(wide, "\n"))
	}
}

// shot saves a picture of the window for the eye, if FAIRLEAD_SHOTS names a
// folder.
func (p *tab) shot(name string) {
	p.t.Helper()
	folder := os.Getenv("FAIRLEAD_SHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatalf("take a picture: %v", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
