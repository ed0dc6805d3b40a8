package postgres_test

import (
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// Were the form chosen by the catalog alone, each attempt would end at the same place.
func TestALogThatTurnsOutNotToBeBinaryIsReadAsTextByTheNextAttempt(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	reader, memory := db.open(t, columns{"public.t": {"id", "v"}}), sourcetest.Fresh()
	head, err := reader.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	p := openTape(t, reader, head, memory.Again())
	db.run(t, "INSERT INTO t VALUES (1, '10.0.0.1')")
	p.wants(t, "public.t c id=1 v=10.0.0.1")
	db.run(t, "ALTER TABLE t ALTER v TYPE inet USING v::inet", "UPDATE t SET v = '10.0.0.2'", "ALTER TABLE t ALTER v TYPE text", "UPDATE t SET v = 'b'")
	var b source.Batch
	for err == nil {
		if err = p.stream.Next(t.Context(), &b); err == nil && len(b.Changes) > 0 {
			t.Fatalf("got %d changes, want an error: was the log asked for in text form?", len(b.Changes))
		}
	}
	if kafkasync.ClassOf(err) != kafkasync.Retry || !strings.Contains(err.Error(), `column "v" of public.t`) {
		t.Fatalf("got %v, want an error of class retry that names the column", err)
	}
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	openTape(t, reader, p.pos, memory.Again()).wants(t, "public.t u id=1 v=10.0.0.2", "public.t u id=1 v=b")
}
