package raftstate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "ca"},
	})
	return a
}

// sign writes a certificate and its key to files with the name.
func (a *authority) sign(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

// node signs the certificate of a node at an address.
func (a *authority) node(id, address string) *raftstate.TLS {
	a.t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.sign(id, &x509.Certificate{
		IPAddresses: []net.IP{net.ParseIP(host)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return &raftstate.TLS{Cert: filepath.Join(a.dir, id+".pem"), Key: filepath.Join(a.dir, id+".key"), CA: filepath.Join(a.dir, "ca.pem")}
}

func TestNodesProveToOneAnotherWhoTheyAre(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	ours, other := newAuthority(t), newAuthority(t)
	c.adjust = func(cfg *raftstate.Config) { cfg.TLS = ours.node(cfg.ID, cfg.Address) }
	a := c.start("a")
	c.start("b")
	c.adjust = func(cfg *raftstate.Config) { // with the authority of the others, and a certificate of another
		cfg.TLS = other.node(cfg.ID, cfg.Address)
		cfg.TLS.CA = filepath.Join(ours.dir, "ca.pem")
	}
	_, ended, stop := c.launch("c")
	for _, caller := range []*tls.Config{
		{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true},
		{MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true},
	} {
		conn, err := (&tls.Dialer{Config: caller}).DialContext(t.Context(), "tcp", c.address("a"))
		if err == nil { // TLS 1.3 tells a client of its missing certificate later
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Error("got no error without a certificate")
		}
	}
	eventually(t, "the first to wait for the third", func() bool { return a.Ready() != nil && a.Status().Role == "starting" })
	stop()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
	delete(c.nodes, "c")

	c.adjust = func(cfg *raftstate.Config) { cfg.TLS = ours.node(cfg.ID, cfg.Address) }
	c.start("c")
	c.awaitVoters("a", "b", "c")
	receive(t, c.compete("shop"))
}
