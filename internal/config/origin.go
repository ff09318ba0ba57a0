package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// OriginPolicy says which web pages may connect. A browser sends the cookies of the site it connects to whatever page
// asked for the connection, and no CORS check stands in between, so the server must look at Origin itself
// (RFC 6455 §10.2). The zero value admits the server's own pages and clients that are no browsers.
//
// Always admitted:
//
//   - a request without Origin: no browser sends one, and whoever is no browser can write any Origin he likes;
//   - the server's own pages: Origin's host and port equal those of the Host header. The scheme is not compared: behind
//     CloudFront and a load balancer the server is spoken to in http while the page is https, and no header that says
//     so can be trusted everywhere. Host must be the viewer's: forward it at the edge (AllViewer does), or list the
//     site.
//
// Beside them, the patterns:
//
//	pattern    = "*" / "null" / [ scheme "://" ] host [ ":" port ]
//	host       = [ "*." ] name / IPv4 / "[" IPv6 "]"
//	port       = 1*5DIGIT / "*"
//
//	*                       every page of the web: DANGER, the check is off
//	null                    pages without an origin: sandboxed frames, files. Any site can make one: nearly as dangerous
//	https://app.example.com this origin, on port 443
//	https://*.example.com   any subdomain at any depth, as in a Content-Security-Policy; not example.com itself
//	example.com             http or https, each on its default port
//	http://localhost:*      any port
//
// Hosts compare without case, without a trailing dot, and IPv6 by value. Names are ASCII: browsers send punycode.
// Rejected: path.Match-like patterns (https://*example.com also admits https://evilexample.com), regular expressions
// (an unescaped dot admits a neighbour).
type OriginPolicy struct {
	any, null bool
	rules     []originRule
}

// originRule is one pattern with a host.
type originRule struct {
	scheme     string // "": http or https
	host       string // normal form
	subdomains bool   // host's subdomains, not host itself
	port       string // "": the default one of the origin's scheme; "*": any
}

// webOrigin is an origin in normal form.
type webOrigin struct {
	scheme, host string
	port         string // never that of the scheme by default, which is ""
}

// ParseOrigins compiles patterns. The error joins one for each faulty pattern; each quotes it and says what to write.
func ParseOrigins(patterns []string) (OriginPolicy, error) {
	p, errs := parseOrigins(patterns)
	if len(errs) > 0 {
		return OriginPolicy{}, errors.Join(errs...)
	}
	return p, nil
}

func parseOrigins(patterns []string) (p OriginPolicy, errs []error) {
	for _, pattern := range patterns {
		switch pattern = strings.TrimSpace(pattern); pattern {
		case "": // an environment variable set to nothing, a comma at the end: admits nobody, so no fault
		case "*":
			p.any = true
		case "null":
			p.null = true
		default:
			rule, err := parseOriginRule(pattern)
			if err != nil {
				errs = append(errs, fmt.Errorf("%q: %w", pattern, err))
				continue
			}
			p.rules = append(p.rules, rule)
		}
	}
	return p, errs
}

// Any says that the policy admits every page of the web, which is worth a warning at start.
func (p *OriginPolicy) Any() bool { return p.any }

// Allowed says whether a request may be upgraded. origin is every value of its Origin header (http.Header.Values), host
// its Host header. More than one Origin, or one that does not parse, is no browser's doing and is refused.
func (p *OriginPolicy) Allowed(origin []string, host string) bool {
	if len(origin) == 0 || p.any {
		return true
	}
	if len(origin) > 1 {
		return false
	}
	if origin[0] == "null" {
		return p.null
	}
	o, ok := parseWebOrigin(origin[0])
	if !ok {
		return false
	}
	return o.isHost(host) || slices.ContainsFunc(p.rules, func(r originRule) bool { return r.matches(o) })
}

// isHost compares with a Host header, whose missing port is the default one of the unseen scheme.
func (o webOrigin) isHost(header string) bool {
	if !isWebScheme(o.scheme) {
		return false
	}
	host, port, ok := splitHostPort(header)
	if !ok || port == "*" {
		return false
	}
	host, ok = normalHost(host)
	return ok && host == o.host && normalPort(o.scheme, port) == o.port
}

func (r originRule) matches(o webOrigin) bool {
	if r.scheme != o.scheme && (r.scheme != "" || !isWebScheme(o.scheme)) {
		return false
	}
	if r.port != "*" && normalPort(o.scheme, r.port) != o.port {
		return false
	}
	if !r.subdomains {
		return o.host == r.host
	}
	label, found := strings.CutSuffix(o.host, "."+r.host)
	return found && label != ""
}

// parseWebOrigin reads an Origin header: scheme "://" host [":" port] and nothing else (RFC 6454 §7.1). Anything looser
// (user info, path, white space) is refused, not skipped over.
func parseWebOrigin(s string) (webOrigin, bool) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return webOrigin{}, false
	}
	host, port, ok := splitHostPort(rest)
	if !ok || port == "*" {
		return webOrigin{}, false
	}
	host, ok = normalHost(host)
	if !ok {
		return webOrigin{}, false
	}
	scheme = strings.ToLower(scheme)
	return webOrigin{scheme: scheme, host: host, port: normalPort(scheme, port)}, true
}

func parseOriginRule(pattern string) (originRule, error) {
	var r originRule
	scheme, rest, found := strings.Cut(pattern, "://")
	if !found {
		scheme, rest = "", pattern
	} else if !isScheme(scheme) {
		return r, fmt.Errorf("%q is no scheme: write https:// or http://", scheme)
	}
	if i := strings.IndexAny(rest, `/?#\@`); i >= 0 {
		return r, fmt.Errorf("an origin has no %q in it, only scheme, host and port: write for example https://example.com", rest[i])
	}
	if slices.ContainsFunc([]byte(rest), func(c byte) bool { return c >= 0x80 }) {
		return r, errors.New("browsers send international names in their ASCII form: write that, it begins with xn--")
	}
	r.scheme = strings.ToLower(scheme)
	host, port, ok := splitHostPort(rest)
	if !ok {
		return r, errors.New("the port is not a number from 1 to 65535: write one, * for any, or none for the default (IPv6 addresses in brackets)")
	}
	r.port = port
	name, wildcard := strings.CutPrefix(host, "*.")
	if strings.Contains(name, "*") {
		return r, errors.New("a * can only be the whole first label of the host, as in https://*.example.com")
	}
	if r.host, ok = normalHost(name); !ok {
		return r, errors.New("the host is empty or has a character no host name has: write for example https://example.com")
	}
	if wildcard {
		r.subdomains = true
		if _, err := netip.ParseAddr(r.host); err == nil || strings.HasPrefix(r.host, "[") {
			return r, errors.New("an address has no subdomains: write the address alone")
		}
		if !strings.Contains(r.host, ".") && r.host != "localhost" {
			return r, fmt.Errorf("this would admit every site under .%s: name a domain, as in https://*.example.com", r.host)
		}
	}
	return r, nil
}

// splitHostPort splits host[:port]; the port is digits without leading zeros in 1–65535, "*", or "" if there is none.
func splitHostPort(s string) (host, port string, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.HasSuffix(s, "]") { // the last colon is inside of an IPv6 address
		return s, "", true
	}
	host, port = s[:colon], s[colon+1:]
	if port == "*" {
		return host, port, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '0' {
		return "", "", false
	}
	return host, port, true
}

// normalHost lowers a host's case and drops one trailing dot; IPv6 keeps its brackets and is written in its one
// canonical form.
func normalHost(host string) (string, bool) {
	if inner, isV6 := strings.CutPrefix(host, "["); isV6 {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !closed || err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", false
		}
		return "[" + ip.String() + "]", true
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 || host[0] == '.' || strings.Contains(host, "..") {
		return "", false
	}
	for _, c := range []byte(host) {
		// RFC 1123 §2.1, and the underscore that the web has anyway.
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return "", false
		}
	}
	return strings.ToLower(host), true
}

// normalPort drops the port that goes without saying.
func normalPort(scheme, port string) string {
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return ""
	}
	return port
}

func isWebScheme(scheme string) bool { return scheme == "https" || scheme == "http" }

// isScheme follows RFC 3986 §3.1.
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}
