package devstack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// certificates are a server's, as PEM.
type certificates struct {
	ca, caKey string // of the authority
	cert, key string
}

// certify makes an authority and a server's certificate for the names of hosts.
func certify(name string, hosts []string) (c certificates, err error) {
	authority, err := newAuthority()
	if err != nil {
		return c, fmt.Errorf("making the certificates: %w", err)
	}
	c.ca = authority.pem()
	if c.caKey, err = keyToPEM(authority.key); err != nil {
		return c, fmt.Errorf("making the certificates: %w", err)
	}
	if c.cert, c.key, err = authority.issue(name, hosts, x509.ExtKeyUsageServerAuth); err != nil {
		return c, fmt.Errorf("making the certificates: %w", err)
	}
	return c, nil
}

// clientCertificate makes a client's certificate with the authority in two files.
func clientCertificate(caFile, caKeyFile, name string) (certPEM, keyPEM string, err error) {
	authority, err := readAuthority(caFile, caKeyFile)
	if err == nil {
		certPEM, keyPEM, err = authority.issue(name, nil, x509.ExtKeyUsageClientAuth)
	}
	if err != nil {
		return "", "", fmt.Errorf("making a certificate for %s: %w", name, err)
	}
	return certPEM, keyPEM, nil
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := certificate("devstack authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	return &authority{cert, key}, nil
}

func readAuthority(certFile, keyFile string) (*authority, error) {
	certDER, err := readPEM(certFile)
	if err != nil {
		return nil, err
	}
	keyDER, err := readPEM(keyFile)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's key: %w", err)
	}
	return &authority{cert, key}, nil
}

func readPEM(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading %s: it is not PEM", path)
	}
	return block.Bytes, nil
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue makes a certificate with its key, for a server under the names of hosts, or for a client.
func (a *authority) issue(name string, hosts []string, usage x509.ExtKeyUsage) (certPEM, keyPEM string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	template := certificate(name)
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{usage}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return "", "", fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	keyPEM, err = keyToPEM(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), keyPEM, err
}

// certificate is what all certificates have in common. They are good for long, and since
// yesterday: a server in a given folder comes back, and clocks differ.
func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(10 * 365 * 24 * time.Hour),
	}
}

func keyToPEM(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding a key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), nil
}
