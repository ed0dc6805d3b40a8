package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

func TestEachServerErrorHasItsClassAndItsText(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   pgconn.PgError
		class kafkasync.Class
		what  string
	}{
		{"slot in use", pgconn.PgError{Code: "55006"}, kafkasync.Wait, "in use by another process"},
		{"no free slot", pgconn.PgError{Code: "53400"}, kafkasync.Wait, "all replication slots are in use"},
		{"no free walsender", pgconn.PgError{Code: "53300"}, kafkasync.Wait, "no free connection or walsender"},
		{"wal_level", pgconn.PgError{Code: "55000", Message: "logical decoding requires wal_level >= logical"}, kafkasync.Wait, "logical log"},
		{"wal_level, German", pgconn.PgError{Code: "55000", Message: "logische Dekodierung erfordert wal_level >= logical"}, kafkasync.Wait, "logical log"},
		{
			"slot invalidated, 14 to 16",
			pgconn.PgError{
				Code: "55000", Message: `cannot read from logical replication slot "s"`,
				Detail: "This slot has been invalidated because it exceeded the maximum reserved size.",
			},
			kafkasync.Stop, "invalidated (This slot has been invalidated because it exceeded the maximum reserved size)",
		},
		{"slot invalidated, 17", pgconn.PgError{Code: "55000", Message: `can no longer get changes from replication slot "s"`}, kafkasync.Stop, "invalidated"},
		{"slot of another database", pgconn.PgError{Code: "55000", Message: `replication slot "s" was not created in this database`}, kafkasync.Stop, "something else"},
		{"physical slot", pgconn.PgError{Code: "55000", Message: "cannot use physical replication slot for logical decoding"}, kafkasync.Stop, "something else"},
		{"unknown state", pgconn.PgError{Code: "55000", Message: "?"}, kafkasync.Wait, "not in a state"},
		{"slot missing", pgconn.PgError{Code: "42704", Message: `replication slot "s" does not exist`}, kafkasync.Stop, "slot does not exist"},
		{"publication missing", pgconn.PgError{Code: "42704", Message: `publication "p" does not exist`}, kafkasync.Stop, "publication did not exist"},
		{
			"log removed",
			pgconn.PgError{Code: "58P01", Message: "requested WAL segment 000000010000000000000001 has already been removed"},
			kafkasync.Stop, "removed log",
		},
		{"a file away", pgconn.PgError{Code: "58P01", Message: `could not access file "pgoutput"`}, kafkasync.Wait, "misses a file"},
		{"no privilege", pgconn.PgError{Code: "42501"}, kafkasync.Wait, "privilege"},
		{"disk full", pgconn.PgError{Code: "53100"}, kafkasync.Wait, "disk is full"},
		{"read-only", pgconn.PgError{Code: "25006"}, kafkasync.Wait, "read-only"},
		{"standby", pgconn.PgError{Code: "0A000"}, kafkasync.Wait, "standby"},
		{"pooler", pgconn.PgError{Code: "08P01", Message: "unsupported startup parameter: replication"}, kafkasync.Wait, "pooler"},
		{"shutdown", pgconn.PgError{Code: "57P01"}, kafkasync.Retry, "shutting down"},
		{"crash", pgconn.PgError{Code: "57P02"}, kafkasync.Retry, "after a crash"},
		{"starting", pgconn.PgError{Code: "57P03"}, kafkasync.Retry, "not accepting connections yet"},
		{"cancelled", pgconn.PgError{Code: "57014"}, kafkasync.Retry, "cancelled"},
		{"broken connection", pgconn.PgError{Code: "08006"}, kafkasync.Retry, "connection to the server broke"},
		{"login of another kind", pgconn.PgError{Code: "28P02"}, kafkasync.Wait, "refuses the login"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := classify(fmt.Errorf("deeper: %w", &test.err), "reading")
			var fault *kafkasync.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a Fault", err)
			}
			if fault.Class != test.class || !strings.HasPrefix(fault.What, "reading: ") || !strings.Contains(fault.What, test.what) {
				t.Errorf("got %v %q, want %v and %q", fault.Class, fault.What, test.class, test.what)
			}
			if fault.Class != kafkasync.Retry && fault.Fix == "" {
				t.Error("got no fix for what does not heal by itself")
			}
			if fault.Class == kafkasync.Stop && fault.Risk == "" && !strings.Contains(fault.What, "something else") {
				t.Error("got a stop without what is at risk")
			}
			var pg *pgconn.PgError
			if !errors.As(err, &pg) {
				t.Error("the server's error is not in the chain")
			}
		})
	}
}

func TestEachNetworkErrorHasItsClassAndItsText(t *testing.T) {
	for _, test := range []struct {
		name  string
		err   error
		class kafkasync.Class
		what  string
	}{
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, kafkasync.Retry, "nothing listens"},
		{"no such name", &net.DNSError{Name: "db1", IsNotFound: true}, kafkasync.Wait, "db1 cannot be looked up"},
		{"name server down", &net.DNSError{Name: "db1", IsTimeout: true}, kafkasync.Retry, "db1 cannot be looked up"},
		{"certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, kafkasync.Wait, "no trusted authority"},
		{"certificate of an unknown kind", &tls.CertificateVerificationError{Err: x509.SystemRootsError{}}, kafkasync.Wait, "TLS"},
		{"certificate that has expired", &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, kafkasync.Wait, "has expired"},
		{"TLS alert about our certificate", &net.OpError{Op: "remote error", Err: tls.AlertError(42)}, kafkasync.Wait, "refuses our client certificate"},
		{"TLS alert", &net.OpError{Op: "remote error", Err: tls.AlertError(70)}, kafkasync.Wait, "TLS"},
		{"no TLS", errors.New("server refused TLS connection"), kafkasync.Wait, "TLS"},
		{"no TLS, then only standbys", errors.Join(errors.New("server refused TLS connection"), pgconn.ErrReadOnlyConnection), kafkasync.Wait, "accepts writes"},
		{"no TLS, then refused", errors.Join(errors.New("server refused TLS connection"), syscall.ECONNREFUSED), kafkasync.Retry, "nothing listens"},
		{"only standbys", fmt.Errorf("ValidateConnect failed: %w", pgconn.ErrReadOnlyConnection), kafkasync.Wait, "accepts writes"},
		{"one down, one a standby", errors.Join(syscall.ECONNREFUSED, pgconn.ErrStandbyConnection), kafkasync.Wait, "accepts writes"},
		{"one address down, one with a wrong certificate", errors.Join(syscall.ECONNREFUSED, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), kafkasync.Wait, "no trusted authority"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var fault *kafkasync.Fault
			if err := classify(test.err, "connecting"); !errors.As(err, &fault) {
				t.Fatalf("got %v, want a Fault", err)
			}
			if fault.Class != test.class || !strings.Contains(fault.What, test.what) {
				t.Errorf("got %v %q, want %v and %q", fault.Class, fault.What, test.class, test.what)
			}
		})
	}
}

func TestWhatIsNotKnownIsRetriedAndKeepsItsCause(t *testing.T) {
	for _, cause := range []error{io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, &pgconn.PgError{Code: "XX000"}, &pgconn.PgError{}} {
		err := classify(cause, "reading")
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "reading: ") {
			t.Errorf("got %q, want it to wrap %q", err, cause)
		}
		if got := kafkasync.ClassOf(err); got != kafkasync.Retry {
			t.Errorf("%v: got class %v, want retry", cause, got)
		}
	}
	if err := classify(nil, "reading"); err != nil {
		t.Errorf("got %v for no error", err)
	}
}

func TestAFaultIsNotClassifiedTwice(t *testing.T) {
	stop := &kafkasync.Fault{Class: kafkasync.Stop, What: "the slot is gone", Err: syscall.ECONNREFUSED}
	err := classify(fmt.Errorf("deeper: %w", stop), "opening the stream")
	if got := kafkasync.ClassOf(err); got != kafkasync.Stop {
		t.Errorf("got class %v, want stop", got)
	}
}

func TestAnUnreadableURLIsNeverPrinted(t *testing.T) {
	_, parseErr := pgconn.ParseConfig("postgres://cdc:top@secret@db:port/x?sslmode=never")
	if parseErr == nil {
		t.Fatal("the URL was read")
	}
	err := classify(parseErr, "reading source.postgres.url")
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "top") {
		t.Errorf("the password is in %q", err)
	}
	if got := kafkasync.ClassOf(err); got != kafkasync.Stop {
		t.Errorf("got class %v, want stop", got)
	}
}

func TestAServerThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = pgconn.Connect(ctx, "postgres://cdc@"+silent.Addr().String()+"/shop?sslmode=disable")
	var fault *kafkasync.Fault
	if err = classify(err, "connecting"); !errors.As(err, &fault) {
		t.Fatalf("got %v, want a Fault", err)
	}
	if fault.Class != kafkasync.Retry || !strings.Contains(fault.What, "does not answer") {
		t.Errorf("got %v %q, want retry and that the server does not answer", fault.Class, fault.What)
	}
}

func TestALoginErrorNamesTheStatementThatFixesIt(t *testing.T) {
	cfg := &pgconn.Config{User: `c"dc`, Database: "shop", Password: "hunter2"}
	for _, test := range []struct {
		name string
		err  pgconn.PgError
		fix  string
	}{
		{"password", pgconn.PgError{Code: "28P01"}, `ALTER ROLE "c""dc" PASSWORD`},
		{"no role", pgconn.PgError{Code: "28000", Message: `role "cdc" does not exist`}, `CREATE ROLE "c""dc" LOGIN REPLICATION`},
		{"no login", pgconn.PgError{Code: "28000", Message: `role "cdc" is not permitted to log in`}, `ALTER ROLE "c""dc" LOGIN`},
		{
			"pg_hba.conf",
			pgconn.PgError{Code: "28000", Message: `no pg_hba.conf entry for host "10.0.0.7", user "cdc", database "shop", no encryption`},
			`host "shop" "c""dc" 10.0.0.7/32 scram-sha-256`,
		},
		{
			"pg_hba.conf, IPv6",
			pgconn.PgError{Code: "28000", Message: `no pg_hba.conf entry for host "::1", user "cdc", database "shop"`},
			`host "shop" "c""dc" ::1/128 scram-sha-256`,
		},
		{
			"pg_hba.conf, socket",
			pgconn.PgError{Code: "28000", Message: `no pg_hba.conf entry for host "[local]", user "cdc"`},
			`local "shop" "c""dc" scram-sha-256`,
		},
		{"no database", pgconn.PgError{Code: "3D000"}, "correct the database"},
		{"no CONNECT", pgconn.PgError{Code: "42501", Detail: "User does not have CONNECT privilege."}, `GRANT CONNECT ON DATABASE "shop" TO "c""dc";`},
		{"no REPLICATION", pgconn.PgError{Code: "42501", Message: "must be superuser or replication role to start walsender"}, `ALTER ROLE "c""dc" REPLICATION;`},
	} {
		t.Run(test.name, func(t *testing.T) {
			fault := loginFault(&test.err, cfg)
			if fault == nil {
				t.Fatal("got no Fault")
			}
			if fault.Class != kafkasync.Wait || !strings.Contains(fault.Fix, test.fix) {
				t.Errorf("got %v %q, want wait and %q", fault.Class, fault.Fix, test.fix)
			}
			if strings.Contains(fault.Error(), cfg.Password) {
				t.Errorf("the password is in %q", fault)
			}
		})
	}
}
