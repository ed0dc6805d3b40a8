package mysql_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

func TestTLS(t *testing.T) {
	for flavour := range flavours {
		t.Run(flavour, func(t *testing.T) {
			flavours[flavour](t) // installs it
			start := devstack.StartMySQL
			if flavour == "MariaDB" {
				start = devstack.StartMariaDB
			}
			server, err := start(t.Context(), devstack.MySQLConfig{TLS: []string{"localhost"}, Password: "s3cret"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE USER cdc IDENTIFIED BY 'pass' REQUIRE SSL", "GRANT ALL ON *.* TO cdc")
			_, port, err := net.SplitHostPort(server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			ca := "&ssl-ca=" + url.QueryEscape(server.CA())
			strangers := authority(t)
			for _, tt := range []struct{ host, query, want string }{
				{"localhost", "tls=verify-full" + ca, ""},
				{"127.0.0.1", "tls=verify-ca" + ca, ""},
				{"127.0.0.1", "tls=required", ""},
				{"127.0.0.1", "", ""}, // preferred
				{"127.0.0.1", "tls=verify-full" + ca, "the server's certificate is not for the host 127.0.0.1"},
				{"localhost", "tls=verify-full", "no trusted authority"},
				{"127.0.0.1", "tls=verify-ca", "no trusted authority"},
				{"localhost", "tls=verify-full&ssl-ca=" + url.QueryEscape(strangers), "no trusted authority"},
				{"127.0.0.1", "tls=disabled", "refuses user cdc"}, // which it lets in with TLS only
			} {
				cfg := mysql.Config{
					Flavour: server.Flavour(), URL: "mysql://cdc@" + tt.host + ":" + port + "/?" + tt.query, Password: "pass", ServerID: 9000 + serial.Add(1),
				}
				s, memory := open(t, cfg, db.selector(columns{"t": nil})), sourcetest.Fresh()
				head, err := s.Head(t.Context(), memory)
				if tt.want != "" {
					wantFault(t, err, kafkasync.Wait, tt.want)
					continue
				}
				if err != nil {
					t.Errorf("%s %s: %v", tt.host, tt.query, err)
					continue
				}
				stream, err := s.Open(t.Context(), head, memory.Again())
				if err != nil {
					t.Fatalf("%s %s: %v", tt.host, tt.query, err)
				}
				db.run(t, "INSERT INTO t VALUES (1)", "DELETE FROM t")
				var b source.Batch
				if err := stream.Next(t.Context(), &b); err != nil {
					t.Errorf("%s %s: %v", tt.host, tt.query, err)
				}
				if err := stream.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// authority writes the certificate of one that has signed nothing.
func authority(t *testing.T) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAServerWithoutTLSIsNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		cfg := mysql.Config{Flavour: server.Flavour(), URL: server.URL("") + "?tls=required", ServerID: 7400}
		_, err := open(t, cfg, sourcetest.Selector{}).Head(t.Context(), sourcetest.Fresh())
		wantFault(t, err, kafkasync.Wait, "takes no TLS", "tls=disabled")
	})
}

func TestURLs(t *testing.T) {
	for _, text := range []string{
		"mysql://cdc@db1", "mariadb://cdc@db1:3307,db2/shop?tls=disabled", "mysql://c%40dc:p%2Fw@[::1]:3306/?tls=required", "mysql://cdc:p@ss@db1/",
	} {
		if err := (mysql.Config{Flavour: "mysql", URL: text, ServerID: 1}).Validate(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"postgres://cdc@db1":                         "begin with mysql://",
		"db1:3306":                                   "begin with mysql://",
		"mysql://db1":                                "no user",
		"mysql://:pw@db1":                            "no user",
		"mysql://cdc@":                               "empty host",
		"mysql://cdc@db1,,db2":                       "empty host",
		"mysql://cdc@db1:0":                          "not a port",
		"mysql://cdc@db1:http":                       "not a port",
		"mysql://cdc:s%zz@db1":                       "%25",
		"mysql://cdc@db1/?tls=on":                    "want verify-full",
		"mysql://cdc@db1/?sslmode=require":           "unknown setting",
		"mysql://cdc@db1/?tls=required&tls=disabled": "one value",
		"mysql://cdc@db1/?tls=required&ssl-ca=/x":    "of no use",
		"mysql://cdc@db1/?tls=verify-ca&ssl-ca=/x":   "no such file",
		"mysql://cdc@db1/?ssl-cert=/x":               "belong together",
		"mysql://cdc@db1/#x":                         "#",
	} {
		err := (mysql.Config{Flavour: "mysql", URL: text, ServerID: 1}).Validate()
		wantStop(t, err, want, "mysql://cdc@db1:3306")
		if strings.Contains(err.Error(), "s%zz") {
			t.Errorf("%s: got %v, want no password in it", text, err)
		}
	}
	wantStop(t, mysql.Config{Flavour: "mysql", URL: "mysql://cdc@db1"}.Validate(), "server_id")
	if err := (mysql.Config{Flavour: "oracle", URL: "mysql://cdc@db1", ServerID: 1}).Validate(); err == nil {
		t.Error("got no error for an unknown flavour")
	}
	cfg := mysql.Config{Flavour: "mysql", URL: "mysql://cdc:hidden@db1", Password: "hidden"}
	marshaled, err := cfg.MarshalText()
	if text := cfg.String() + cfg.GoString() + cfg.LogValue().String() + string(marshaled); err != nil || strings.Contains(text, "hidden") {
		t.Errorf("got %q %v, want no secret", text, err)
	}
}
