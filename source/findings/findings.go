// Package findings collects what a source finds when it looks a server over.
//
// It promises that a check is said to have passed only as long as nothing was found wrong
// under its id, whichever was said first.
package findings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
)

// List is the findings of one look. The zero List is empty.
type List struct{ problems, fine []kafkasync.Finding }

// All returns the problems in the order in which they were found, then what passed.
func (l *List) All() []kafkasync.Finding { return append(slices.Clone(l.problems), l.fine...) }

// Errorf reports what keeps a pipeline from starting, or would lose something.
func (l *List) Errorf(id, why, fix, what string, args ...any) {
	l.report(id, kafkasync.SeverityError, why, fix, fmt.Sprintf(what, args...))
}

// Warnf reports what makes a failure hurt more than it has to.
func (l *List) Warnf(id, why, fix, what string, args ...any) {
	l.report(id, kafkasync.SeverityWarning, why, fix, fmt.Sprintf(what, args...))
}

// report takes back that the check had passed: a later look knew more.
func (l *List) report(id string, severity kafkasync.Severity, why, fix, what string) {
	l.fine = slices.DeleteFunc(l.fine, func(f kafkasync.Finding) bool { return f.ID == id })
	l.problems = append(l.problems, kafkasync.Finding{ID: id, Severity: severity, What: what, Why: why, Fix: fix})
}

// Okf says that a check passed, unless it has reported a problem, or has a hint, which says so as well.
func (l *List) Okf(id, what string, args ...any) {
	hinted := func(f kafkasync.Finding) bool { return f.ID == id && f.Why != "" }
	if !slices.ContainsFunc(l.fine, hinted) {
		l.Hintf(id, "", "", what, args...)
	}
}

// Hintf is Okf with what could be better still.
func (l *List) Hintf(id, why, fix, what string, args ...any) {
	if !l.Reported(id) {
		l.fine = append(l.fine, kafkasync.Finding{ID: id, Severity: kafkasync.SeverityOK, What: fmt.Sprintf(what, args...), Why: why, Fix: fix})
	}
}

// Reported reports whether one of these checks has found a problem.
func (l *List) Reported(ids ...string) bool {
	return slices.ContainsFunc(l.problems, func(f kafkasync.Finding) bool { return slices.Contains(ids, f.ID) })
}

// Failed reports that nobody could look. command turns the way out of a fault into what an operator types.
func (l *List) Failed(id string, err error, command func(fix string) string) {
	f := kafkasync.Finding{ID: id, Severity: kafkasync.SeverityError, What: err.Error(), Fix: "run kafkasync check again"}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		f.What, f.Why = fault.What, "the pipeline does not start until this is fixed"
		if fault.Err != nil {
			f.Why = fault.Err.Error()
		}
		if fault.Fix != "" {
			f.Fix = command(fault.Fix)
		}
	}
	l.problems = append(l.problems, f)
}

// Rules is what a source.Selector may know beyond its contract.
type Rules interface {
	// Unmatched names the tables that rules name in full, to capture them, and that are not among those given.
	Unmatched(tables []string) []string
	// Mentions reports whether a rule decides about the table, also to skip it.
	Mentions(table string) bool
}

// Names lists what is to be read in one line; a long list is cut.
func Names(all []string) string {
	const most = 50
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

// Counted is "1 table" or "3 tables".
func Counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Nearest returns the name that takes the fewest edits to reach, or "" if none is near.
func Nearest(name string, all []string) string {
	best, at := "", len(name)/3+1
	for _, candidate := range all {
		if d := distance(name, candidate); d < at {
			best, at = candidate, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
