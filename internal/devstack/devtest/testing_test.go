package devtest_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func TestADatabaseEndsWithItsTest(t *testing.T) {
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

func TestTheServersAreShared(t *testing.T) {
	postgres, kafka := devtest.Postgres(t), devtest.Kafka(t)
	t.Run("with another test", func(t *testing.T) {
		if devtest.Postgres(t) != postgres || devtest.Kafka(t) != kafka {
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
