package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestAReplicaIsAwaitedUntilItShowsTheChange(t *testing.T) {
	primary, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, primary) })
	replica, err := primary.Standby(t.Context(), devstack.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, replica) })
	there, here := connect(t, primary), connect(t, replica)
	execute(t, there, "CREATE TABLE products (id int)")
	var before string
	if err := there.QueryRow(t.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&before); err != nil {
		t.Fatal(err)
	}
	if err := replica.WaitReplayed(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	execute(t, here, "SELECT pg_wal_replay_pause()")
	execute(t, there, "INSERT INTO products VALUES (1)")
	// The commit record begins here or later, and ends behind it.
	batch := []kafkasync.Message{{Op: kafkasync.Created, Pos: before}, {Op: kafkasync.Updated}}

	if err := consumer.AwaitReplica(t.Context(), batch, asking(there)); err != nil {
		t.Errorf("the primary: %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := consumer.AwaitReplica(soon, batch, asking(here)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), before) {
		t.Errorf("got %v of a replica that stands still, want that it took too long for %s", err, before)
	}
	execute(t, here, "SELECT pg_wal_replay_resume()")
	if err := consumer.AwaitReplica(t.Context(), batch, asking(here)); err != nil {
		t.Errorf("once it goes on: %v", err)
	}
	var n int
	if err := here.QueryRow(t.Context(), "SELECT count(*) FROM products").Scan(&n); err != nil || n != 1 {
		t.Errorf("then the replica shows %d rows (%v), want 1", n, err)
	}
}

func closed(t *testing.T, server *devstack.Postgres) {
	t.Helper()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, server *devstack.Postgres) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func asking(conn *pgx.Conn) func(context.Context, string) (bool, error) {
	return func(ctx context.Context, query string) (seen bool, err error) {
		// The end of ctx is not to end the connection.
		err = conn.QueryRow(context.WithoutCancel(ctx), query).Scan(&seen)
		return seen, err
	}
}

func TestMySQLAndMariaDBSayWhatTheyHave(t *testing.T) {
	tests := map[string]struct {
		server func(testing.TB) *devstack.MySQL
		place  string // of the last transaction
		next   func(place string) string
	}{
		"MySQL":   {devtest.MySQL, "SELECT REGEXP_REPLACE(REGEXP_SUBSTR(@@GLOBAL.gtid_executed, '^[^,]*'), ':.*-', ':')", func(place string) string { return place + "00" }},
		"MariaDB": {devtest.MariaDB, "SELECT @@GLOBAL.gtid_current_pos", func(place string) string { return place + "00" }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := test.server(t)
			database := devtest.DatabaseOnMySQL(t, server)
			for _, sql := range []string{"CREATE TABLE products (id int PRIMARY KEY)", "INSERT INTO products VALUES (1)"} {
				if err := server.Exec(t.Context(), database, sql); err != nil {
					t.Fatal(err)
				}
			}
			ask := func(ctx context.Context, query string) (bool, error) {
				rows, err := server.Query(ctx, database, query)
				if err != nil {
					return false, err
				}
				return len(rows) == 1 && rows[0][0] == "1", nil
			}
			rows, err := server.Query(t.Context(), database, test.place)
			if err != nil {
				t.Fatal(err)
			}
			place := rows[0][0]
			for pos, want := range map[string]bool{place: true, test.next(place): false} {
				query, err := consumer.SeenQuery(pos)
				if err != nil {
					t.Fatal(err)
				}
				if seen, err := ask(t.Context(), query); seen != want || err != nil {
					t.Errorf("%s: got %t (%v), want %t", query, seen, err, want)
				}
			}
		})
	}
}

func TestWhatIsNoPlaceIsRefused(t *testing.T) {
	for _, pos := range []string{"", "binlog.000003:1234", "0/16B3748'; DROP TABLE products", "1-2", "3e11fa47:1"} {
		if query, err := consumer.SeenQuery(pos); err == nil {
			t.Errorf("%q: got the query %s, want an error", pos, query)
		}
	}
	if err := consumer.AwaitReplica(t.Context(), []kafkasync.Message{{Pos: "binlog.000003:1234"}}, nil); err == nil {
		t.Error("got no error for a place in a file, want one")
	}
}

func TestOnlyTheNewestPlacesAreAwaited(t *testing.T) {
	var asked []string
	batch := []kafkasync.Message{
		{Pos: "0/1"}, {Pos: "0/A", Delayed: time.Minute}, {Pos: "0/5"}, {}, {Pos: "0/9"}, {Pos: "0/B", Delayed: time.Minute}, {Pos: "0/2", Delayed: time.Hour},
	}
	err := consumer.AwaitReplica(t.Context(), batch, func(_ context.Context, query string) (bool, error) {
		_, rest, _ := strings.Cut(query, "> '")
		pos, _, _ := strings.Cut(rest, "'")
		asked = append(asked, pos)
		return true, nil
	})
	if got := strings.Join(asked, " "); err != nil || got != "0/9 0/B 0/2" {
		t.Errorf("got asked for %s (%v), want 0/9 0/B 0/2: the last one of each delay", got, err)
	}
}
