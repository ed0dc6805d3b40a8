package postgres_test

import (
	"cmp"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// newest is the newest version of Postgres that this source is known to read.
const newest = "18"

func TestTheNewestPostgresIsASource(t *testing.T) {
	conform(t, devtest.PostgresVersion(t, newest))
}

// Until 17 it is an error to the server if the publication did not exist when a
// change was written; later it passes over the change, with a warning.
func TestAChangeThatWasWrittenWithoutThePublicationStops(t *testing.T) {
	for _, version := range []string{devtest.Version(), newest} {
		t.Run("on "+cmp.Or(version, "what Debian has"), func(t *testing.T) {
			db := connectTo(t, devtest.DatabaseOn(t, devtest.PostgresVersion(t, version)), "CREATE TABLE t (id int PRIMARY KEY)")
			// The warning must arrive, whatever a DBA has thought of the role's log.
			db.run(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_min_messages = error', current_database()); END $$")
			wanted := columns{"public.t": nil}
			p := db.begin(t, wanted)
			if err := p.stream.Close(); err != nil {
				t.Fatal(err)
			}
			name := quoted(db.conn.Config().Database)
			db.run(t, "DROP PUBLICATION "+name, "INSERT INTO t VALUES (1)",
				"CREATE PUBLICATION "+name+" FOR TABLE t WITH (publish_via_partition_root = true)", "INSERT INTO t VALUES (2)")
			err := followUntilItEnds(t, db.open(t, wanted), p.pos)
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "publication") || !strings.Contains(err.Error(), "to fix:") {
				t.Errorf("got %v, want a stop because of the publication, with its fix", err)
			}
		})
	}
}

// followUntilItEnds returns the error that ends the reading; changes that arrive before are one.
func followUntilItEnds(t *testing.T, s source.Source, from source.Position) error {
	t.Helper()
	stream, err := s.Open(t.Context(), from, sourcetest.Resumed())
	if err != nil {
		return err
	}
	defer stream.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var b source.Batch
	for {
		if err := stream.Next(ctx, &b); err != nil {
			return err
		}
		if len(b.Changes) > 0 {
			t.Errorf("got %d changes, want none before the stop", len(b.Changes))
		}
	}
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
