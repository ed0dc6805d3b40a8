package devstack

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// CA returns the file with the certificate of the authority that vouches for the
// server. There is one if the configuration asks for TLS.
func (m *MySQL) CA() string { return m.file(caCertFile) }

// ClientCertificate makes a certificate for a user, which "REQUIRE SUBJECT
// '/CN=<user>'" asks for, and returns its files. They lie in the server's folder.
func (m *MySQL) ClientCertificate(user string) (cert, key string, err error) {
	certPEM, keyPEM, err := clientCertificate(m.CA(), m.file(caKeyFile), user)
	if err != nil {
		return "", "", err
	}
	cert, key = user+".crt", user+".key"
	return m.file(cert), m.file(key), errors.Join(m.write(cert, certPEM), m.write(key, keyPEM))
}

// configureTLS makes an authority and a certificate: the ones that MySQL makes
// for itself name no host.
func (m *MySQL) configureTLS() error {
	made, err := certify(m.flavour.key, m.cfg.TLS)
	if err != nil {
		return err
	}
	return errors.Join(
		m.write(caCertFile, made.ca), m.write(caKeyFile, made.caKey),
		m.write(certFile, made.cert), m.write(keyFile, made.key),
	)
}

// shareTLS gives m the authority and certificate of another server, for a client
// that knows both by one name.
func (m *MySQL) shareTLS(of *MySQL) error {
	for _, name := range []string{caCertFile, caKeyFile, certFile, keyFile} {
		text, err := os.ReadFile(of.file(name))
		if err != nil {
			return fmt.Errorf("reading the certificates of %s: %w", of.name, err)
		}
		if err := m.write(name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

func (m *MySQL) tlsSettings() map[string]string {
	switch {
	case m.cfg.TLS != nil:
		return map[string]string{"ssl_ca": m.CA(), "ssl_cert": m.file(certFile), "ssl_key": m.file(keyFile)}
	case m.flavour.key == flavourMySQL().key:
		return map[string]string{"tls_version": ""} // MariaDB takes none where there is no certificate
	default:
		return nil
	}
}

// TLSConfig is that of a client who checks the server's certificate; nil without TLS.
func (m *MySQL) TLSConfig() (*tls.Config, error) {
	if m.cfg.TLS == nil {
		return nil, nil //nolint:nilnil // none, which is no error
	}
	text, err := os.ReadFile(m.CA())
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, ServerName: m.cfg.TLS[0], MinVersion: tls.VersionTLS12}, nil
}
