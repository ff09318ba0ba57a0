//go:build integration

package valkey

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/valkey"
)

// authority makes a certificate authority and a certificate for 127.0.0.1, in files as the server wants them.
func authority(t *testing.T) (pool *x509.CertPool, caFile, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(err)
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(caDER)
	must(err)
	pool.AddCert(parsed)
	return pool, write("ca.pem", "CERTIFICATE", caDER), write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", keyDER)
}

func TestTLS(t *testing.T) {
	pool, ca, cert, key := authority(t)
	port := freePort(t)
	start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca,
		"--tls-auth-clients", "no", "--requirepass", "s3cret")
	o := quick(fmt.Sprintf("127.0.0.1:%d", port))
	o.Password = "s3cret"
	o.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	b := open(t, o)
	in := follow(t, b, "lobby")
	mustPublish(t, b, "lobby", "x")
	eventually(t, "the message comes", func() bool { return in.count() == 1 })

	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	distrusts := open(t, o)
	if _, err := publish(t, distrusts, "lobby", "x", ""); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("got %v", err)
	}
	o.TLS = nil
	plain := open(t, o)
	if _, err := publish(t, plain, "lobby", "x", ""); err == nil {
		t.Error("a TLS server took a message without TLS")
	}
}

func TestAUserWithNothingButWhatIsNeeded(t *testing.T) {
	s := start(t)
	s.do(append([]string{"ACL", "SETUSER", "app", "on", ">s3cret", "~fairlead:*", "resetchannels", "&fairlead:*"}, strings.Fields(
		"-@all +hello +ping +auth +client|setname +cluster|slots +get +getex +set +xadd +xtrim +xrange +expire +pexpire +exists +del"+
			" +time +eval +evalsha +publish +spublish +subscribe +unsubscribe +ssubscribe +sunsubscribe")...)...)
	o := quick(s.addr)
	o.User, o.Password = "app", "s3cret"
	b := open(t, o)
	in := follow(t, b, "lobby")
	if _, err := publish(t, b, "lobby", "x", "key"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message comes", func() bool { return in.count() == 1 })
	b.Unsubscribe("lobby")
	follow(t, b, "lobby")
	b.SetLocal(func(string) int { return 1 })
	counted(t, b, 1, 1)
}

// Tokens like IAM's: each works for a while, and for connections made or renewed in that time.
func TestCredentialsAreRenewedBeforeTheyExpire(t *testing.T) {
	s := start(t)
	var asked, failures atomic.Int32
	o := quick(s.addr)
	o.Credentials = func(context.Context) (string, string, time.Time, error) {
		if failures.Load() > 0 {
			failures.Add(-1)
			return "", "", time.Time{}, errTest
		}
		token := fmt.Sprint("token", asked.Add(1))
		s.do("ACL", "SETUSER", "task", "on", "resetpass", ">"+token, "~*", "&*", "+@all")
		return "task", token, time.Now().Add(400 * time.Millisecond), nil
	}
	b := open(t, o)
	in := follow(t, b, "lobby")
	eventually(t, "five tokens were used", func() bool { return asked.Load() >= 5 })
	mustPublish(t, b, "lobby", "1")
	failures.Store(2) // what there is still serves; the connection stays
	eventually(t, "the failures are over", func() bool { return failures.Load() == 0 })
	mustPublish(t, b, "lobby", "2")
	eventually(t, "both came", func() bool { return in.count() == 2 })
	if n := b.Stats().Connects; n != 1 {
		t.Errorf("%d sessions were made, want the first alone", n)
	}
	n := asked.Load()
	s.do("CLIENT", "KILL", "TYPE", "normal")
	s.do("CLIENT", "KILL", "TYPE", "pubsub")
	at := publishes(t, b, "lobby", "3")
	eventually(t, "a new connection works", func() bool { return in.position() == at && in.live() })
	if asked.Load() > n+8 {
		t.Errorf("the hook was asked %d times for one reconnect", asked.Load()-n)
	}
}

func TestCredentialsThatCannotBeHadAreSaidInWords(t *testing.T) {
	s := start(t)
	o := quick(s.addr)
	o.Credentials = func(context.Context) (string, string, time.Time, error) {
		return "task", "s3cret", time.Time{}, errTest
	}
	b := open(t, o)
	if _, err := publish(t, b, "lobby", "x", ""); err == nil || !strings.Contains(err.Error(), "no credentials") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	if b.Stats().Failed[valkey.CauseAuth] != 1 {
		t.Errorf("%+v", b.Stats())
	}
}

func TestSubscribersAreCountedAcrossTasks(t *testing.T) {
	s := start(t)
	first := open(t, quick(s.addr))
	first.SetLocal(func(string) int { return 1 })
	counted(t, first, 1, 1)
	second, third := open(t, quick(s.addr)), open(t, quick(s.addr))
	second.SetLocal(func(channel string) int { return len(channel) })
	counted(t, first, 6, 3) // 1 + len("lobby") + none, since the third has no hub yet
	counted(t, third, 6, 3)
	held := make(chan struct{})
	second.SetLocal(func(string) int { <-held; return 5 })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if n, tasks, complete, err := first.Count(ctx, "lobby"); n != 1 || tasks != 2 || complete || err != nil {
		t.Errorf("with a task that does not answer: %d in %d tasks, complete %v, %v", n, tasks, complete, err)
	}
	close(held)
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	if _, _, complete, err := first.Count(ctx, "lobby"); complete || err == nil {
		t.Errorf("with a server that is stopped: complete %v, %v", complete, err)
	}
}

func TestTheFirstHostThatIsNoReplicaServes(t *testing.T) {
	primary, replica := start(t), start(t)
	host, port, _ := net.SplitHostPort(primary.addr)
	replica.do("REPLICAOF", host, port)
	b := open(t, quick(fmt.Sprintf("127.0.0.1:%d", freePort(t)), replica.addr, primary.addr))
	at := publishes(t, b, "lobby", "x")
	if at.Offset != 1 {
		t.Errorf("got %v", at)
	}
}
