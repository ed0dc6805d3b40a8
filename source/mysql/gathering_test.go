package mysql

import (
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

func TestOnlyWhoIsBehindWaitsForMore(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	some, many := make([]source.Change, 3), make([]source.Change, gatherChanges)
	for _, c := range []struct {
		name  string
		batch source.Batch
		after time.Duration // since the batch held something
		want  bool
	}{
		{"nothing", source.Batch{}, 0, false},
		{"a position", source.Batch{Pos: "7:1:0/1"}, 0, true},
		{"a change, and no more is known", source.Batch{Changes: some, Behind: gatherBehind - 1}, 0, true},
		{"a change, and much is known to follow", source.Batch{Changes: some, Pos: "7:1:0/1", Behind: gatherBehind}, 0, false},
		{"the same a little later", source.Batch{Changes: some, Behind: gatherBehind}, gatherFor - 1, false},
		{"the same, late enough", source.Batch{Changes: some, Behind: gatherBehind}, gatherFor, true},
		{"many", source.Batch{Changes: many, Behind: gatherBehind}, 0, true},
	} {
		var g gathering
		got := g.enough(&c.batch, now)
		if c.after > 0 {
			got = g.enough(&c.batch, now.Add(c.after))
		}
		if got != c.want {
			t.Errorf("%s: got enough %t, want %t", c.name, got, c.want)
		}
	}
}
