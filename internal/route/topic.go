package route

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Topic is what the rules want of a topic.
type Topic struct {
	Name       string
	Tables     []string      // that reach it, sorted
	Delay      time.Duration // the longest of its rules; 0: none
	Tombstones bool
}

// Topics returns the topics of the tables that are captured among those given,
// and of the tables that rules name in full, sorted by name. The error joins
// every topic name that Kafka does not allow, and every topic that two of the
// tables reach by accident; the topics are complete all the same but for those.
func (r *Router) Topics(tables []string) ([]Topic, error) {
	wanted := map[string]bool{}
	for _, one := range r.rules {
		if one.match.literal() {
			wanted[one.Match] = true
		}
	}
	for _, table := range tables {
		wanted[table] = true
	}
	// Apart from the claims of running pipelines: who asks makes no claim.
	claims := map[string]claim{}
	found := map[string]*Topic{}
	var problems []error
	for _, table := range slices.Sorted(maps.Keys(wanted)) {
		one := r.find(table)
		if one == nil {
			continue
		}
		name, err := r.claim(claims, table, one)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		t := found[name]
		if t == nil {
			t = &Topic{Name: name}
			found[name] = t
		}
		t.Tables = append(t.Tables, table)
		t.Delay = max(t.Delay, one.Delay)
		t.Tombstones = t.Tombstones || one.Tombstones
	}
	var all []Topic
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[name])
	}
	return all, errors.Join(problems...)
}

// claim is the first table that reached a topic.
type claim struct {
	table string
	rule  *rule
}

// claimNamed claims the topics of all tables that rules name in full, so that
// a table that turns up later cannot take one of them.
func (r *Router) claimNamed() error {
	var problems []error
	for _, one := range r.rules {
		// A rule behind another one that takes its table is never reached.
		if one.match.literal() && r.find(one.Match) == one {
			_, err := r.claim(r.claims, one.Match, one)
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// topicOf returns the topic of a table and keeps it from other tables.
func (r *Router) topicOf(table string, one *rule) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claim(r.claims, table, one)
}

// claim notes in claims that the table reaches its topic. Tables may share one
// if their rules say so, but not with tombstones, which would remove rows of
// the other table.
func (r *Router) claim(claims map[string]claim, table string, one *rule) (string, error) {
	topic, err := r.topicName(table, one)
	if err != nil {
		return "", err
	}
	first, taken := claims[topic]
	switch {
	case !taken:
		claims[topic] = claim{table, one}
	case first.table == table:
	case one.Tombstones || first.rule.Tombstones:
		return "", &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("topic %s is reached by %s and by %s, and tombstones need a topic of their own", topic, first.table, table),
			Risk:  "a tombstone for a row of one would remove a row of the other",
			Fix:   "give one of them another topic: in its rule",
		}
	case !one.fixed || !first.rule.fixed:
		return "", &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("topic %s is reached by %s and by %s, and not both rules name it", topic, first.table, table),
			Risk:  "a consumer could take rows of one for rows of the other",
			Fix:   fmt.Sprintf("give one of them another topic: in its rule, or write topic: %s in the rules of both to share it on purpose", topic),
		}
	}
	return topic, nil
}

// topicName expands the rule's template for a table.
func (r *Router) topicName(table string, one *rule) (string, error) {
	schema, name, _ := strings.Cut(table, ".")
	topic := expand(one.Topic, r.pipeline, schema, name)
	if legalTopic(topic) {
		return topic, nil
	}
	return "", &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("the topic of %s would be %q, which Kafka does not allow", table, topic),
		Fix: fmt.Sprintf("add a rule for it above (match: %s) with a topic: of at most 249 of a-z, A-Z, 0-9, ., _ and -, or with skip: true",
			table),
	}
}

func expand(template, pipeline, schema, table string) string {
	return strings.NewReplacer("{pipeline}", pipeline, "{schema}", schema, "{table}", table).Replace(template)
}

// legalTopic applies Kafka's rule for names of topics.
func legalTopic(name string) bool {
	if name == "" || len(name) > 249 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
