package route

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
)

// rule is a Rule that has been checked.
type rule struct {
	Rule
	match pattern
	fixed bool // all of its tables have one topic, which the rule names
}

// compile checks what can be checked of one rule without its tables. The
// result is of use only if there is no error.
func compile(given Rule, index int, pipeline string) (*rule, error) {
	var problems []error
	add := func(format string, args ...any) {
		where := fmt.Sprintf("rule %d (%s): ", index+1, given.Match)
		problems = append(problems, errors.New(where+fmt.Sprintf(format, args...)))
	}
	if err := ValidMatch(given.Match); err != nil {
		add("match cannot name a table: %v", err)
	}
	if given.Topic == "" {
		given.Topic = "{table}"
	}
	schema, table, _ := strings.Cut(given.Match, ".")
	r := &rule{Rule: given, match: pattern{schema, table}}
	r.fixed = !strings.Contains(r.Topic, "{schema}") && !strings.Contains(r.Topic, "{table}")
	if r.Skip {
		return r, errors.Join(problems...)
	}
	for _, problem := range r.problems(pipeline) {
		add("%s", problem)
	}
	return r, errors.Join(problems...)
}

// problems says what is wrong with a rule that captures.
func (r *rule) problems(pipeline string) []string {
	var all []string
	if unknown := regexp.MustCompile(`\{[^{}]*\}`).FindString(expand(r.Topic, "x", "x", "x")); unknown != "" {
		all = append(all, fmt.Sprintf("topic has the unknown placeholder %s; there are {pipeline}, {schema} and {table}", unknown))
	} else if trial := expand(r.Topic, pipeline, "x", "x"); !legalTopic(trial) {
		// A table's own name is looked at when the table is seen.
		all = append(all, fmt.Sprintf("Kafka allows no topic named %q: use at most 249 of a-z, A-Z, 0-9, ., _ and -", r.Topic))
	}
	seen := map[string]bool{}
	for _, c := range r.Payload {
		switch {
		case c.Name == "" || c.Source == "":
			all = append(all, "payload has a column without a name")
		case seen[c.Name]:
			all = append(all, fmt.Sprintf("payload holds the name %q twice", c.Name))
		}
		seen[c.Name] = true
	}
	clear(seen)
	for _, name := range r.Key {
		switch {
		case name == "":
			all = append(all, "key has a column without a name")
		case seen[name]:
			all = append(all, fmt.Sprintf("key holds %q twice", name))
		}
		seen[name] = true
	}
	if r.Delay < 0 || r.Delay%time.Millisecond != 0 {
		all = append(all, fmt.Sprintf("delay is %s, want 0 or whole milliseconds", r.Delay))
	}
	if r.Tombstones && r.Delay != 0 {
		all = append(all, "tombstones need delay: 0, because a late delay message would bring a deleted row back")
	}
	if r.Tombstones && r.fixed && !r.match.literal() {
		all = append(all, "tombstones need a topic of their own, but all tables of the pattern share one")
	}
	return all
}

// choose returns the key and the payload of a table, given its columns (at
// least those that the rule names) and its primary key in key order.
func (r *rule) choose(table string, columns, primaryKey []string) (key []string, payload []Column, err error) {
	key, payload = r.Key, r.Payload
	if len(key) == 0 {
		key = primaryKey
	}
	if len(key) == 0 {
		return nil, nil, &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("%s has no primary key, and its rule (match: %s) names no key", table, r.Match),
			Fix:   "add a primary key, or name columns that are NOT NULL and unique together under key: in the rule, or skip: true",
		}
	}
	if len(payload) == 0 {
		names := primaryKey
		if len(names) == 0 {
			names = key
		}
		for _, name := range names {
			payload = append(payload, Column{Name: name, Source: name})
		}
	}
	return key, payload, r.missing(table, columns, key, payload)
}

// missing returns a fault if the table lacks a column that the rule needs.
func (r *rule) missing(table string, columns, key []string, payload []Column) error {
	have := make(map[string]bool, len(columns))
	for _, name := range columns {
		have[name] = true
	}
	var lacks []string
	need := func(name string) {
		if !have[name] {
			have[name] = true // said once
			lacks = append(lacks, fmt.Sprintf("%q", name))
		}
	}
	for _, name := range key {
		need(name)
	}
	for _, c := range payload {
		need(c.Source)
	}
	if lacks == nil {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("%s has no column %s, which its rule (match: %s) needs", table, strings.Join(lacks, ", "), r.Match),
		Fix:   fmt.Sprintf("correct key: and payload: of the rule; the columns are %s", strings.Join(columns, ", ")),
	}
}
