package postgres_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// entrance is one way to log in, and what is to come of it.
type entrance struct {
	name      string
	database  string // of role <database>_cdc
	url       string // address and parameters
	password  string
	what, fix string // of the one fault; "": it goes well
}

// enter prepares the server and opens the log, over all kinds of connection that there are.
func (e entrance) enter(t *testing.T, p *patient) error {
	t.Helper()
	s, err := postgres.New(e.config(p), postgres.Options{
		Application: "kafkasync test", Selector: p.rules, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	head, err := s.Head(t.Context(), sourcetest.Fresh())
	if err != nil {
		return err
	}
	stream, err := s.Open(t.Context(), head, sourcetest.Resumed())
	if err != nil {
		return err
	}
	p.do(t, "INSERT INTO products VALUES (1, 'one');")
	if err := stream.Next(t.Context(), new(source.Batch)); err != nil {
		t.Error(err)
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	p.do(t, fmt.Sprintf("SELECT pg_drop_replication_slot('%s'); DROP PUBLICATION %s; DELETE FROM products;", p.cfg.Slot, p.cfg.Publication))
	return nil
}

func (e entrance) config(p *patient) postgres.Config {
	cfg := p.cfg
	host, query, _ := strings.Cut(e.url, "?")
	cfg.URL = fmt.Sprintf("postgres://%s@%s/%s?%s", p.role, host, p.database, query)
	cfg.Password = e.password
	return cfg
}

// tryEach tries each entrance, by a run and by a check: both give the one reason.
func tryEach(t *testing.T, patients map[string]*patient, entrances []entrance) {
	t.Helper()
	for _, e := range entrances {
		t.Run(e.name, func(t *testing.T) {
			p := patients[e.database]
			err := e.enter(t, p)
			for errors.Is(err, syscall.ECONNRESET) {
				// With TLS 1.3 the server's reason may come after we have begun to write, and be lost
				// when it hangs up. A run tries again, and so do we.
				err = e.enter(t, p)
			}
			if e.what == "" {
				if err != nil {
					t.Fatalf("got %v, want it to go well", err)
				}
				return
			}
			var fault *kafkasync.Fault
			if !errors.As(err, &fault) || fault.Class == kafkasync.Retry || !strings.Contains(fault.What, e.what) || !strings.Contains(fault.Fix, e.fix) {
				t.Fatalf("got %v, want %q and the fix %q", err, e.what, e.fix)
			}
			before := p.cfg
			p.cfg = e.config(p)
			defer func() { p.cfg = before }()
			f := p.diagnosed(t, fails, "P04", e.what)
			if all := p.check(t); len(all) != 1 || !strings.Contains(f.Fix, e.fix) {
				t.Errorf("check: got %+v, want the one finding with the fix %q", all, e.fix)
			}
			if text := fmt.Sprint(err, f); e.password != "" && strings.Contains(text, e.password) {
				t.Errorf("the password is in %s", text)
			}
		})
	}
}

// guarded is a server with TLS that lets in tls_cdc only with it, cert_cdc by
// certificate and scram_cdc by password.
func guarded(t *testing.T) (*devstack.Postgres, map[string]*patient) {
	t.Helper()
	devtest.Postgres(t) // installs it, and knows about -short
	s, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Version:  devtest.Version(),
		Settings: map[string]string{"max_slot_wal_keep_size": slotLimit, "fsync": "off"},
		TLS:      []string{"localhost"},
		HBA: []string{
			"hostssl all tls_cdc 127.0.0.1/32 trust", "hostssl all cert_cdc 127.0.0.1/32 cert",
			"host all scram_cdc 127.0.0.1/32 scram-sha-256", "host all tls_cdc,cert_cdc 127.0.0.1/32 reject",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	patients := map[string]*patient{}
	for _, name := range []string{"tls", "cert", "scram"} {
		if err := s.CreateDatabase(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		patients[name] = admit(t, s.URL(name))
	}
	return s, patients
}

func TestALoginIsVerifiedAndItsFailureHasOneClearReason(t *testing.T) {
	s, patients := guarded(t)
	t.Run("TLS", func(t *testing.T) { verifyTLS(t, s, patients) })
	t.Run("password", func(t *testing.T) { verifyPassword(t, s, patients) })
}

func verifyTLS(t *testing.T, s *devstack.Postgres, patients map[string]*patient) {
	ip, name := s.Addr(), strings.Replace(s.Addr(), "127.0.0.1", "localhost", 1)
	trusts := "?sslmode=verify-full&sslrootcert=" + s.CA()
	cert, key := clientCertificate(t, s, "cert_cdc")
	otherCert, otherKey := clientCertificate(t, s, "tls_cdc")
	stranger, _ := guarded(t)
	strange, strangeKey := clientCertificate(t, stranger, "cert_cdc")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tryEach(t, patients, []entrance{
		{name: "verified in full", database: "tls", url: name + trusts},
		{name: "verified by its authority only", database: "tls", url: ip + strings.Replace(trusts, "full", "ca", 1)},
		{name: "not verified", database: "tls", url: ip + "?sslmode=require"},
		{name: "preferred", database: "tls", url: ip},
		{
			name: "another authority", database: "tls", url: name + "?sslmode=verify-full&sslrootcert=" + stranger.CA(),
			what: "no trusted authority has signed", fix: "set sslrootcert",
		},
		{
			name: "the authorities of the system", database: "tls", url: name + "?sslmode=verify-full",
			what: "no trusted authority has signed", fix: "set sslrootcert",
		},
		{
			name: "another host name", database: "tls", url: ip + trusts,
			what: "is not for the host 127.0.0.1 but for localhost", fix: "write a name of the certificate",
		},
		{
			name: "none against a server that wants it", database: "tls", url: ip + "?sslmode=disable",
			what: "from this machine without TLS", fix: "write sslmode=verify-full",
		},
		{
			name: "a file that is not there", database: "tls", url: ip + "?sslmode=verify-full&sslrootcert=" + garbage + ".gone",
			what: garbage + ".gone: no such file", fix: "correct sslmode, sslrootcert",
		},
		{
			name: "a file of another kind", database: "tls", url: ip + "?sslmode=verify-full&sslrootcert=" + garbage,
			what: "the TLS settings of the URL cannot be used", fix: "correct sslmode, sslrootcert",
		},
		{name: "a client certificate", database: "cert", url: name + trusts + "&sslcert=" + cert + "&sslkey=" + key},
		{
			name: "no client certificate", database: "cert", url: name + trusts,
			what: "wants a client certificate of role cert_cdc", fix: "set sslcert and sslkey",
		},
		{
			name: "a client certificate of another role", database: "cert", url: name + trusts + "&sslcert=" + otherCert + "&sslkey=" + otherKey,
			what: "wants a client certificate of role cert_cdc", fix: "whose common name is the role",
		},
		{
			name: "a client certificate of another authority", database: "cert", url: name + trusts + "&sslcert=" + strange + "&sslkey=" + strangeKey,
			what: "the server refuses our client certificate", fix: "an authority of the server's ssl_ca_file",
		},
	})
	plain := admit(t, sharedDatabase(t))
	tryEach(t, map[string]*patient{"plain": plain}, []entrance{{
		name: "a server without TLS", database: "plain", url: devtest.Postgres(t).Addr() + "?sslmode=verify-full",
		what: "the server takes no TLS", fix: "ssl = on",
	}})
}

func clientCertificate(t *testing.T, s *devstack.Postgres, role string) (cert, key string) {
	t.Helper()
	cert, key, err := s.ClientCertificate(role)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// awkward is a password of characters that a URL would need escaped, or be cut off by.
const awkward = `p@ss:w/o?r#d&x=%41+ "'\ü`

func verifyPassword(t *testing.T, s *devstack.Postgres, patients map[string]*patient) {
	patients["scram"].do(t, "ALTER ROLE scram_cdc PASSWORD '"+strings.ReplaceAll(awkward, "'", "''")+"';")
	trusts := "?sslmode=verify-full&sslrootcert=" + s.CA()
	ip, name := s.Addr(), strings.Replace(s.Addr(), "127.0.0.1", "localhost", 1)
	tryEach(t, patients, []entrance{
		{name: "right", database: "scram", url: ip, password: awkward},
		{name: "right, without TLS", database: "scram", url: ip + "?sslmode=disable", password: awkward},
		{name: "bound to the TLS channel", database: "scram", url: name + trusts + "&channel_binding=require", password: awkward},
		{
			name: "wrong", database: "scram", url: ip, password: awkward + "!",
			what: "refuses the password of role scram_cdc", fix: "set source.postgres.password",
		},
		{
			name: "none", database: "scram", url: ip,
			what: "asks role scram_cdc for a password, and there is none", fix: "set source.postgres.password",
		},
		{
			name: "no TLS channel to be bound to", database: "scram", url: ip + "?sslmode=disable&channel_binding=require", password: awkward,
			what: "channel binding", fix: "sslmode=verify-full",
		},
	})
}
