// Package console is the page a person meets at /: connect, send JSON, watch messages, see what a drain did.
// It also serves fairlead.js, the client that the page itself uses, for others to take.
//
// Everything it needs is embedded, there is no build step, and nothing is fetched from elsewhere, so the page works in a
// private subnet and its Content-Security-Policy can forbid everything that is not this server.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
)

//go:embed index.html *.css *.js *.ts *.svg
var files embed.FS

// Meta is what the page tells about the task that served it. Both may be empty; the page then says "unknown".
type Meta struct {
	Task    string // id of the task, as the logs name it
	Version string // version of the binary
}

// TaskPath answers {"task":…,"version":…}, never cached: the page asks it after every (re)connect.
const TaskPath = "/console/task.json"

// contentTypes is spelled out because mime.TypeByExtension reads the machine's tables, and a scratch image has none.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	// TypeScript has no registered type; this is the one that its tools agree on. What ".ts" is registered for is video.
	".ts": "application/typescript; charset=utf-8",
}

// asset is one embedded file, ready to be served. It is compressed once at the start: the commented source is what people
// read in the browser's inspector, and should not cost them a slower page.
type asset struct {
	body        []byte
	gzipped     []byte
	contentType string
	etag        string // of body; the compressed form is another representation and gets gzipETag
	gzipETag    string
}

// Handler serves the page at / and /index.html, its assets under /console/ and TaskPath. Other paths are 404, methods other
// than GET and HEAD 405. Whether the task is ready to show a page is the caller's question.
func Handler(meta Meta) http.Handler {
	task, err := json.Marshal(struct {
		Task    string `json:"task"`
		Version string `json:"version"`
	}{meta.Task, meta.Version})
	if err != nil {
		panic(fmt.Sprintf("console: encoding two strings: %v", err)) // cannot happen
	}
	return &handler{assets: loadAssets(), task: task}
}

type handler struct {
	assets map[string]asset // by URL path
	task   []byte
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header(), r.Host)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The console answers GET and HEAD only.", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == TaskPath {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.task))
		return
	}
	a, ok := h.assets[r.URL.Path]
	if !ok {
		http.Error(w, "No such page. The console is at /", http.StatusNotFound)
		return
	}
	// no-cache with a content hash rather than hashed file names: those need a build step, and during a rolling deploy the
	// task which serves the page may not have the names the next task's page asks for.
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Vary", "Accept-Encoding")
	body, etag := a.body, a.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		body, etag = a.gzipped, a.gzipETag
	}
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as browsers use it: gzip named, and not with weight 0.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, _ := strings.Cut(weight, "=")
			return strings.Trim(q, " 0.") != "" || q == ""
		}
	}
	return false
}

// loadAssets reads the embedded files once. It panics on a file type without a content type, which a test would meet first.
func loadAssets() map[string]asset {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(fmt.Sprintf("console: listing embedded files: %v", err))
	}
	assets := make(map[string]asset, len(entries)+1)
	for _, e := range entries {
		body, err := files.ReadFile(e.Name())
		if err != nil {
			panic(fmt.Sprintf("console: reading embedded %s: %v", e.Name(), err))
		}
		ct, ok := contentTypes[path.Ext(e.Name())]
		if !ok {
			panic(fmt.Sprintf("console: no content type for %s", e.Name()))
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:12])
		a := asset{body: body, gzipped: compress(body), contentType: ct, etag: `"` + hash + `"`, gzipETag: `"` + hash + `-gzip"`}
		if e.Name() == "index.html" {
			assets["/"], assets["/index.html"] = a, a
			continue
		}
		assets["/console/"+e.Name()] = a
	}
	return assets
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(body)
	if err := errors.Join(err, z.Close()); err != nil {
		panic(fmt.Sprintf("console: compressing into memory: %v", err)) // cannot happen
	}
	return b.Bytes()
}

// plainHost is a host name or IPv4 address with an optional port: what a CSP host-source can express. The Host header is the
// client's to choose, so anything else, a ';' above all, must never reach a header of ours.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})(:[0-9]{1,5})?$`)

// ContentSecurityPolicy is the page's policy for the given Host header.
//
// CSP level 3 lets connect-src 'self' cover ws: and wss: of the same host, but Safari before 15.4 and Chromium before 2017
// compare schemes literally, so the host is named as well when it is a plain one. Behind an edge that rewrites Host the
// name is of no use, and of no harm: 'self' is the page's own origin as the browser sees it.
func ContentSecurityPolicy(host string) string {
	connect := "'self'"
	if plainHost.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func setSecurityHeaders(h http.Header, host string) {
	h.Set("Content-Security-Policy", ContentSecurityPolicy(host))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "+
		"magnetometer=(), microphone=(), midi=(), payment=(), usb=()")
}
