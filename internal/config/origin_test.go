package config

import (
	"net/url"
	"strings"
	"testing"
)

func TestOriginPolicy(t *testing.T) {
	const host = "ws.example.com"
	tests := []struct {
		name     string
		patterns string // comma-separated
		origin   string
		host     string
		allowed  bool
	}{
		{"the server's own page", "", "https://ws.example.com", host, true},
		{"the server's own page over http", "", "http://ws.example.com", host, true},
		{"the own page in another case", "", "https://WS.Example.COM", host, true},
		{"the own page with a trailing dot", "", "https://ws.example.com.", host, true},
		{"a Host with a trailing dot", "", "https://ws.example.com", host + ".", true},
		{"a Host that spells out the default port", "", "https://ws.example.com", host + ":443", true},
		{"a Host with the default port of the other scheme", "", "https://ws.example.com", host + ":80", false},
		{"the own page on its port", "", "http://localhost:8080", "localhost:8080", true},
		{"another port of the own host", "", "http://localhost:3000", "localhost:8080", false},
		{"an own page on IPv6", "", "http://[::1]:8080", "[::1]:8080", true},
		{"an own page on IPv6 written otherwise", "", "http://[0:0:0:0:0:0:0:1]:8080", "[::1]:8080", true},
		{"another IPv6 address", "", "http://[::2]:8080", "[::1]:8080", false},
		{"an IPv6 address without brackets", "", "http://::1", "::1", false},
		{"another site", "", "https://example.org", host, false},
		{"the parent of the own site", "", "https://example.com", host, false},
		{"a non-web scheme on the own host", "", "ftp://ws.example.com", host, false},
		{"no Host", "", "https://ws.example.com", "", false},
		{"an empty Origin and no Host", "", "", "", false},
		{"an empty Origin", "", "", host, false},
		{"the null origin", "", "null", host, false},
		{"the null origin, listed", "null", "null", host, true},
		{"the null origin where everything else is listed", "https://*.example.com", "null", host, false},
		{"a host called null", "null", "https://null", host, false},
		{"anything at all, by *", "*", "https://evil.example", host, true},
		{"the null origin, by *", "*", "null", host, true},

		{"a listed origin", "https://app.example.org", "https://app.example.org", host, true},
		{"a listed origin, the default port spelt out", "https://app.example.org:443", "https://app.example.org", host, true},
		{"a listed origin in upper case", "HTTPS://APP.example.ORG", "https://app.example.org", host, true},
		{"a listed origin with a trailing dot", "https://app.example.org.", "https://app.example.org", host, true},
		{"a listed origin by another scheme", "https://app.example.org", "http://app.example.org", host, false},
		{"a listed origin on another port", "https://app.example.org", "https://app.example.org:8443", host, false},
		{"a listed port", "https://app.example.org:8443", "https://app.example.org:8443", host, true},
		{"any port", "http://localhost:*", "http://localhost:5173", host, true},
		{"any port, the default one", "http://localhost:*", "http://localhost", host, true},
		{"any port of another host", "http://localhost:*", "http://localhost.evil.com:5173", host, false},
		{"a pattern without a scheme, https", "app.example.org", "https://app.example.org", host, true},
		{"a pattern without a scheme, http", "app.example.org", "http://app.example.org", host, true},
		{"a pattern without a scheme, neither", "app.example.org", "ftp://app.example.org", host, false},
		{"an application's own scheme", "capacitor://localhost", "capacitor://localhost", host, true},
		{"a browser extension", "chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop", host, true},
		{"a listed international name", "https://xn--bcher-kva.example.com", "https://xn--bcher-kva.example.com", host, true},
		{"a second pattern", "https://a.example.com,https://b.example.com", "https://b.example.com", host, true},
		{"a pattern with spaces around it", " https://a.example.com ", "https://a.example.com", host, true},
		{"a listed IPv6 address", "http://[2001:db8::1]:8080", "http://[2001:DB8:0:0::1]:8080", host, true},

		{"a subdomain", "https://*.example.com", "https://a.example.com", "other", true},
		{"a subdomain of a subdomain", "https://*.example.com", "https://a.b.example.com", "other", true},
		{"the domain of the wildcard itself", "https://*.example.com", "https://example.com", "other", false},
		{"a subdomain over http", "https://*.example.com", "http://a.example.com", "other", false},
		{"a subdomain on any port", "*.example.com:*", "http://a.example.com:99", "other", true},
		{"subdomains of localhost", "http://*.localhost:3000", "http://app.localhost:3000", "other", true},

		{"the domain as somebody's subdomain", "https://*.example.com", "https://example.com.evil.com", "other", false},
		{"a subdomain as somebody's subdomain", "https://*.example.com", "https://a.example.com.evil.com", "other", false},
		{"a name that ends alike", "https://*.example.com", "https://evilexample.com", "other", false},
		{"an empty label before the domain", "https://*.example.com", "https://.example.com", "other", false},
		{"user information", "https://*.example.com", "https://a.example.com@evil.com", "other", false},
		{"user information of the listed site", "https://*.example.com", "https://evil.com@a.example.com", "other", false},
		{"a path", "https://*.example.com", "https://evil.com/.example.com", "other", false},
		{"a path after the listed site", "https://*.example.com", "https://a.example.com/", "other", false},
		{"a query", "https://*.example.com", "https://evil.com?.example.com", "other", false},
		{"a fragment", "https://*.example.com", "https://evil.com#.example.com", "other", false},
		{"a backslash", "https://*.example.com", `https://evil.com\.example.com`, "other", false},
		{"a line break", "https://*.example.com", "https://evil.com\n.example.com", "other", false},
		{"a null byte", "https://*.example.com", "https://evil.com\x00.example.com", "other", false},
		{"two origins in one header", "https://*.example.com", "https://evil.com https://a.example.com", "other", false},
		{"a wildcard in the Origin", "https://*.example.com", "https://*.example.com", "other", false},
		{"a wildcard port in the Origin", "http://localhost:*", "http://localhost:*", "other", false},
		{"a wildcard port in both headers", "", "http://localhost:*", "localhost:*", false},
		{"no scheme", "https://*.example.com", "a.example.com", "other", false},
		{"no scheme but slashes", "https://*.example.com", "//a.example.com", "other", false},
		{"a letter that lowers to ASCII", "https://kelvin.example.com", "https://\u212Aelvin.example.com", "other", false},
		{"a port with a sign", "http://localhost:80", "http://localhost:+80", "other", false},
		{"a port with a leading zero", "http://localhost:8080", "http://localhost:08080", "other", false},
		{"a port beyond the last", "http://localhost:*", "http://localhost:65536", "other", false},
		{"an empty port", "http://localhost", "http://localhost:", "other", false},
		{"an address with a zone", "http://[fe80::1]", "http://[fe80::1%25eth0]", "other", false},
		{"a bracket left open", "http://[::1]", "http://[::1", "other", false},
		{"an IPv4 address in brackets", "http://[::1]", "http://[127.0.0.1]", "[127.0.0.1]", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var patterns []string
			if test.patterns != "" {
				patterns = strings.Split(test.patterns, ",")
			}
			p, err := ParseOrigins(patterns)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Allowed([]string{test.origin}, test.host); got != test.allowed {
				t.Errorf("origin %q, host %q, patterns %q: allowed is %v", test.origin, test.host, patterns, got)
			}
		})
	}
}

func TestARequestWithoutOriginIsAllowed(t *testing.T) {
	var p OriginPolicy
	if !p.Allowed(nil, "ws.example.com") {
		t.Error("refused")
	}
}

func TestSeveralOriginHeadersAreRefused(t *testing.T) {
	p, err := ParseOrigins([]string{"https://a.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Allowed([]string{"https://a.example.com", "https://a.example.com"}, "a.example.com") {
		t.Error("allowed")
	}
}

func TestAnyTellsThatTheCheckIsOff(t *testing.T) {
	off, _ := ParseOrigins([]string{"https://example.com", "*"})
	on, _ := ParseOrigins([]string{"https://*.example.com"})
	if !off.Any() || on.Any() {
		t.Error("wrong answer")
	}
}

func TestFaultyPatternsAreRefusedWithAdvice(t *testing.T) {
	for pattern, advice := range map[string]string{
		"https://":                 "host is empty",
		"https://:443":             "host is empty",
		"https://example.com/":     "only scheme, host and port",
		"https://example.com/chat": "only scheme, host and port",
		"https://me@example.com":   "only scheme, host and port",
		"https://*":                "can only be the whole first label",
		"https://*example.com":     "can only be the whole first label",
		"https://a.*.example.com":  "can only be the whole first label",
		"https://*.*.example.com":  "can only be the whole first label",
		"*.*":                      "can only be the whole first label",
		"https://*.com":            "every site under .com",
		"https://*.com.":           "every site under .com",
		"https://*.127.0.0.1":      "no subdomains",
		"https://*.[::1]":          "no subdomains",
		"https://bücher.example":   "xn--",
		"https://example.com:0":    "1 to 65535",
		"https://example.com:http": "1 to 65535",
		"https://a..example.com":   "no host name has",
		"https://exa mple.com":     "no host name has",
		"http s://example.com":     "no scheme",
		"://example.com":           "no scheme",
	} {
		_, err := ParseOrigins([]string{pattern})
		if err == nil || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want …%s…", pattern, err, advice)
		}
	}
}

func TestEveryFaultyPatternIsReported(t *testing.T) {
	_, err := ParseOrigins([]string{"https://*.com", "https://ok.example.com", "https://x/"})
	if err == nil || !strings.Contains(err.Error(), "https://*.com") || !strings.Contains(err.Error(), "https://x/") || strings.Contains(err.Error(), "ok.example") {
		t.Errorf("got %v", err)
	}
}

// Whatever is admitted must be so in the eyes of a second parser too: net/url.
func FuzzOriginPolicy(f *testing.F) {
	for _, seed := range [][3]string{
		{"https://*.example.com", "https://a.example.com", "ws.example.com"},
		{"https://*.example.com", "https://example.com.evil.com", "ws.example.com"},
		{"https://*.example.com", "https://evilexample.com", "ws.example.com"},
		{"*.example.com:*", "http://a.example.com:99", ""},
		{"http://[::1]:8080", "http://[0::1]:8080", "[::1]"},
		{"http://localhost:*", "http://localhost:5173", "localhost:8080"},
		{"null", "null", "null"},
		{"*", "https://evil@example.com/", "x"},
		{"example.com.", "https://EXAMPLE.com", "example.com.:443"},
		{"capacitor://localhost", "capacitor://localhost", ""},
		{"https://*.xn--bcher-kva.example", "https://a.bücher.example", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, origin, host string) {
		p, err := ParseOrigins([]string{pattern})
		if err != nil {
			p = OriginPolicy{}
		}
		if !p.Allowed([]string{origin}, host) || p.any || origin == "null" && p.null {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("admitted %q, which is no origin: %+v, %v", origin, u, err)
		}
		name := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }
		site := name(u.Hostname())
		if strings.Contains(site, ":") {
			return // IPv6 compares by value; the table has the cases
		}
		own := &url.URL{Host: host}
		if name(own.Hostname()) == site {
			return
		}
		_, rest, found := strings.Cut(strings.TrimSpace(pattern), "://")
		if !found {
			rest = strings.TrimSpace(pattern)
		}
		listed := name((&url.URL{Host: strings.TrimSuffix(rest, ":*")}).Hostname())
		if parent, wildcard := strings.CutPrefix(listed, "*."); wildcard {
			if !strings.HasSuffix(site, "."+parent) {
				t.Fatalf("%q admitted %q", pattern, origin)
			}
		} else if site != listed {
			t.Fatalf("%q admitted %q for host %q", pattern, origin, host)
		}
	})
}

func BenchmarkOriginPolicy(b *testing.B) {
	p, err := ParseOrigins([]string{"https://app.example.com", "https://*.example.org"})
	if err != nil {
		b.Fatal(err)
	}
	origin := []string{"https://a.example.org"}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Allowed(origin, "ws.example.com") {
			b.Fatal("refused")
		}
	}
}
