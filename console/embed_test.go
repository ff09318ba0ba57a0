package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler(Meta{Task: `a"task`, Version: "1.2.3"}).ServeHTTP(w, r)
	return w
}

func embedded(t *testing.T) map[string]string {
	t.Helper()
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		b, err := files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func TestEveryFileIsServedWithItsTypeAndHeaders(t *testing.T) {
	types := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".ts": "application/typescript; charset=utf-8"}
	targets := map[string]string{"/": "index.html"}
	for name := range embedded(t) {
		if name == "index.html" {
			targets["/index.html"] = name
			continue
		}
		targets["/console/"+name] = name
	}
	for target, name := range targets {
		t.Run(target, func(t *testing.T) {
			w := get(t, "GET", target)
			want := map[string]string{
				"Content-Type":                 types[path.Ext(name)],
				"Cache-Control":                "no-cache",
				"Content-Encoding":             "",
				"Vary":                         "Accept-Encoding",
				"X-Content-Type-Options":       "nosniff",
				"Referrer-Policy":              "no-referrer",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
			}
			for k, v := range want {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if w.Code != http.StatusOK || w.Body.String() != embedded(t)[name] {
				t.Errorf("status %d with %d bytes, want 200 and the embedded file", w.Code, w.Body.Len())
			}
			if !strings.Contains(w.Header().Get("Permissions-Policy"), "camera=()") {
				t.Error("Permissions-Policy leaves the camera open")
			}
		})
	}
}

func TestOtherMethodsAndPathsAreRefusedWithTheSameProtection(t *testing.T) {
	cases := []struct {
		method, target string
		status         int
	}{
		{"POST", "/", 405},
		{"DELETE", TaskPath, 405},
		{"GET", "/console/", 404},
		{"GET", "/console/index.html", 404},
		{"GET", "/console/embed.go", 404},
		{"GET", "/console/../embed.go", 404},
		{"GET", "/wss", 404},
	}
	for _, c := range cases {
		w := get(t, c.method, c.target)
		if w.Code != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, w.Code, c.status)
		}
		if c.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", c.method, c.target, w.Header().Get("Allow"))
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: no policy on an error page", c.method, c.target)
		}
	}
}

func TestAKnownETagIsAnsweredWith304AndNoBody(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		first := get(t, "GET", "/console/console.js", "Accept-Encoding", encoding)
		etag := first.Header().Get("ETag")
		if !regexp.MustCompile(`^"[0-9a-f]{24}(-gzip)?"$`).MatchString(etag) {
			t.Fatalf("%s: ETag %q is no strong content hash", encoding, etag)
		}
		again := get(t, "GET", "/console/console.js", "Accept-Encoding", encoding, "If-None-Match", etag)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s: status %d with %d bytes, want 304 and none", encoding, again.Code, again.Body.Len())
		}
		other := get(t, "GET", "/console/console.css", "Accept-Encoding", encoding, "If-None-Match", etag)
		if other.Code != http.StatusOK {
			t.Errorf("%s: another file's ETag gave %d", encoding, other.Code)
		}
	}
}

func TestGzipIsSentToThoseWhoAskAndIsTheSameFile(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "gzip;q=1": true, "deflate , gzip": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "gzipped": false,
	} {
		w := get(t, "GET", "/", "Accept-Encoding", header)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %t, want %t", header, got, want)
			continue
		}
		body := io.Reader(w.Body)
		if want {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil || string(b) != embedded(t)["index.html"] {
			t.Errorf("Accept-Encoding %q: %d bytes (%v), want the page", header, len(b), err)
		}
	}
}

func TestHEADTellsWhatGETWould(t *testing.T) {
	for _, target := range []string{"/", "/console/console.css", TaskPath} {
		g, h := get(t, "GET", target), get(t, "HEAD", target)
		if h.Code != g.Code || h.Body.Len() != 0 || h.Header().Get("Content-Length") != g.Header().Get("Content-Length") || h.Header().Get("ETag") != g.Header().Get("ETag") {
			t.Errorf("HEAD %s: %d %v with %d bytes; GET has %d %v", target, h.Code, h.Header(), h.Body.Len(), g.Code, g.Header())
		}
	}
}

func TestTaskJSONSaysWhoAnsweredAndIsNeverCached(t *testing.T) {
	w := get(t, "GET", TaskPath)
	if got, want := w.Body.String(), `{"task":"a\"task","version":"1.2.3"}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("ETag") != "" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestThePolicyNamesAPlainHostAndNothingElseFromTheHostHeader(t *testing.T) {
	const always = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
	const rest = "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	for host, extra := range map[string]string{
		"localhost:8080":                "localhost:8080",
		"chat.example.com":              "chat.example.com",
		"10.0.0.7:80":                   "10.0.0.7:80",
		"":                              "",
		"[::1]:8080":                    "", // CSP has no IPv6 literals; 'self' does
		"a.example; script-src *":       "",
		"a.example script-src":          "",
		"*":                             "",
		"a.example:99999999":            "",
		"a.example,b.example":           "",
		"a.example\r\nX-Injected: yes":  "",
		strings.Repeat("a", 300):        "",
		"a.example:8080/path'unsafe-x'": "",
	} {
		want := always
		if extra != "" {
			want += " ws://" + extra + " wss://" + extra
		}
		if got := ContentSecurityPolicy(host); got != want+rest {
			t.Errorf("host %q:\n got %s\nwant %s", host, got, want+rest)
		}
	}
}

func TestThePageHasNothingThatThePolicyForbids(t *testing.T) {
	html := embedded(t)["index.html"]
	for what, pattern := range map[string]string{
		"an inline script":   `(?i)<script[^>]*>[^<]`,
		"a style element":    `(?i)<style`,
		"a style attribute":  `(?i)<[^>]+\sstyle\s*=`,
		"an event attribute": `(?i)<[^>]+\son[a-z]+\s*=`,
		"a javascript: link": `(?i)javascript:`,
		"a form's action":    `(?i)<form[^>]+\saction\s*=`,
	} {
		if m := regexp.MustCompile(pattern).FindString(html); m != "" {
			t.Errorf("index.html has %s: %.80q", what, m)
		}
	}
	for _, tag := range regexp.MustCompile(`(?i)<script[^>]*>`).FindAllString(html, -1) {
		if !strings.Contains(tag, ` src="/console/`) {
			t.Errorf("a script that is not ours: %s", tag)
		}
	}
	for name, text := range embedded(t) {
		if path.Ext(name) != ".js" {
			continue
		}
		if m := regexp.MustCompile(`\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write`).FindString(text); m != "" {
			t.Errorf("%s uses %s", name, m)
		}
	}
}

func TestNothingIsFetchedFromElsewhere(t *testing.T) {
	// The SVG namespace is a name, not an address.
	absolute := regexp.MustCompile("(?i)(https?:|wss?:|[\"'`(])//[a-z0-9]")
	for name, text := range embedded(t) {
		text = strings.ReplaceAll(text, `xmlns="http://www.w3.org/2000/svg"`, "")
		if m := absolute.FindString(text); m != "" {
			t.Errorf("%s names another host: %q", name, m)
		}
		if path.Ext(name) == ".css" && regexp.MustCompile(`@import|url\(`).MatchString(text) {
			t.Errorf("%s loads something", name)
		}
	}
}

// A module that imports a file which is not embedded fails only in the browser, as a page that does nothing.
func TestEveryReferenceLeadsToAnEmbeddedFile(t *testing.T) {
	all := embedded(t)
	for name, text := range all {
		for _, m := range regexp.MustCompile(`from "\./([^"]+)"|(?:src|href)="/console/([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if ref := m[1] + m[2]; all[ref] == "" {
				t.Errorf("%s refers to %s, which is not embedded", name, ref)
			}
		}
		if path.Ext(name) != ".js" {
			continue
		}
		for _, m := range regexp.MustCompile(`\$\("([^"]+)"\)`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(all["index.html"], ` id="`+m[1]+`"`) {
				t.Errorf("%s looks for #%s, which the page does not have", name, m[1])
			}
		}
	}
}

func TestThePageKeepsItsHooks(t *testing.T) {
	html := embedded(t)["index.html"]
	for _, id := range []string{
		"state", "channel-input", "channel-join", "editor", "send", "send-raw", "quote", "messages", "events",
		"rate-in", "rate-out", "rtt", "reconnects", "task", "theme-toggle", "connect-toggle", "retry-now", "error-banner",
		"mode-toggle", "position", "gaps", "resumed",
	} {
		if n := strings.Count(html, `data-testid="`+id+`"`); n != 1 {
			t.Errorf("data-testid %q occurs %d times, want once", id, n)
		}
	}
}

// What a first visit costs on the wire stays under 60 KiB, so the page opens at once on a phone. The sources are bounded as
// well, or compression would hide growth.
func TestThePageStaysSmall(t *testing.T) {
	const wireLimit, sourceLimit = 60 << 10, 96 << 10
	wire, source := 0, 0
	for p, a := range loadAssets() {
		if p == "/index.html" || path.Ext(p) == ".ts" {
			continue // the same as /; types, which no page asks for
		}
		wire += len(a.gzipped)
		source += len(a.body)
	}
	t.Logf("%d bytes of source, %d on the wire", source, wire)
	if wire > wireLimit || source > sourceLimit {
		t.Errorf("%d bytes on the wire (limit %d), %d of source (limit %d)", wire, wireLimit, source, sourceLimit)
	}
}

// compress is trusted by every test that compares bodies without gzip.
func TestCompressingLosesNothing(t *testing.T) {
	want := bytes.Repeat([]byte("a line through a fairlead "), 1000)
	z, err := gzip.NewReader(bytes.NewReader(compress(want)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes (%v), want %d", len(got), err, len(want))
	}
}
