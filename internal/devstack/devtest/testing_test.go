package devtest_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func TestADatabaseEndsWithItsTest(t *testing.T) {
	devtest.Postgres(t) // which ends this one, too, under -short
	var url string
	t.Run("the test, with a NAME/that needs care", func(t *testing.T) {
		url = devtest.Database(t)
		conn, err := pgx.Connect(t.Context(), url) // stays open: it must not be in the way
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "SELECT pg_create_logical_replication_slot('left', 'pgoutput')"); err != nil {
			t.Fatal(err)
		}
		if other := devtest.Database(t); other == url {
			t.Errorf("got %s twice, want another database", other)
		}
	})
	_, err := pgx.Connect(t.Context(), url)
	const invalidCatalogName = "3D000"
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != invalidCatalogName {
		t.Errorf("got %v, want that the database does not exist", err)
	}
}

func TestADatabaseOnMySQLEndsWithItsTest(t *testing.T) {
	for flavour, server := range map[string]*devstack.MySQL{"mysql": devtest.MySQL(t), "mariadb": devtest.MariaDB(t)} {
		if got := server.Flavour(); got != flavour {
			t.Errorf("got a %s, want a %s", got, flavour)
		}
		var name string
		t.Run("the test, with a NAME/that needs care", func(t *testing.T) {
			name = devtest.DatabaseOnMySQL(t, server)
			if _, err := server.Connect(t.Context(), name); err != nil { // stays open: it must not be in the way
				t.Fatal(err)
			}
			if other := devtest.DatabaseOnMySQL(t, server); other == name {
				t.Errorf("got %s twice, want another database", other)
			}
		})
		const unknownDatabase = 1049
		var refused *mysql.MyError
		if _, err := server.Connect(t.Context(), name); !errors.As(err, &refused) || refused.Code != unknownDatabase {
			t.Errorf("%s: got %v, want that the database does not exist", flavour, err)
		}
	}
}

func TestTheServersAreShared(t *testing.T) {
	postgres, kafka, mysql, mariadb := devtest.Postgres(t), devtest.Kafka(t), devtest.MySQL(t), devtest.MariaDB(t)
	t.Run("with another test", func(t *testing.T) {
		if devtest.Postgres(t) != postgres || devtest.Kafka(t) != kafka || devtest.MySQL(t) != mysql || devtest.MariaDB(t) != mariadb {
			t.Error("got two servers, want one")
		}
	})
}

func TestATopicIsLegalAndOfItsOwn(t *testing.T) {
	a, b := devtest.Topic(t), devtest.Topic(t)
	if a == b || !regexp.MustCompile(`^[a-zA-Z0-9-]{1,120}$`).MatchString(a) {
		t.Errorf("got %q and %q, want two legal names", a, b)
	}
}
