package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// span is a range of the log, without its end.
type span struct{ from, to uint64 }

func (s span) holds(lsn uint64) bool { return s.from <= lsn && lsn < s.to }

// life is a table from its creation, or the beginning of the run, to when it was dropped.
type life struct {
	born  uint64 // no commit of it lies before this place; 0: it was there from the start
	ended uint64 // all of them do before this one; 0: it is still there
	gaps  []span // that were registered, as of its end
}

// covered reports whether the table is known to have been covered in this life:
// a table that came later is covered from the end of a gap on.
func (l *life) covered() bool {
	return l.born == 0 || slices.ContainsFunc(l.gaps, func(g span) bool { return g.to > l.born })
}

// excuses reports whether a commit of the table need not be in Kafka. Who drops
// a table before it was ever covered gets nothing.
func (l *life) excuses(lsn uint64) bool {
	return !l.covered() && l.ended != 0 || slices.ContainsFunc(l.gaps, func(g span) bool { return g.holds(lsn) })
}

// excused says which changes of a table need not be in Kafka, because a gap names them.
type excused map[string][]life // by topic

func (e excused) at(topic string, lsn uint64) bool {
	for _, l := range e[topic] {
		if l.ended == 0 || lsn < l.ended {
			return l.excuses(lsn)
		}
	}
	return false
}

// add begins to write to a table that was created, again or for the first time.
func (l *load) add(k *kind, born uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives[k.name] = append(l.lives[k.name], life{born: born})
	l.kinds = append(l.kinds, k)
	if !slices.Contains(l.names, k.name) {
		l.names = append(l.names, k.name)
	}
}

// interrupt notes that a table must have a gap that ends behind a place.
func (l *load) interrupt(name string, at uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives[name] = []life{{born: at}}
}

// remove ends the writing to a table.
func (l *load) remove(k *kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds = slices.DeleteFunc(l.kinds, func(o *kind) bool { return o == k })
}

func (l *load) kind(name string) *kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kinds[slices.IndexFunc(l.kinds, func(k *kind) bool { return k.name == name })]
}

// changeable lists the tables that there are, and that may have gaps.
func (l *load) changeable() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, k := range l.kinds {
		if l.lives[k.name] != nil {
			names = append(names, k.name)
		}
	}
	return names
}

// end notes that a table was dropped, with the gaps that it had.
func (l *load) end(name string, gaps []span, ended uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lives[name]) == 0 {
		l.lives[name] = []life{{}}
	}
	last := &l.lives[name][len(l.lives[name])-1]
	last.gaps, last.ended = gaps, ended
}

// present returns the present life of a table.
func (l *load) present(name string) life {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := l.lives[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return life{}
}

// excuses gives every table that is still there the gaps that are registered, and
// returns what they excuse. A gap of a table that nobody touched is a problem.
func (c *crew) excuses(gaps []web.Gap) (excused, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []string
	for _, g := range gaps {
		name := strings.TrimPrefix(g.Table, "public.")
		if c.lives[name] == nil {
			problems = append(problems, fmt.Sprintf("%s has a gap from %q to %q (%s), and nobody has touched it", g.Table, g.From, g.To, g.Cause))
		}
	}
	out := excused{}
	for _, name := range c.names {
		lives := slices.Clone(c.lives[name])
		if len(lives) == 0 {
			lives = []life{{}}
		}
		if last := &lives[len(lives)-1]; last.ended == 0 {
			var err error
			if last.gaps, err = spansOf(gaps, name); err != nil {
				problems = append(problems, err.Error())
			}
		}
		out[c.topic(name)] = lives
	}
	return out, problems
}

// spansOf returns the gaps of a table. One that has no end yet is an error.
func spansOf(gaps []web.Gap, name string) ([]span, error) {
	var spans []span
	for _, g := range gaps {
		if g.Table != "public."+name {
			continue
		}
		s := span{}
		var err error
		if g.From != "" {
			s.from, err = placeIn(g.From)
		}
		if err == nil {
			s.to, err = placeIn(g.To)
		}
		if err != nil {
			return nil, fmt.Errorf("the gap of %s from %q to %q: %w", g.Table, g.From, g.To, err)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// placeIn returns the place in a position.
func placeIn(position string) (uint64, error) {
	return parseLSN(position[strings.LastIndexByte(position, ':')+1:])
}

// uncovered says which table of the load is not covered in its present life, if any.
func (s *site) uncovered(ctx context.Context, l *load, name string) string {
	status, err := s.status(ctx)
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(status.Pipelines[0].Tables, "public."+name) {
		return name + " is not covered"
	}
	now := l.present(name)
	if now.gaps, err = spansOf(status.Gaps, name); err != nil {
		return err.Error()
	}
	if !now.covered() {
		return fmt.Sprintf("%s, created by %s, has the gaps %v, want one that ends behind that", name, formatLSN(now.born), now.gaps)
	}
	return ""
}

// settled waits until every table of the load that there is, is covered.
func (s *site) settled(t testing.TB, l *load) {
	t.Helper()
	for _, name := range l.changeable() {
		eventually(t, time.Minute, func() string { return s.uncovered(t.Context(), l, name) })
	}
}
