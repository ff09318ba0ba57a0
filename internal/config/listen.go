package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Listen is where the task takes requests, and what a request may cost before it has become a WebSocket.
type Listen struct {
	// Addr serves clients and health checks: host:port; an empty host is every address. Port 0 takes a free one and
	// logs it.
	Addr string `name:"listen" env:"FAIRLEAD_LISTEN" default:":8080" placeholder:"HOST:PORT" help:"Address for clients and health checks (${default})."`

	// Admin serves /metrics, /status and /debug/pprof/, on loopback only: they carry no authentication, and a profile
	// can be made to burn the CPU. "" turns it off, and `fairlead status` with it. 8079 is next to 8080, hence easy to
	// remember; 9090 and 9100–9999 belong to Prometheus and its exporters, 8081 to half of everything.
	Admin string `name:"admin-listen" env:"FAIRLEAD_ADMIN_LISTEN" default:"127.0.0.1:8079" placeholder:"HOST:PORT" help:"Loopback address for /metrics, /status and /debug/pprof/ (${default}); empty turns it off."`

	// MaxHeaderBytes bounds a request's header; net/http allows 4 KiB on top before it answers 431. Raise it if pages
	// of the same site carry large cookies: a browser sends them with the upgrade. CloudFront passes at most 20 KiB.
	MaxHeaderBytes int `name:"max-header-bytes" env:"FAIRLEAD_MAX_HEADER_BYTES" default:"8192" placeholder:"BYTES" help:"Largest request header (${default})."`

	// HandshakeTimeout is how long a client may take to send its request header. Lower frees descriptors held by slow
	// or hostile clients sooner; higher suits very poor networks (behind a load balancer the header comes whole).
	HandshakeTimeout time.Duration `name:"handshake-timeout" env:"FAIRLEAD_HANDSHAKE_TIMEOUT" default:"10s" placeholder:"TIME" help:"Time for a client to send its request header (${default})."`
}

// Validate reports every fault of the section at once.
func (l *Listen) Validate() error {
	var f Faults
	l.validate(&f)
	return f.err()
}

func (l *Listen) validate(f *Faults) {
	host, port, err := splitAddress(l.Addr)
	if err != nil {
		f.add("--listen", "%v: write host:port, for example :8080 or 127.0.0.1:8080", err)
	}
	l.validateAdmin(f, host, port, err == nil)
	number(f, "--max-header-bytes", l.MaxHeaderBytes, 1<<10, 1<<20,
		"an upgrade alone needs about 500 bytes, a browser's cookies some KiB; a load balancer passes 64 KiB at most")
	number(f, "--handshake-timeout", l.HandshakeTimeout, time.Second, 2*time.Minute,
		"shorter refuses honest clients on slow networks, longer lets a few clients hold every descriptor")
}

func (l *Listen) validateAdmin(f *Faults, host string, port uint16, listenKnown bool) {
	if l.Admin == "" {
		return
	}
	adminHost, adminPort, err := splitAddress(l.Admin)
	if err != nil {
		f.add("--admin-listen", `%v: write host:port, for example 127.0.0.1:8079, or "" for none`, err)
		return
	}
	if !isLoopback(adminHost) {
		f.add("--admin-listen", "%q is not loopback, and metrics, status and profiles are served without authentication: use 127.0.0.1, [::1] or localhost (from elsewhere, through a tunnel or a sidecar)",
			adminHost)
		return
	}
	if listenKnown && port != 0 && port == adminPort && overlaps(host, adminHost) {
		f.add("--admin-listen", "port %d is already that of --listen %s: choose another", port, l.Addr)
	}
}

// splitAddress reads host:port with a numeric port.
func splitAddress(address string) (host string, port uint16, err error) {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		if inner, ok := errors.AsType[*net.AddrError](err); ok {
			return "", 0, fmt.Errorf("%q: %s", address, inner.Err)
		}
		return "", 0, err
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q: the port must be a number from 0 to 65535", address)
	}
	return host, uint16(n), nil
}

// isLoopback takes addresses and the one name RFC 6761 §6.3 reserves for loopback. Other names are not looked up: an
// answer of today says nothing about tomorrow.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// overlaps says whether the listener on host also takes the port on the loopback address admin.
func overlaps(host, admin string) bool {
	if host == "" || host == admin {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}
