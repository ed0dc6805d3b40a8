package raftstate

import (
	"maps"
	"slices"

	"github.com/kafkasync/kafkasync/source"
)

// model says the same as state in other words: it remembers every command that
// was accepted, and answers by looking back.
type model struct{ accepted []command }

func (m *model) epoch(pipeline string) (epoch uint64) {
	for _, c := range m.accepted {
		if g, ok := c.(grant); ok && g.pipeline == pipeline {
			epoch++
		}
	}
	return epoch
}

func (m *model) accepts(c command) bool {
	if c, ok := c.(commit); ok {
		for _, old := range m.accepted {
			if o, ok := old.(commit); ok && o.pipeline == c.pipeline && o.epoch == c.epoch && o.n >= c.n {
				return false
			}
		}
		if c.n == 0 {
			return false
		}
	}
	if !m.acceptsPair(c) {
		return false
	}
	pipeline, epoch, under := lease(c)
	return !under || epoch > 0 && epoch == m.epoch(pipeline)
}

// lease is what a command names that needs one.
func lease(c command) (pipeline string, epoch uint64, under bool) {
	switch c := c.(type) {
	case commit:
		return c.pipeline, c.epoch, true
	case raise:
		return c.pipeline, c.epoch, true
	case declare:
		return c.pipeline, c.epoch, true
	case cover:
		return c.pipeline, c.epoch, true
	case skip:
		return c.pipeline, c.epoch, true
	case drop:
		return c.pipeline, c.epoch, true
	case use:
		return c.pipeline, c.epoch, true
	default:
		return "", 0, false
	}
}

// of are the accepted commands under leases of a pipeline, since it was last dropped.
func (m *model) of(pipeline string) (since []command) {
	for _, c := range m.accepted {
		if name, _, _ := lease(c); name != pipeline {
			continue
		}
		if _, ok := c.(drop); ok {
			since = nil
			continue
		}
		since = append(since, c)
	}
	return since
}

// record is what is known of a pipeline, but for its gaps.
func (m *model) record(pipeline string) record {
	r := record{epoch: m.epoch(pipeline)}
	for _, c := range m.accepted { // what a drop does not touch
		switch c := c.(type) {
		case grant:
			if c.pipeline == pipeline {
				r.holder, r.n, r.ceiling = c.holder, 0, max(r.ceiling, c.micros, 1)
			}
		case commit:
			if c.pipeline == pipeline {
				r.n = c.n
			}
		case raise:
			if c.pipeline == pipeline {
				r.ceiling = max(r.ceiling, c.ceiling)
			}
		}
	}
	for _, c := range m.of(pipeline) {
		switch c := c.(type) {
		case commit:
			r.position, r.intact = c.position, c.intact
		case declare:
			r.declared = true
		case cover:
			r.covered = c.covered
		case skip:
			r.position, r.declared, r.intact = c.position, true, ""
		}
	}
	_, r.lost = m.losses(pipeline)
	return r
}

// closedLoss is a loss and the command that ended it.
type closedLoss struct {
	loss

	to source.Position
	at int // in of(pipeline)
}

// losses are what was given up, and the one that still lasts.
func (m *model) losses(pipeline string) (closed []closedLoss, open *loss) {
	var position source.Position
	covered := 0
	for i, c := range m.of(pipeline) {
		switch c := c.(type) {
		case cover:
			covered = len(c.covered)
			continue
		case skip:
			if open == nil {
				open = &loss{from: position, cause: c.cause}
			}
			position = c.position
		case commit:
			position = c.position
		default:
			continue
		}
		if open != nil && position != "" && covered > 0 {
			closed = append(closed, closedLoss{*open, position, i})
			open = nil
		}
	}
	return closed, open
}

// gaps are those of each table, from the oldest to the newest.
func (m *model) gaps(pipeline string) map[string][]source.Gap {
	all := map[string][]source.Gap{}
	var covered []source.Coverage
	closed, _ := m.losses(pipeline)
	for i, c := range m.of(pipeline) {
		if c, ok := c.(cover); ok {
			all = renamed(all, covered, c.covered)
			covered = c.covered
			for _, g := range c.gaps {
				all[g.Table] = withGap(all[g.Table], g)
			}
		}
		for _, l := range closed {
			if l.at != i || l.from == l.to {
				continue
			}
			for _, of := range covered {
				if of.Until == "" {
					all[of.Table] = withGap(all[of.Table], source.Gap{Table: of.Table, From: l.from, To: l.to, Cause: l.cause})
				}
			}
		}
	}
	return all
}

// renamed is what becomes of the gaps when what is covered changes: those of a table whose name is
// gone go with its ID to a new name, or are forgotten.
func renamed(all map[string][]source.Gap, before, after []source.Coverage) map[string][]source.Gap {
	kept := maps.Clone(all)
	for _, was := range before {
		if covers(after, was.Table) {
			continue
		}
		delete(kept, was.Table)
		for _, is := range after {
			if is.ID == was.ID && is.ID != "" && !covers(before, is.Table) {
				kept[is.Table] = nil
				for _, g := range all[was.Table] {
					g.Table = is.Table
					kept[is.Table] = append(kept[is.Table], g)
				}
				break
			}
		}
	}
	return kept
}

func covers(list []source.Coverage, table string) bool {
	return slices.ContainsFunc(list, func(c source.Coverage) bool { return c.Table == table })
}

func withGap(gaps []source.Gap, g source.Gap) []source.Gap {
	switch {
	case slices.Contains(gaps, g):
		return gaps
	case g.From == "":
		return []source.Gap{g}
	}
	gaps = append(gaps, g)
	if len(gaps) > maxGaps {
		gaps[1].From, gaps[1].Cause = gaps[0].From, gaps[0].Cause
		gaps = gaps[1:]
	}
	return gaps
}

func byTable(gaps []source.Gap) map[string][]source.Gap {
	all := map[string][]source.Gap{}
	for _, g := range gaps {
		all[g.Table] = append(all[g.Table], g)
	}
	return all
}
