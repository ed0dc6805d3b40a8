// Package route turns the changes of a database into messages, as the rules of
// the file say.
//
// It promises that what a message holds follows from the rule and the change
// alone, that every value it writes is valid JSON, and that a key is never
// guessed: what cannot be told from the log is an error, nothing is passed over.
// It does no I/O and allocates nothing per row.
package route

import (
	"errors"
	"slices"
	"sync"
)

// Router is the rules of one pipeline. Its methods may run beside one another.
type Router struct {
	pipeline string
	enc      Encoding
	rules    []*rule

	mu     sync.Mutex
	claims map[string]claim // by topic
}

// New checks the rules and returns all problems joined. What a rule needs of a
// table is known only with the table: see Columns and Topics.
func New(pipeline string, rules []Rule, enc Encoding) (*Router, error) {
	r := &Router{pipeline: pipeline, enc: enc, claims: map[string]claim{}}
	var problems []error
	if pipeline == "" {
		problems = append(problems, errors.New("the pipeline has no name"))
	}
	if len(rules) == 0 {
		problems = append(problems, errors.New("there is no rule, so no table would be captured"))
	}
	for i, one := range rules {
		compiled, err := compile(one, i, pipeline)
		problems = append(problems, err)
		r.rules = append(r.rules, compiled)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, r.claimNamed()
}

// Captures reports whether changes of the table are wanted.
func (r *Router) Captures(table string) bool { return r.find(table) != nil }

// Rule returns the rule that decides about the table, which may be one to skip
// it; false if there is none.
func (r *Router) Rule(table string) (Rule, bool) {
	for _, one := range r.rules {
		if one.match.covers(table) {
			return one.Rule, true
		}
	}
	return Rule{}, false
}

// Mentions reports whether a rule decides about the table, also to skip it.
func (r *Router) Mentions(table string) bool {
	_, ok := r.Rule(table)
	return ok
}

// Key names the columns of the message key of a captured table, given its
// primary key in key order.
func (r *Router) Key(table string, primaryKey []string) []string {
	one := r.find(table)
	if one == nil || len(one.Key) == 0 {
		return primaryKey
	}
	return one.Key
}

// Unmatched returns the tables that rules name in full, to capture them, and
// that are not among the tables given.
func (r *Router) Unmatched(tables []string) []string {
	var missing []string
	for _, one := range r.rules {
		if one.match.literal() && !one.Skip && !slices.Contains(tables, one.Match) {
			missing = append(missing, one.Match)
		}
	}
	return missing
}

// find returns the rule of a captured table, nil if the table is not captured.
func (r *Router) find(table string) *rule {
	for _, one := range r.rules {
		if !one.match.covers(table) {
			continue
		}
		if one.Skip {
			return nil
		}
		return one
	}
	return nil
}
