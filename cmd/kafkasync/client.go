package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
)

const (
	answerTimeout = 10 * time.Second
	// nextTimeout is after how long another node is asked, if there is one: longer than a node waits for its leader.
	nextTimeout  = 5 * time.Second
	orderTimeout = 35 * time.Second // the node answers an order within 30 s
	maxAnswer    = 64 << 20
)

// client asks over HTTP one of the nodes of a cluster, any of which answers for all.
type client struct {
	http    *http.Client
	scheme  string
	address string   // host:port of the node that is asked
	others  []string // that are asked in its place if it does not answer: see firstOf
	token   string   // for reading
	writes  string   // the token for what changes something
}

// newClient returns a client of the node at http.listen of the file, or, if there are any, of
// those at the addresses, with the same tokens and certificates.
func newClient(cfg config.HTTP, addresses ...string) (*client, error) {
	c := &client{scheme: "http", token: cfg.ReadToken, writes: cfg.Token, address: reachable(cfg.Listen)}
	timeout := answerTimeout
	if len(addresses) > 0 {
		c.address, c.others = addresses[0], addresses[1:]
	}
	if len(c.others) > 0 {
		timeout = nextTimeout
	}
	transport := &http.Transport{ // no proxy: a node is near, and the token is nobody else's
		DialContext: (&net.Dialer{Timeout: timeout}).DialContext,
	}
	if cfg.TLS.Cert != "" {
		c.scheme = "https"
		trust, err := trusting(cfg.TLS.Cert, len(addresses) == 0)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = trust
	}
	c.http = &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // no node redirects; whoever does must not get the token
	}}
	return c, nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	switch {
	case err != nil:
		return listen
	case host == "" || host == "0.0.0.0":
		host = "127.0.0.1"
	case host == "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// trusting accepts the node's own certificate, which no authority of this
// machine may have signed. own: it is also the one that must be presented,
// because the address of the file is rarely the name in the certificate.
func trusting(file string, own bool) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading http.tls.cert: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without authorities
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading http.tls.cert: %s holds no PEM certificate", file)
	}
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if own {
		trust.ServerName, err = nameIn(text)
	}
	return trust, err
}

// get returns the body of a good answer.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	code, body, err := c.send(ctx, http.MethodGet, path, nil)
	switch {
	case err != nil:
		return nil, err
	case code == http.StatusOK:
		return body, nil
	case code == http.StatusUnauthorized:
		return nil, &kafkasync.Fault{
			What: fmt.Sprintf("the node at %s does not accept the read token", c.address),
			Fix:  "set http.read_token in the file to that of the node, and name the file with -c FILE",
		}
	default:
		return nil, c.unexpected(code, path, body)
	}
}

// send returns what a node answers to a path, which is escaped. A body is JSON. A Fault says that it does not answer.
func (c *client) send(ctx context.Context, method, path string, body []byte) (code int, answer []byte, err error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return 0, nil, fmt.Errorf("asking the node at %s: %w", c.address, err)
	}
	target := url.URL{Scheme: c.scheme, Host: c.address, Path: plain, RawPath: path}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("asking the node at %s: %w", c.address, err)
	}
	token, asking := c.token, *c.http
	if method != http.MethodGet {
		token, asking.Timeout = c.writes, orderTimeout
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := asking.Do(req)
	if err != nil {
		return 0, nil, c.silence(err)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, nil, fmt.Errorf("reading the answer of the node at %s: %w", c.address, err)
	}
	return resp.StatusCode, answer, nil
}

func (c *client) unexpected(code int, path string, body []byte) error {
	return fmt.Errorf("asking the node at %s: it answered %d %s to %s: %.200s",
		c.address, code, http.StatusText(code), path, strings.TrimSpace(string(body)))
}

// silence says that no answer came.
func (c *client) silence(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // the rest is the URL, which is said already
	}
	return &kafkasync.Fault{
		What: noAnswer + c.address, Err: err,
		Fix: "start one with 'kafkasync run', or name another with --address HOST:PORT",
	}
}

// nameIn returns the first name that a PEM certificate is for.
func nameIn(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("reading http.tls.cert: it holds no PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading http.tls.cert: %w", err)
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0], nil
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String(), nil
	}
	return "", nil
}
