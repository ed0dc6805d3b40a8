package devstack

import (
	"errors"
	"path/filepath"
)

// The names of the files in the data folder, as Postgres expects them.
const (
	caCertFile = "root.crt"
	caKeyFile  = "root.key"
	certFile   = "server.crt"
	keyFile    = "server.key"
)

// CA returns the file with the certificate of the authority that vouches for the
// server, for sslrootcert. There is one if the configuration asks for TLS.
func (p *Postgres) CA() string { return filepath.Join(p.data(), caCertFile) }

// ClientCertificate makes a certificate for a role, which a line "hostssl all
// <role> 127.0.0.1/32 cert" of pg_hba.conf asks for, and returns the files for
// sslcert and sslkey. They lie in the server's folder.
func (p *Postgres) ClientCertificate(role string) (cert, key string, err error) {
	certPEM, keyPEM, err := clientCertificate(p.CA(), p.dataFile(caKeyFile), role)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(p.dir, role+".crt"), filepath.Join(p.dir, role+".key")
	return cert, key, errors.Join(p.write(cert, certPEM), p.write(key, keyPEM))
}

// configureTLS makes an authority and a certificate for the names that the
// configuration wants. They lie beside the data, so a standby has the same ones.
func (p *Postgres) configureTLS() error {
	made, err := certify("postgres", p.cfg.TLS)
	if err != nil {
		return err
	}
	return errors.Join(
		p.write(p.CA(), made.ca),
		p.write(p.dataFile(caKeyFile), made.caKey),
		p.write(p.dataFile(certFile), made.cert),
		p.write(p.dataFile(keyFile), made.key),
	)
}
