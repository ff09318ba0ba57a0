package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestBrokerAddresses(t *testing.T) {
	for in, want := range map[string]BrokerAddress{
		"redis://localhost:6379":                   {Hosts: []string{"localhost:6379"}, Cluster: "auto"},
		"valkey://cache":                           {Hosts: []string{"cache:6379"}, Cluster: "auto"},
		"redis://[::1]":                            {Hosts: []string{"[::1]:6379"}, Cluster: "auto"},
		"rediss://u:p%40s@a:1,b:2/3":               {Hosts: []string{"a:1", "b:2"}, User: "u", Password: "p@s", DB: 3, Cluster: "auto", TLS: true},
		"redis://:p@ss@a:1":                        {Hosts: []string{"a:1"}, Password: "p@ss", Cluster: "auto"},
		"valkeys://a:1?cluster=yes&tls-ca=/ca.pem": {Hosts: []string{"a:1"}, Cluster: "yes", TLS: true, TLSCA: "/ca.pem"},
		"valkeys://a:1/?cluster=no&tls-insecure":   {Hosts: []string{"a:1"}, Cluster: "no", TLS: true, TLSInsecure: true},
	} {
		b := Broker{URL: in, Prefix: "p:"}
		got, err := b.Address()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
		if err := b.Validate(); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestBrokerFaultsAreAllToldAndKeepSecrets(t *testing.T) {
	for in, want := range map[string][]string{
		"postgres://secret@x":     {`"postgres"`},
		"reddis":                  {"neither memory nor a URL"},
		"redis://":                {"host is missing"},
		"redis://u:secret@a:port": {"port must be a number"},
		"redis://u:secret%zz@a:1/x?tls-ca=f&foo=1": {"%25", `database "x"`, `"foo"`, "need TLS"},
		"redis://a:1/2?cluster=yes":                {"database 0 only"},
		"redis://a:1?cluster=maybe":                {"cluster=maybe"},
	} {
		b := Broker{URL: in, Prefix: "p:"}
		err := b.Validate()
		if err == nil {
			t.Errorf("%s was taken", in)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want %s in it", in, err, part)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the message tells the password: %v", in, err)
		}
	}
	if (&Broker{URL: "memory", Prefix: "a{b}"}).Validate() == nil {
		t.Error("a prefix with braces was taken")
	}
}

func FuzzBrokerAddress(f *testing.F) {
	for _, s := range []string{"redis://u:p@h:1,i:2/3?cluster=yes", "valkeys://[::1]:1?tls-ca=x", "redis://", "rediss://a@b@c:1", "redis://h?%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := Broker{URL: s, Prefix: "p:"}
		a, err := b.Address()
		if err == nil && len(a.Hosts) == 0 {
			t.Fatalf("%q: no host and no fault", s)
		}
	})
}
