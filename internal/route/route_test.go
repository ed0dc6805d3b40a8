package route_test

import (
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

// committed is when every change of these tests was committed.
var committed = time.UnixMilli(1_700_000_000_123).UTC()

func router(t testing.TB, rules ...route.Rule) *route.Router {
	t.Helper()
	r, err := route.New("shop", rules, route.Encoding{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// table is public.<name> with its primary key, which is empty for "".
func table(name, primaryKey string, columns ...string) *source.Table {
	t := &source.Table{Name: "public." + name, Columns: columns}
	if primaryKey != "" {
		t.PrimaryKey = []string{primaryKey}
	}
	return t
}

func number(digits string) source.Value { return value(source.BigInt, digits) }

func text(s string) source.Value { return value(source.Text, s) }

func value(kind source.Kind, s string) source.Value {
	return source.Value{Kind: kind, Bytes: []byte(s)}
}

func row(values ...source.Value) []source.Value { return values }

func change(t *source.Table, op kafkasync.Op, is, was []source.Value) *source.Change {
	return &source.Change{Table: t, Op: op, New: is, Old: was, Committed: committed, Place: "0/16B3748"}
}
