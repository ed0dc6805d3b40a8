package source

import (
	"testing"
	"time"
)

func TestOnlyWhoIsBehindWaitsForMore(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	some, many := make([]Change, 3), make([]Change, gatherChanges)
	for _, c := range []struct {
		name  string
		batch Batch
		after time.Duration // since the batch held something
		want  bool
	}{
		{"nothing", Batch{}, 0, false},
		{"a position", Batch{Pos: "7:1:0/1"}, 0, true},
		{"a change, and no more is known", Batch{Changes: some, Behind: gatherBehind - 1}, 0, true},
		{"a change, and much is known to follow", Batch{Changes: some, Pos: "7:1:0/1", Behind: gatherBehind}, 0, false},
		{"the same a little later", Batch{Changes: some, Behind: gatherBehind}, gatherFor - 1, false},
		{"the same, late enough", Batch{Changes: some, Behind: gatherBehind}, gatherFor, true},
		{"many", Batch{Changes: many, Behind: gatherBehind}, 0, true},
	} {
		var g Gathering
		got := g.Enough(&c.batch, now)
		if c.after > 0 {
			got = g.Enough(&c.batch, now.Add(c.after))
		}
		if got != c.want {
			t.Errorf("%s: got enough %t, want %t", c.name, got, c.want)
		}
	}
}
