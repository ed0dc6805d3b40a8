package postgres

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

// columnsOf is a selector: the columns of tables by name.
type columnsOf map[string][]string

func (c columnsOf) Captures(table string) bool { _, ok := c[table]; return ok }
func (c columnsOf) Columns(table string, _, _ []string) ([]string, error) {
	return c[table], nil
}
func (columnsOf) Key(_ string, primary []string) []string { return primary }

// reading is a database whose log is read in both forms.
type reading struct {
	conn *pgx.Conn
	cfg  Config
}

func newReading(t *testing.T, schema ...string) *reading {
	t.Helper()
	conn := catalogConn(t, schema...)
	name := conn.Config().Database
	r := &reading{conn, Config{URL: conn.Config().ConnString(), Slot: name, Publication: name}}
	r.run(t, `CREATE PUBLICATION `+quoteName(name)+` FOR ALL TABLES WITH (publish_via_partition_root = true)`)
	for _, slot := range []string{"_text", "_binary"} {
		r.run(t, `SELECT pg_create_logical_replication_slot(`+quoteText(name+slot)+`, 'pgoutput')`)
	}
	return r
}

func (r *reading) run(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := r.conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func (r *reading) source(t *testing.T, selector source.Selector) *Source {
	t.Helper()
	s, err := New(r.cfg, Options{Application: "kafkasync test", Selector: selector, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changes reads the log in one form until there are n changes.
func (r *reading) changes(t *testing.T, selector source.Selector, binary bool, n int) []source.Change {
	t.Helper()
	found, err := r.follow(t, r.source(t, selector), binary, n)
	if err != nil {
		t.Fatalf("reading the log, binary %v: %v", binary, err)
	}
	return found
}

func (r *reading) follow(t *testing.T, s *Source, binary bool, n int) ([]source.Change, error) {
	t.Helper()
	w := new(wire)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	settings := s.conn.Config.Copy()
	settings.RuntimeParams["replication"], settings.BuildFrontend = "database", w.frontend
	conn, err := pgconn.ConnectConfig(ctx, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(ctx, conn)
	slot := r.cfg.Slot + "_text"
	if binary {
		slot = r.cfg.Slot + "_binary"
	}
	err = pglogrepl.StartReplication(ctx, conn, quoteName(slot), 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: s.pluginArguments(binary),
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &pgoutput{selector: s.selector, catalog: lookup{s.conn}, relations: map[uint32]*relation{}, binary: binary, textOnly: &s.textOnly}
	if err := conn.Conn().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var b source.Batch
	for len(b.Changes) < n || d.open {
		kind, body, ok, err := w.next()
		switch {
		case err != nil:
			t.Fatal(err)
		case !ok:
			if err := w.fill(); err != nil {
				t.Fatalf("after %d changes of %d: %v", len(b.Changes), n, err)
			}
		case kind == 'E':
			t.Fatal(serverError(body))
		case kind == 'd' && body[0] == 'w':
			if err := d.decode(ctx, &b, body[25:]); err != nil {
				return b.Changes, err
			}
		}
	}
	return b.Changes, nil
}

// wants compares the messages that rules make of changes: operation, key and value.
func wants(t *testing.T, rules []route.Rule, enc route.Encoding, changes []source.Change, want []string) {
	t.Helper()
	router, err := route.New("shop", rules, enc)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var buf route.Buffer
	for i := range changes {
		made, err := router.Append(nil, &buf, &changes[i])
		if err != nil {
			t.Fatalf("%s: %v", changes[i].Table.Name, err)
		}
		for _, m := range made {
			got = append(got, fmt.Sprintf("%s %s %s", m.Op, m.Key, m.Value))
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d messages, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("got\n\t%s\nwant\n\t%s", got[i], want[i])
		}
	}
}

// identical fails unless both forms gave the same changes.
func identical(t *testing.T, text, binary []source.Change) {
	t.Helper()
	if len(text) != len(binary) {
		t.Fatalf("got %d changes from binary, %d from text", len(binary), len(text))
	}
	same := func(a, b source.Value) bool { return a.Kind == b.Kind && bytes.Equal(a.Bytes, b.Bytes) }
	for i := range text {
		if !slices.EqualFunc(text[i].New, binary[i].New, same) || !slices.EqualFunc(text[i].Old, binary[i].Old, same) {
			t.Errorf("%s: got %q %q from binary, %q %q from text", text[i].Table.Name, binary[i].New, binary[i].Old, text[i].New, text[i].Old)
		}
	}
}
