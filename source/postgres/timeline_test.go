package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"

	"github.com/kafkasync/kafkasync"
)

func TestAHistoryIsReadAsTheServerWritesIt(t *testing.T) {
	history, err := parseHistory([]byte("1\t0/3000000\tno recovery target specified\n\n# by hand\n 2\t16/B374D848\tbefore 2026-11-21 10:50:00+00\n4 16/B374D900\n"))
	want := []ancestor{{1, 0x3000000}, {2, 0x16B374D848}, {4, 0x16B374D900}}
	if err != nil || len(history) != len(want) {
		t.Fatalf("got %v %v, want %v", history, err, want)
	}
	for i, a := range history {
		if a != want[i] {
			t.Errorf("got %v, want %v", a, want[i])
		}
	}
	for _, text := range []string{"1", "x\t0/1\tw", "0\t0/1\tw", "-1\t0/1\tw", "1\t01\tw", "2\t0/1\tw\n1\t0/2\tw", "1\t0/1\tw\n1\t0/2\tw", "99999999999\t0/1\tw"} {
		if history, err := parseHistory([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, history)
		}
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte("1\t0/3000000\tno recovery target specified\n2\t0/4000000\tx\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		history, err := parseHistory(content)
		for i, a := range history {
			if a.timeline < 1 || i > 0 && a.timeline <= history[i-1].timeline {
				t.Errorf("got %v, want timelines that grow", history)
			}
		}
		if err == nil && len(history) > strings.Count(string(content), "\n")+1 {
			t.Errorf("got %d ancestors of %q", len(history), content)
		}
	})
}

// The places are those of a server that was promoted at 0/500, on timeline 3.
func TestAnotherTimelineIsReadOnlyWhereBothHistoriesAgree(t *testing.T) {
	history := []ancestor{{1, 0x200}, {3, 0x500}}
	at := func(timeline int32, lsn pglogrepl.LSN) place { return place{"7", timeline, lsn} }
	for _, c := range []struct {
		name           string
		server         place
		confirmed      pglogrepl.LSN
		checkpoint     place
		want, wantsFix string // "": it is read
	}{
		{"the slot before the checkpoint, that before the switch", at(5, 0x900), 0x300, at(3, 0x400), "", ""},
		{"the slot at the checkpoint, that at the switch", at(5, 0x900), 0x500, at(3, 0x500), "", ""},
		{"a checkpoint that the new primary has lost", at(5, 0x900), 0x300, at(3, 0x800), "", ""},
		{"two switches", at(5, 0x900), 0x100, at(1, 0x200), "", ""},
		{"a slot beyond the checkpoint", at(5, 0x900), 0x450, at(3, 0x400), "stands at 0/450, beyond the checkpoint at 0/400", "--adopt-slot"},
		{"a slot that was read on the new timeline", at(5, 0x900), 0x600, at(3, 0x800), "left timeline 3 at 0/500, and the replication slot s stands at 0/600", "--adopt-slot"},
		{"a branch that is no ancestor", at(5, 0x900), 0x300, at(2, 0x400), "does not descend from timeline 2", "--new-slot"},
		{"the old primary", at(2, 0x900), 0x300, at(3, 0x400), "an old primary that has come back", "point source.postgres.url at the present primary"},
		{"another system", place{"8", 5, 0x900}, 0x300, at(3, 0x400), "its system identifier is 8", "--new-slot"},
		{"a server restored on the same timeline", at(3, 0x300), 0x200, at(3, 0x400), "restored to an earlier point", "--new-slot"},
		{"a slot made anew on the same timeline", at(3, 0x900), 0x500, at(3, 0x400), "has moved to 0/500", "--adopt-slot"},
	} {
		slot := &slotState{Name: "s", ConfirmedFlush: c.confirmed}
		var err error
		if c.server.system != c.checkpoint.system || c.server.timeline <= c.checkpoint.timeline {
			err = requireReached(c.server, slot, c.checkpoint)
		} else {
			_, err = leftAt(history, c.server, slot, c.checkpoint)
		}
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%s: got %v, want it to be read", c.name, err)
			}
		case kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.wantsFix):
			t.Errorf("%s: got %v, want a stop with %q and %q", c.name, err, c.want, c.wantsFix)
		}
	}
}
