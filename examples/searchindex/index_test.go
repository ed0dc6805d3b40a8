package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/kafkasync/kafkasync/consumer"
)

// A process that was frozen holds an old row; what it writes when it wakes up changes nothing.
func TestNothingOlderTakesThePlaceOfSomethingNewer(t *testing.T) {
	x, err := openIndex(filepath.Join(t.TempDir(), "index"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.bleve.Close()
	put := func(id, version int64, name string) {
		t.Helper()
		if err := x.upsert(t.Context(), []consumer.Item[int64, product]{{ID: id, Row: product{Name: name}, Version: version}}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(id, version int64) {
		t.Helper()
		if err := x.remove(t.Context(), []consumer.Ref[int64]{{ID: id, Version: version}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, words string, ids ...string) {
		t.Helper()
		if got, err := x.search(t.Context(), words); err != nil || !slices.Equal(got, ids) {
			t.Errorf("%s: searching for %s got %q (%v), want %q", what, words, got, err, ids)
		}
	}
	put(1, 20, "red teapot")
	put(1, 10, "blue teapot")
	want("an older row came late", "blue")
	put(1, 21, "green teapot") // the twin of 20
	want("a twin", "teapot", "1")
	want("a twin", "green", "1")
	remove(1, 20)
	want("an older delete came late", "teapot", "1")
	remove(1, 30)
	want("it was deleted", "teapot")
	put(1, 22, "green teapot")
	want("an older row came after the delete", "teapot")
	put(2, 40, "old kettle")
	put(3, 60, "new kettle")
	if err := x.truncate(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	want("a truncate", "kettle", "3")
	put(2, 41, "old kettle")
	want("a row from before the truncate came late", "kettle", "3")
}
