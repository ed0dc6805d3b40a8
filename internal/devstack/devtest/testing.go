// Package devtest hands tests the real servers of package devstack: one of each
// kind and version per test process, started by the first test that asks, and
// stopped with the process.
//
// It promises that tests in one process do not meet: a database and a topic are
// a test's own. It never skips a test, except under -short, where no server is
// to be started.
package devtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// shared is a server that the tests of this process share. A start that failed
// is not tried again: every test would wait for it.
type shared[S interface{ Close() error }] struct {
	once   sync.Once
	server S
	err    error
	up     bool
}

func (s *shared[S]) get(t testing.TB, start func(context.Context) (S, error), need ...devstack.Component) S {
	t.Helper()
	if testing.Short() {
		t.Skipf("needs a real server (%s), and -short starts none", need[0])
	}
	s.once.Do(func() {
		// The server outlives the test that asked first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Minute)
		defer cancel()
		if s.err = devstack.Install(ctx, os.Stderr, need...); s.err == nil {
			s.server, s.err = start(ctx)
		}
		s.up = s.err == nil
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

func (s *shared[S]) close() error {
	if !s.up {
		return nil
	}
	return s.server.Close()
}

//nolint:gochecknoglobals // one server per test process is what this package is for
var (
	postgres sync.Map // version: *shared[*devstack.Postgres]
	mysql    shared[*devstack.MySQL]
	mariadb  shared[*devstack.MySQL]
	kafka    shared[*devstack.Kafka]
	serial   atomic.Int64
)

// versionVariable names the environment variable with the version of Postgres
// that tests get which name none: "14" to "18", by default Debian's.
const versionVariable = "DEVTEST_POSTGRES"

// Version returns the version of Postgres that tests get which name none, for
// devstack.PostgresConfig.
func Version() string { return os.Getenv(versionVariable) }

// Main runs the tests of a package and then stops the servers that they started,
// and calls what the package itself wants to be done last:
//
//	func TestMain(m *testing.M) { devtest.Main(m) }
//
// Without it nothing is left behind either, but nobody waits for the end.
func Main(m *testing.M, last ...func() error) {
	code := m.Run()
	for _, stop := range append([]func() error{closePostgres, mysql.close, mariadb.close, kafka.close}, last...) {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// Postgres returns the process's Postgres. A test that stops or configures its
// server starts one of its own with devstack.StartPostgres.
func Postgres(t testing.TB) *devstack.Postgres {
	t.Helper()
	return PostgresVersion(t, Version())
}

// PostgresVersion returns the process's Postgres of a version, as
// devstack.PostgresConfig names it.
func PostgresVersion(t testing.TB, version string) *devstack.Postgres {
	t.Helper()
	one, _ := postgres.LoadOrStore(version, new(shared[*devstack.Postgres]))
	return one.(*shared[*devstack.Postgres]).get(t, func(ctx context.Context) (*devstack.Postgres, error) {
		// Without fsync nothing is lost as long as the machine stays up, and tests are faster.
		return devstack.StartPostgres(ctx, devstack.PostgresConfig{Version: version, Settings: map[string]string{
			"fsync":           "off",
			"max_connections": "400", // of all tests of a package, some of which have killed their clients
		}})
	}, devstack.ComponentPostgres, devstack.PostgresVersion(version)) // Debian's for its clients
}

func closePostgres() error {
	var errs []error
	postgres.Range(func(_, one any) bool {
		errs = append(errs, one.(*shared[*devstack.Postgres]).close())
		return true
	})
	return errors.Join(errs...)
}

// MySQL returns the process's MySQL. A test that stops or configures its server,
// or purges its log, starts one of its own with devstack.StartMySQL.
func MySQL(t testing.TB) *devstack.MySQL {
	t.Helper()
	return mysql.get(t, func(ctx context.Context) (*devstack.MySQL, error) {
		return devstack.StartMySQL(ctx, devstack.MySQLConfig{})
	}, devstack.ComponentMySQL)
}

// MariaDB is MySQL for the process's MariaDB.
func MariaDB(t testing.TB) *devstack.MySQL {
	t.Helper()
	return mariadb.get(t, func(ctx context.Context) (*devstack.MySQL, error) {
		return devstack.StartMariaDB(ctx, devstack.MySQLConfig{})
	}, devstack.ComponentMariaDB)
}

// Kafka returns the process's Kafka, which creates topics when they are written to.
func Kafka(t testing.TB) *devstack.Kafka {
	t.Helper()
	return kafka.get(t, func(ctx context.Context) (*devstack.Kafka, error) {
		// The simpler compiler is ready sooner; a test ends before the better one pays.
		return devstack.StartKafka(ctx, devstack.KafkaConfig{Java: []string{"-XX:TieredStopAtLevel=1"}})
	}, devstack.ComponentKafka)
}

// Database creates a database for the test on the process's Postgres and returns
// its URL. It is dropped after the test, with its slots and whoever is connected.
func Database(t testing.TB) string {
	t.Helper()
	return DatabaseOn(t, Postgres(t))
}

// DatabaseOn is Database on a server that outlives the test.
func DatabaseOn(t testing.TB, server *devstack.Postgres) string {
	t.Helper()
	return server.URL(create(t, server))
}

// DatabaseOnMySQL creates a database for the test on a MySQL or MariaDB that
// outlives it, and returns its name: such a server's log is that of all its databases. It
// is dropped after the test, with whoever is connected.
func DatabaseOnMySQL(t testing.TB, server *devstack.MySQL) string {
	t.Helper()
	return create(t, server)
}

// create creates a database that ends with the test.
func create(t testing.TB, server interface {
	CreateDatabase(ctx context.Context, name string) error
	DropDatabase(ctx context.Context, name string) error
},
) string {
	t.Helper()
	name := fmt.Sprintf("t%d_%.40s", serial.Add(1), label(t))
	if err := server.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Topic returns a name for a topic, or for the beginning of several, that no
// other test of this process uses. It creates nothing.
func Topic(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("t%d-%.100s", serial.Add(1), strings.ReplaceAll(label(t), "_", "-"))
}

// label is the test's name in lower case, digits and underscores.
func label(t testing.TB) string {
	return regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.Name()), "_")
}
