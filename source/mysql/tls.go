package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// security says how a connection is protected.
type security struct {
	mode  tlsMode
	roots *x509.CertPool // nil: those of this machine
	own   []tls.Certificate
}

type tlsMode string

const (
	tlsDisabled   tlsMode = "disabled"
	tlsPreferred  tlsMode = "preferred"   // if the server takes it; nobody is asked for a certificate
	tlsRequired   tlsMode = "required"    // against listeners, not against somebody in between
	tlsVerifyCA   tlsMode = "verify-ca"   // the certificate is signed by an authority of ours
	tlsVerifyFull tlsMode = "verify-full" // and is for the host of the URL
)

func readSecurity(settings map[string]string) (s security, err error) {
	s.mode = tlsMode(settings["tls"])
	switch s.mode {
	case "":
		s.mode = tlsPreferred
	case tlsDisabled, tlsPreferred, tlsRequired, tlsVerifyCA, tlsVerifyFull:
	default:
		return s, fmt.Errorf("tls=%s is not known, want %s, %s, %s, %s or %s", s.mode, tlsVerifyFull, tlsVerifyCA, tlsRequired, tlsPreferred, tlsDisabled)
	}
	if path := settings["ssl-ca"]; path != "" {
		if s.mode != tlsVerifyCA && s.mode != tlsVerifyFull {
			return s, fmt.Errorf("ssl-ca is of no use without tls=%s or tls=%s", tlsVerifyFull, tlsVerifyCA)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return s, fmt.Errorf("reading ssl-ca: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(text) {
			return s, fmt.Errorf("ssl-ca: there is no certificate in %s", path)
		}
	}
	cert, key := settings["ssl-cert"], settings["ssl-key"]
	switch {
	case cert == "" && key == "":
		return s, nil
	case cert == "" || key == "":
		return s, errors.New("ssl-cert and ssl-key belong together")
	case s.mode == tlsDisabled:
		return s, errors.New("ssl-cert is of no use with tls=disabled")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return s, fmt.Errorf("reading ssl-cert and ssl-key: %w", err)
	}
	s.own = []tls.Certificate{pair}
	return s, nil
}

// config is that of a connection to a host; nil for none.
func (s security) config(address string) *tls.Config {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots, Certificates: s.own, ServerName: host}
	switch s.mode {
	case tlsDisabled:
		return nil
	case tlsVerifyFull:
	case tlsVerifyCA:
		c.InsecureSkipVerify = true // VerifyConnection does all of it but the name
		c.VerifyConnection = func(state tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, cert := range state.PeerCertificates[1:] {
				between.AddCert(cert)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: s.roots, Intermediates: between})
			return err
		}
	default:
		c.InsecureSkipVerify = true // that is what the mode says
	}
	return c
}
