package raftstate

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

func gap(table, from, to string) source.Gap {
	return source.Gap{Table: table, From: source.Position(from), To: source.Position(to), Cause: "why"}
}

func TestAGapIsAddedToThoseThereAre(t *testing.T) {
	tests := []struct {
		name string
		have []source.Gap
		add  source.Gap
		want []source.Gap
	}{
		{"the first", nil, gap("t", "1", "2"), []source.Gap{gap("t", "1", "2")}},
		{
			"another one",
			[]source.Gap{gap("t", "1", "2")},
			gap("t", "3", "4"),
			[]source.Gap{gap("t", "1", "2"), gap("t", "3", "4")},
		},
		{"the same again", []source.Gap{gap("t", "1", "2")}, gap("t", "1", "2"), []source.Gap{gap("t", "1", "2")}},
		{
			"from the beginning: it holds the others of its table",
			[]source.Gap{gap("t", "1", "2"), gap("u", "1", "2"), gap("t", "3", "4")},
			gap("t", "", "5"),
			[]source.Gap{gap("u", "1", "2"), gap("t", "", "5")},
		},
	}
	for _, tt := range tests {
		before := slices.Clone(tt.have)
		if got := addGap(tt.have, tt.add); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if !reflect.DeepEqual(tt.have, before) {
			t.Errorf("%s: the gaps given were changed to %v, and readers share them", tt.name, tt.have)
		}
	}
}

func TestTheOldestGapsOfATableBecomeOne(t *testing.T) {
	gaps := []source.Gap{gap("u", "1", "2")}
	for i := range maxGaps + 3 {
		gaps = addGap(gaps, gap("t", fmt.Sprint(2*i), fmt.Sprint(2*i+1)))
	}
	of := slices.DeleteFunc(slices.Clone(gaps), func(g source.Gap) bool { return g.Table != "t" })
	if len(of) != maxGaps || len(gaps) != maxGaps+1 {
		t.Fatalf("got %d gaps, %d of the table, want %d of it and the other table's", len(gaps), len(of), maxGaps)
	}
	if first := gap("t", "0", "7"); of[0] != first {
		t.Errorf("got %v as the oldest, want %v, which holds four", of[0], first)
	}
	if last := gap("t", fmt.Sprint(2*maxGaps+4), fmt.Sprint(2*maxGaps+5)); of[maxGaps-1] != last || of[1].From != "8" {
		t.Errorf("got %v and %v, want the newer ones as they were", of[1], of[maxGaps-1])
	}
}

// heldState is one in which "shop" is at p1 and covers a, b, and c, which was interrupted.
func heldState(t *testing.T) state {
	t.Helper()
	s := newState()
	mustApply(t, &s, grant{"shop", "a", 100})
	mustApply(t, &s, declare{"shop", 1})
	mustApply(t, &s, commit{"shop", 1, 1, "p1", ""})
	mustApply(t, &s, cover{"shop", 1, []source.Coverage{{Table: "a", ID: "1"}, {Table: "b", ID: "2"}, {Table: "c", Until: "p0"}}, nil})
	return s
}

func TestWhatIsSkippedIsAGapOfEachCoveredTable(t *testing.T) {
	whole := func(from, to, cause string) []source.Gap {
		return []source.Gap{
			{Table: "a", From: source.Position(from), To: source.Position(to), Cause: cause},
			{Table: "b", From: source.Position(from), To: source.Position(to), Cause: cause},
		}
	}
	tests := []struct {
		name     string
		commands []command
		position source.Position
		gaps     []source.Gap
		lost     *loss
	}{
		{"to a position", []command{skip{"shop", 1, "p5", "x"}}, "p5", whole("p1", "p5", "x"), nil},
		{"to where it is", []command{skip{"shop", 1, "p1", "x"}}, "p1", nil, nil},
		{"to a server that is prepared again", []command{skip{"shop", 1, "", "x"}}, "", nil, &loss{"p1", "x"}},
		{
			"and closed by the first commit",
			[]command{skip{"shop", 1, "", "x"}, commit{"shop", 1, 2, "p7", ""}, commit{"shop", 1, 3, "p8", ""}},
			"p8", whole("p1", "p7", "x"), nil,
		},
		{
			"under the next lease too",
			[]command{skip{"shop", 1, "", "x"}, grant{"shop", "b", 100}, commit{"shop", 2, 1, "p7", ""}},
			"p7", whole("p1", "p7", "x"), nil,
		},
		{
			"twice before a commit: it began with the first",
			[]command{skip{"shop", 1, "", "x"}, skip{"shop", 1, "", "y"}, commit{"shop", 1, 2, "p7", ""}},
			"p7", whole("p1", "p7", "x"), nil,
		},
		{
			"and then to a position",
			[]command{skip{"shop", 1, "", "x"}, skip{"shop", 1, "p6", "y"}},
			"p6", whole("p1", "p6", "x"), nil,
		},
		{
			"before it was known what is covered",
			[]command{cover{"shop", 1, nil, nil}, skip{"shop", 1, "p6", "x"}, commit{"shop", 1, 2, "p7", ""}},
			"p7", nil, &loss{"p1", "x"},
		},
		{
			"which then becomes known",
			[]command{
				cover{"shop", 1, nil, nil},
				skip{"shop", 1, "p6", "x"},
				cover{"shop", 1, []source.Coverage{{Table: "a"}, {Table: "b"}}, nil},
				commit{"shop", 1, 2, "p7", ""},
			},
			"p7", whole("p1", "p7", "x"), nil,
		},
	}
	for _, tt := range tests {
		s := heldState(t)
		var r record
		for _, c := range tt.commands {
			r = mustApply(t, &s, c)
		}
		if r.position != tt.position || !reflect.DeepEqual(r.gaps, tt.gaps) || !reflect.DeepEqual(r.lost, tt.lost) || !r.declared {
			t.Errorf("%s: got %+v, want %q with %v, lost %v, declared", tt.name, r, tt.position, tt.gaps, tt.lost)
		}
	}
}

func TestASkipDeclaresASlotThatWasFound(t *testing.T) {
	s := newState()
	mustApply(t, &s, grant{"shop", "a", 100})
	mustApply(t, &s, skip{"shop", 1, "", "adopted"})
	mustApply(t, &s, cover{"shop", 1, []source.Coverage{{Table: "a"}}, nil})
	r := mustApply(t, &s, commit{"shop", 1, 1, "p3", ""})
	want := []source.Gap{{Table: "a", To: "p3", Cause: "adopted"}}
	if !r.declared || !reflect.DeepEqual(r.gaps, want) {
		t.Errorf("got declared %t and %v, want a gap from the table's beginning", r.declared, r.gaps)
	}
}

func TestATableThatIsForgottenTakesItsGapsAlong(t *testing.T) {
	s := heldState(t)
	mustApply(t, &s, skip{"shop", 1, "p5", "x"})
	shared := s.pipelines["shop"].gaps
	r := mustApply(t, &s, cover{"shop", 1, []source.Coverage{{Table: "b", ID: "2"}}, []source.Gap{gap("new", "", "p6")}})
	want := []source.Gap{{Table: "b", From: "p1", To: "p5", Cause: "x"}, gap("new", "", "p6")}
	if !reflect.DeepEqual(r.gaps, want) {
		t.Errorf("got %v, want %v", r.gaps, want)
	}
	if len(shared) != 2 || shared[0].Table != "a" {
		t.Errorf("the gaps that readers hold became %v", shared)
	}
}

func TestATableThatIsRenamedKeepsItsGaps(t *testing.T) {
	s := heldState(t)
	mustApply(t, &s, skip{"shop", 1, "p5", "x"})
	shared := s.pipelines["shop"].gaps
	r := mustApply(t, &s, cover{"shop", 1, []source.Coverage{{Table: "z", ID: "1"}, {Table: "b", ID: "2"}}, nil})
	want := []source.Gap{{Table: "z", From: "p1", To: "p5", Cause: "x"}, {Table: "b", From: "p1", To: "p5", Cause: "x"}}
	if !reflect.DeepEqual(r.gaps, want) {
		t.Errorf("got %v, want %v", r.gaps, want)
	}
	if shared[0].Table != "a" {
		t.Errorf("the gaps that readers hold became %v", shared)
	}
}

func TestADropForgetsAllButWhatMustGrow(t *testing.T) {
	s := heldState(t)
	mustApply(t, &s, raise{"shop", 1, 900})
	mustApply(t, &s, skip{"shop", 1, "", "x"})
	r := mustApply(t, &s, drop{"shop", 1})
	if want := (record{epoch: 1, holder: "a", n: 1, ceiling: 900}); !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if _, err := s.apply(commit{"shop", 1, 1, "p9", ""}); err == nil {
		t.Error("a commit with an old number was accepted after the drop")
	}
}

func TestOpenGapsAreShown(t *testing.T) {
	m := newMachine()
	m.state = heldState(t)
	mustApply(t, &m.state, skip{"shop", 1, "p5", "x"})
	mustApply(t, &m.state, skip{"shop", 1, "", "y"})
	got := m.status().Pipelines[0].Gaps
	want := []source.Gap{
		{Table: "a", From: "p1", To: "p5", Cause: "x"},
		{Table: "b", From: "p1", To: "p5", Cause: "x"},
		{Table: "a", From: "p5", Cause: "y"},
		{Table: "b", From: "p5", Cause: "y"},
		{Table: "c", From: "p0", Cause: "the table is not covered any more"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
