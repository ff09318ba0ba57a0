package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"fairlead/internal/config"
	"fairlead/internal/hub"
	"fairlead/internal/valkey"
)

// openBroker makes the broker that the settings name. With the memory broker,
// remote is nil.
func (s *server) openBroker() (broker hub.Broker, remote *valkey.Broker, err error) {
	o := &s.settings
	if o.Broker.Memory() {
		return new(hub.Memory), nil, nil
	}
	address, err := o.Broker.Address()
	if err != nil {
		return nil, nil, err
	}
	options := valkey.Options{
		Hosts:    address.Hosts,
		User:     address.User,
		Password: address.Password,
		DB:       address.DB,
		Cluster:  map[string]valkey.ClusterMode{"yes": valkey.ClusterYes, "no": valkey.ClusterNo}[address.Cluster],
		Prefix:   o.Broker.Prefix,
		History:  valkey.History{Messages: o.History.Messages, Bytes: o.History.Bytes, Age: o.History.Age},
		Log:      s.log,
	}
	if address.TLSInsecure {
		s.log.Warn("tls-insecure: whoever answers at the broker's address is believed")
	}
	if address.TLS {
		if options.TLS, err = brokerTLS(address); err != nil {
			return nil, nil, usageError{err}
		}
	}
	remote, err = valkey.New(options)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--broker: %w", err)}
	}
	return remote, remote, nil
}

func brokerTLS(a config.BrokerAddress) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: a.TLSInsecure}
	if a.TLSCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(a.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("--broker: tls-ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--broker: tls-ca: %s holds no certificate in PEM", a.TLSCA)
	}
	return c, nil
}
