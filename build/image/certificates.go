package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// certificates returns Mozilla's root certificates as PEM, from the version of
// the bundle in go.mod. Not the building machine's own store: that differs from
// day to day, and may hold authorities that only this machine should trust.
func certificates() ([]byte, error) {
	var b bytes.Buffer
	n := 0
	for root := range bundle.Roots() {
		// A root with a constraint is trusted in part only, which a PEM file
		// cannot say: leave it out.
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, fmt.Errorf("encoding a root certificate: %w", err)
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("the bundle of root certificates is empty")
	}
	return b.Bytes(), nil
}
