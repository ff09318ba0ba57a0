//go:build integration

package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"fairlead/test/fairleadtest"
)

func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	server := fairleadtest.Start(t)
	p := blank(t)
	p.keepTo(server.URL(""))
	var policy string
	p.do("open the console", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		answer, err := chromedp.RunResponse(ctx, chromedp.Navigate(server.URL("/")))
		if err != nil {
			return err
		}
		for name, value := range answer.Headers {
			if strings.EqualFold(name, "Content-Security-Policy") {
				policy = fmt.Sprint(value)
			}
		}
		return nil
	}))
	p.state("open") // the page works under it

	directives := map[string]string{}
	for d := range strings.SplitSeq(policy, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), " ")
		directives[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
		"frame-ancestors": "'none'", "require-trusted-types-for": "'script'",
	} {
		if directives[name] != want {
			t.Errorf("the policy's %s is %q, want %s; the whole: %s", name, directives[name], want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy leaves a door open: %s", policy)
	}
}

func TestThePolicyKeepsItsPromises(t *testing.T) {
	asked := make(chan string, 10)
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.String() })
	server := fairleadtest.Start(t)
	p := console(t, server, "policy")
	p.expect(".*") // each of these is a fault

	for name, script := range map[string]string{
		"a request to elsewhere": `fetch("` + elsewhere + `/fetch").then(() => "done", () => "refused")`,
		"an image from elsewhere": `new Promise((done) => Object.assign(new Image(),
			{onload: () => done("done"), onerror: () => done("refused"), src: "` + elsewhere + `/image"}))`,
		"a script from elsewhere": `import("` + elsewhere + `/script").then(() => "done", () => "refused")`,
		"a socket to elsewhere":   `new Promise((done) => { new WebSocket("` + strings.Replace(elsewhere, "http", "ws", 1) + `/socket").onerror = () => done("refused") })`,
		"markup from text":        `(() => { try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); return "done" } catch { return "refused" } })()`,
		"code from text":          `(() => { try { eval("1"); return "done" } catch { return "refused" } })()`,
		"style in the markup":     `(document.body.setAttribute("style", "opacity: 0"), document.body.style.opacity === "0" ? "done" : "refused")`,
	} {
		got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise, underPolicy))
		if err != nil || got != "refused" {
			t.Errorf("%s was %s, %v; want it refused", name, got, err)
		}
	}
	select {
	case path := <-asked:
		t.Errorf("%s reached the other origin", path)
	default:
	}
}

// underPolicy takes away the exception that the protocol makes for itself.
func underPolicy(e *runtime.EvaluateParams) { e.AllowUnsafeEvalBlockedByCSP = new(bool) }

// The other tests trust the watch's silence.
func TestTheWatchSeesEveryFault(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})
	faulty := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "img-src 'none'")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="/icon"><body><script>
			console.error("said aloud", 7);
			document.body.append(Object.assign(new Image(), {src: "/image"}));
			Promise.reject(new Error("nobody cares"));
			fetch(%q).then(() => { document.title = "done" });
			throw new Error("thrown");
		</script>`, elsewhere)
	})
	p := blank(t)
	p.keepTo(faulty)
	p.do("open a faulty page", chromedp.Navigate(faulty))
	becomes(p, "done", "document.title")
	faults := p.faultsSoFar()
	for _, want := range []string{
		`console.error: "said aloud"`, "content security policy broken: img-src", "Error: nobody cares", "Error: thrown",
		"request to another origin than " + hostOf(faulty) + ": " + elsewhere,
	} {
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("no fault %s among:\n%s", want, strings.Join(faults, "\n"))
		}
	}
	p.expect(".*")
}

func TestAPageFromElsewhereCannotConnect(t *testing.T) {
	// Each server must know the other's address: the page is told its endpoint in
	// the query.
	page := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>asking</title><script>
			const socket = new WebSocket(decodeURIComponent(location.search.slice(1)));
			socket.onmessage = (e) => { document.title = "heard " + e.data; };
			socket.onclose = (e) => { document.title = "closed with " + e.code; };
		</script>`)
	}
	stranger, friend := serve(t, page), serve(t, page)
	server := fairleadtest.Start(t, "--allowed-origin", friend)

	p := blank(t)
	p.expect(`WebSocket connection to '.*' failed: .* 403`)
	p.do("open the stranger's page", chromedp.Navigate(stranger+"/?"+server.WebSocket("")))
	becomes(p, "closed with 1006", "document.title")
	if got := p.answersSoFar(); !slices.Equal(got, []string{"Error during WebSocket handshake: Unexpected response code: 403"}) {
		t.Errorf("the upgrade was answered with %q, want 403 once", got)
	}
	if status := server.Status(); status.Connections != 0 {
		t.Errorf("the server counts %d connections", status.Connections)
	}

	// The same page from an origin that is allowed: it is the origin that decides.
	q := blank(t)
	q.do("open the friend's page", chromedp.Navigate(friend+"/?"+server.WebSocket("")))
	becomes(q, `heard {"connection":"ok"}`, "document.title")
	if got := q.answersSoFar(); !slices.Equal(got, []string{"101"}) {
		t.Errorf("the upgrade was answered with %q, want 101 once", got)
	}
}

// serve runs an HTTP server of the test's own, and returns its origin.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}
