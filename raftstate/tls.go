package raftstate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLS names the files with which nodes prove to one another who they are: each
// shows Cert and accepts only what CA has signed. They are read for every
// connection, so that new ones need no restart.
type TLS struct {
	Cert string
	Key  string
	CA   string
}

// server is for who is called. The caller needs a certificate as well.
func (t *TLS) server(conn net.Conn) (net.Conn, error) {
	cfg, err := t.load()
	if err != nil {
		return nil, err
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	return tls.Server(conn, cfg), nil
}

// client is for who calls. The certificate that it is shown must be for the host of the address.
func (t *TLS) client(conn net.Conn, address string) (net.Conn, error) {
	cfg, err := t.load()
	if err != nil {
		return nil, err
	}
	if cfg.ServerName, _, err = net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", address, err)
	}
	return tls.Client(conn, cfg), nil
}

func (t *TLS) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the node's certificate: %w", err)
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the certificate authority %s: %w", t.CA, errors.New("it holds no certificate"))
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS12,
	}, nil
}
