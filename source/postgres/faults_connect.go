package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source/findings"
)

// urlFault is about a URL that cannot be read. Its error quotes the URL, whose
// password pgx can hide only as best it can, so it is not shown.
func urlFault(err error) *kafkasync.Fault {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return nil
	}
	// What it says of TLS holds the names of files, and nothing else of the URL.
	if cause := parse.Unwrap(); cause != nil && strings.HasSuffix(parse.Error(), "failed to configure TLS ("+cause.Error()+")") {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: "the TLS settings of the URL cannot be used: " + cause.Error(),
			Fix: "correct sslmode, sslrootcert, sslcert and sslkey in source.postgres.url, or the files that they name",
		}
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: "the URL cannot be read, want postgres://user@host:port/database?sslmode=verify-full",
		Fix: "correct source.postgres.url; a password belongs into source.postgres.password",
	}
}

// loginFault knows the errors of opening a connection, where the role and the database are known.
func loginFault(pg *pgconn.PgError, cfg *pgconn.Config) *kafkasync.Fault {
	role := pgx.Identifier{cfg.User}.Sanitize()
	wait := func(what, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: what, Fix: fix}
	}
	switch pg.Code {
	case "08P01":
		if strings.Contains(pg.Message, "startup parameter") { // which one is of no matter: a server takes them all
			return wait("a connection pooler answers in place of the server", fixPooler)
		}
	case "28P01":
		fix := "set source.postgres.password to the role's password, or ALTER ROLE " + role + " PASSWORD '...';"
		if cfg.Password == "" {
			return wait(fmt.Sprintf("the server asks role %s for a password, and there is none", cfg.User), fix)
		}
		return wait(fmt.Sprintf("the server refuses the password of role %s", cfg.User), fix)
	case "28000":
		return authorizationFault(pg, cfg)
	case "3D000":
		return wait(fmt.Sprintf("there is no database %s", cfg.Database), "correct the database in source.postgres.url")
	case "42501":
		if strings.Contains(pg.Detail, "CONNECT") {
			return wait(fmt.Sprintf("role %s may not connect to database %s", cfg.User, cfg.Database),
				fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s;", pgx.Identifier{cfg.Database}.Sanitize(), role))
		}
		return wait(fmt.Sprintf("role %s may not replicate", cfg.User), grantReplication(cfg.User))
	}
	return nil
}

func grantReplication(role string) string {
	quoted := pgx.Identifier{role}.Sanitize()
	return fmt.Sprintf("ALTER ROLE %s REPLICATION; -- on RDS and Aurora: GRANT rds_replication TO %[1]s;", quoted)
}

// authorizationFault tells the causes of 28000 apart. The servers' messages are
// translated, except for the name of the file.
func authorizationFault(pg *pgconn.PgError, cfg *pgconn.Config) *kafkasync.Fault {
	fault := &kafkasync.Fault{Class: kafkasync.Wait}
	role := pgx.Identifier{cfg.User}.Sanitize()
	switch {
	case strings.Contains(pg.Message, "pg_hba.conf"):
		fault.What = fmt.Sprintf("pg_hba.conf does not let role %s into database %s from this machine", cfg.User, cfg.Database)
		fault.Fix = "put this line at the top of pg_hba.conf, then run SELECT pg_reload_conf(): " + hbaLine(pg, cfg)
		if strings.Contains(pg.Message, "no encryption") && !triesTLS(cfg) {
			fault.What += " without TLS"
			fault.Fix = "write sslmode=verify-full into source.postgres.url; or, where nobody else can read the network, " + fault.Fix
		}
	case strings.Contains(pg.Message, "does not exist"):
		fault.What = fmt.Sprintf("there is no role %s", cfg.User)
		fault.Fix = "CREATE ROLE " + role + " LOGIN REPLICATION PASSWORD '...';"
	case strings.Contains(pg.Message, "certificate"):
		fault.What = fmt.Sprintf("the server wants a client certificate of role %s", cfg.User)
		fault.Fix = "set sslcert and sslkey in source.postgres.url to a certificate whose common name is the role, signed by an authority of the server's ssl_ca_file; " +
			"or another authentication method in pg_hba.conf"
	default:
		fault.What = fmt.Sprintf("the server does not let role %s log in", cfg.User)
		fault.Fix = "ALTER ROLE " + role + " LOGIN; -- or another authentication method in pg_hba.conf"
	}
	return fault
}

func triesTLS(cfg *pgconn.Config) bool {
	for _, f := range cfg.Fallbacks {
		if f.TLSConfig != nil {
			return true
		}
	}
	return cfg.TLSConfig != nil
}

// hbaLine is the line that would have let the connection in. The server names
// the address that it saw as the first quoted word of its message.
func hbaLine(pg *pgconn.PgError, cfg *pgconn.Config) string {
	kind, address := "local", ""
	if words := strings.Split(pg.Message, `"`); len(words) > 1 {
		if ip := net.ParseIP(words[1]); ip != nil {
			bits := 128
			if ip.To4() != nil {
				bits = 32
			}
			kind, address = "host", fmt.Sprintf(" %s/%d", ip, bits)
		}
	}
	return fmt.Sprintf("%s %s %s%s scram-sha-256",
		kind, pgx.Identifier{cfg.Database}.Sanitize(), pgx.Identifier{cfg.User}.Sanitize(), address)
}

// networkFault knows why a server could not be talked to at all. Where several
// servers, or several addresses of one, were tried, the best reason comes first: a standby
// or a certificate that was looked at says more than another one that is down.
func networkFault(err error) *kafkasync.Fault {
	if errors.Is(err, pgconn.ErrReadOnlyConnection) || errors.Is(err, pgconn.ErrStandbyConnection) {
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "no server of the URL accepts writes",
			Fix:         "wait for the failover, or add the primary to source.postgres.url",
			Unreachable: true, // the primary, among those that answer
		}
	}
	if errors.Is(err, errPooled) {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: "there is a connection pooler before the server", Fix: fixPooler}
	}
	if fault := tlsFault(err); fault != nil {
		return fault
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return &kafkasync.Fault{
			What:        "nothing listens at the server's address",
			Fix:         "start Postgres, or correct host and port in source.postgres.url",
			Unreachable: true,
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		fault := &kafkasync.Fault{What: fmt.Sprintf("the name %s cannot be looked up", dns.Name), Unreachable: true}
		if dns.IsNotFound {
			fault.Class, fault.Fix = kafkasync.Wait, "correct the host in source.postgres.url, or the DNS"
		}
		return fault
	}
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) && pgconn.Timeout(err) {
		return &kafkasync.Fault{
			What:        "the server does not answer",
			Fix:         "correct host and port in source.postgres.url, or let the connection through the firewall",
			Unreachable: true,
		}
	}
	// With sslmode=prefer this is followed by an attempt without TLS, which has the better reason.
	if strings.Contains(err.Error(), "server refused TLS connection") { // pgx has no type for it
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "the server takes no TLS",
			Fix: "on the server, set ssl_cert_file, ssl_key_file and ssl = on; or, where nobody else can read the network, correct sslmode in source.postgres.url",
		}
	}
	return nil
}

// tlsFault knows why TLS was broken off.
func tlsFault(err error) *kafkasync.Fault {
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		verify  *tls.CertificateVerificationError
		header  tls.RecordHeaderError
		network *net.OpError
	)
	wait := func(what, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: what, Fix: fix}
	}
	switch {
	case errors.As(err, &host):
		return wait(fmt.Sprintf("the server's certificate is not for the host %s but for %s", host.Host, certifiedNames(host.Certificate)),
			"write a name of the certificate as the host in source.postgres.url, or give the server a certificate for this host; "+
				"sslmode=verify-ca does not look at the name")
	case errors.As(err, &unknown):
		return wait("no trusted authority has signed the server's certificate",
			"set sslrootcert in source.postgres.url to the file with the certificate of the authority that signed the server's")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return wait("the server's certificate has expired, or is not valid yet",
			"renew the file ssl_cert_file on the server and run SELECT pg_reload_conf(); or correct the clock of this machine")
	case errors.As(err, &network) && network.Op == "remote error" && strings.Contains(network.Error(), "certificate"):
		return wait("the server refuses our client certificate",
			"set sslcert and sslkey in source.postgres.url to a certificate that is signed by an authority of the server's ssl_ca_file and has not expired")
	case errors.As(err, &verify), errors.As(err, &invalid), errors.As(err, &header), network != nil && network.Op == "remote error":
		return wait("the server's TLS does not fit sslmode",
			"correct sslmode, sslrootcert, sslcert and sslkey in source.postgres.url, or the server's certificate")
	case strings.Contains(err.Error(), "channel binding required"): // pgx has no type for it
		return wait("the server has not proved itself by channel binding",
			"channel_binding=require needs sslmode=verify-full and a password that the server keeps for scram-sha-256; or take it out of source.postgres.url")
	}
	return nil
}

// certifiedNames lists what a certificate vouches for.
func certifiedNames(cert *x509.Certificate) string {
	all := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host at all (it has no subjectAltName)"
	}
	return findings.Names(all)
}
