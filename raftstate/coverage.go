package raftstate

import (
	"slices"

	"github.com/kafkasync/kafkasync/source"
)

// maxGaps bounds what is kept of one table. Above it the two oldest become one that
// holds both: gaps are for a person, or a backfill, to close, and the state must stay small.
const maxGaps = 16

// addGap returns gaps with more. One that is there already, because a run was cut short before it
// knew that it had stored it, is not added again. A gap from the table's beginning
// holds all earlier ones of the table: it ends later.
func addGap(gaps []source.Gap, more ...source.Gap) []source.Gap {
	gaps = slices.Clone(gaps) // the state's slices are shared with readers, so none is changed in place
	for _, g := range more {
		gaps = insertGap(gaps, g)
	}
	return gaps
}

// insertGap is addGap in place.
func insertGap(gaps []source.Gap, g source.Gap) []source.Gap {
	if slices.Contains(gaps, g) {
		return gaps
	}
	if g.From == "" {
		gaps = slices.DeleteFunc(gaps, func(o source.Gap) bool { return o.Table == g.Table })
		return append(gaps, g)
	}
	gaps = append(gaps, g)
	first, second, count := -1, -1, 0
	for i := range gaps {
		if gaps[i].Table != g.Table {
			continue
		}
		switch count++; count {
		case 1:
			first = i
		case 2:
			second = i
		}
	}
	if count > maxGaps {
		gaps[first].To = gaps[second].To
		gaps = slices.Delete(gaps, second, second+1)
	}
	return gaps
}

// replaceCovered replaces what is covered. What a table that is no longer in it lacked
// is of no interest any more: if it is covered again, it lacks everything before that. One
// that is there under a new name, with the ID of before, keeps what it lacks.
func (r *record) replaceCovered(covered []source.Coverage) {
	before := make(map[string]bool, len(r.covered))
	for _, was := range r.covered {
		before[was.Table] = true
	}
	now, renamed := make(map[string]bool, len(covered)), map[string]string{} // by name; by ID, the new name
	for _, is := range covered {
		now[is.Table] = true
		if _, known := renamed[is.ID]; !known && is.ID != "" && !before[is.Table] {
			renamed[is.ID] = is.Table
		}
	}
	names := map[string]string{} // of now, of those that have gone from under their name; "" of what is covered no longer
	for _, was := range r.covered {
		if !now[was.Table] {
			names[was.Table] = renamed[was.ID]
		}
	}
	r.covered = covered
	var gaps []source.Gap
	for _, g := range r.gaps {
		name, gone := names[g.Table]
		switch {
		case !gone:
			gaps = append(gaps, g)
		case name != "":
			g.Table = name
			gaps = append(gaps, g)
		}
	}
	r.gaps = gaps
}

// closeLoss makes gaps of what was given up, now that its end is known: one for each table
// whose coverage was not interrupted; what an interrupted one lacks is known when it begins
// again. While it is not known what is covered, the loss stays open.
func (r *record) closeLoss() {
	if r.lost == nil || len(r.covered) == 0 {
		return
	}
	if r.lost.from != r.position { // else nothing lies between
		var given []source.Gap
		for _, c := range r.covered {
			if c.Until == "" {
				given = append(given, source.Gap{Table: c.Table, From: r.lost.from, To: r.position, Cause: r.lost.cause})
			}
		}
		r.gaps = addGap(r.gaps, given...)
	}
	r.lost = nil
}

// openGaps are the gaps whose end is not known yet.
func (r *record) openGaps() []source.Gap {
	var open []source.Gap
	for _, c := range r.covered {
		switch {
		case c.Until != "":
			open = append(open, source.Gap{Table: c.Table, From: c.Until, Cause: "the table is not covered any more"})
		case r.lost != nil:
			open = append(open, source.Gap{Table: c.Table, From: r.lost.from, Cause: r.lost.cause})
		}
	}
	return open
}

func putCovered(b []byte, covered []source.Coverage) []byte {
	b = putUint(b, uint64(len(covered)))
	for _, c := range covered {
		b = putString(putString(b, c.Table), c.ID)
		b = putString(putString(b, string(c.Since)), string(c.Until))
	}
	return b
}

func (r *reader) covered() []source.Coverage {
	var covered []source.Coverage
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		covered = append(covered, source.Coverage{
			Table: r.string(), ID: r.string(), Since: source.Position(r.string()), Until: source.Position(r.string()),
		})
	}
	return covered
}

func putGaps(b []byte, gaps []source.Gap) []byte {
	b = putUint(b, uint64(len(gaps)))
	for _, g := range gaps {
		b = putString(putString(b, g.Table), string(g.From))
		b = putString(putString(b, string(g.To)), g.Cause)
	}
	return b
}

func (r *reader) gaps() []source.Gap {
	var gaps []source.Gap
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		gaps = append(gaps, source.Gap{
			Table: r.string(), From: source.Position(r.string()), To: source.Position(r.string()), Cause: r.string(),
		})
	}
	return gaps
}

func putLoss(b []byte, l *loss) []byte {
	if l == nil {
		return putBool(b, false)
	}
	return putString(putString(putBool(b, true), string(l.from)), l.cause)
}

func (r *reader) loss() *loss {
	if !r.bool() {
		return nil
	}
	return &loss{from: source.Position(r.string()), cause: r.string()}
}
