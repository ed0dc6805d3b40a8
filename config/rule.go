package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/kafkasync/kafkasync/internal/route"
)

// maxDelays bounds the distinct delays of a file: each is a consumer group.
const maxDelays = 8

// routed is a rule of some pipeline, with what checking it against the others needs.
type routed struct {
	pipeline text
	rule     route.Rule
	match    text
	topic    text // zero if the rule leaves it out
	path     string
	at       *token.Token // of the rule
	bare     bool         // its match could not be read
}

// routes is every rule of the file.
type routes struct {
	all    []routed
	delays map[string]bool
}

func (r *reader) rules(f field, fix string, pipeline text, routes *routes) []route.Rule {
	entries, ok := r.list(f, fix)
	if !ok {
		return nil
	}
	var rules []route.Rule
	captures := false
	first := len(routes.all)
	for _, entry := range entries {
		one := r.rule(entry, pipeline, routes)
		r.checkReached(routes.all[first:], one)
		routes.all = append(routes.all, one)
		rules = append(rules, one.rule)
		captures = captures || !one.rule.Skip
	}
	if !captures {
		r.report(f.key, f.path+" skips every table that it matches", "add a rule without skip: true")
	}
	return rules
}

func (r *reader) rule(f field, pipeline text, routes *routes) routed {
	o := r.object(f, "match", "skip", "topic", "payload", "key", "delay", "truncate", "tombstones")
	one := routed{pipeline: pipeline, path: f.path, at: o.at}
	one.rule.Topic = "{table}"
	one.bare = !r.match(o, &one)
	if skip, _ := o.flag("skip"); skip {
		one.rule.Skip = true
		for _, key := range []string{"topic", "payload", "key", "delay", "truncate", "tombstones"} {
			if other, ok := o.get(key); ok {
				r.report(other.key, fmt.Sprintf("%s has no effect beside skip: true", other.path), "remove one of the two")
			}
		}
		return one
	}
	if t, ok := o.text("topic"); ok {
		one.topic, one.rule.Topic = t, t.value
	}
	r.checkTopic(&one)
	if f, ok := o.get("payload"); ok {
		one.rule.Payload = r.payload(f)
	}
	if f, ok := o.get("key"); ok {
		one.rule.Key = r.key(f)
	}
	if o.choice("truncate", "send", "skip") {
		one.rule.Truncate = route.SkipTruncate
	}
	r.delay(o, &one, routes)
	return one
}

func (r *reader) match(o *object, one *routed) bool {
	o.need("match", "name the tables as schema.table, such as match: public.products")
	t, ok := o.text("match")
	if !ok {
		return false
	}
	one.match, one.rule.Match = t, t.value
	if why := route.ValidMatch(t.value); why != nil {
		r.report(t.at, fmt.Sprintf("%s cannot be %s: %v", join(o.path, "match"), t.said, why),
			"write schema.table; * stands for any text without a dot, ? for one character")
		return false
	}
	return true
}

// delay reads the delay and the tombstones, which exclude each other: a late
// delay message would put back what a tombstone has removed from a compacted topic.
func (r *reader) delay(o *object, one *routed, routes *routes) {
	delay, ok := o.delay("delay")
	if ok {
		one.rule.Delay = delay
		if delay != 0 && !routes.delays[delay.String()] {
			routes.delays[delay.String()] = true
			if len(routes.delays) == maxDelays+1 {
				at := o.at
				if f, ok := o.get("delay"); ok {
					at = f.at()
				}
				r.report(at, fmt.Sprintf("this is the %dth distinct delay of the file, but each is a consumer group of its own", maxDelays+1),
					fmt.Sprintf("use at most %d distinct delays", maxDelays))
			}
		}
	}
	tombstones, _ := o.flag("tombstones")
	one.rule.Tombstones = tombstones
	if tombstones && ok && delay != 0 {
		r.report(o.fields["tombstones"].key, fmt.Sprintf("%s.tombstones needs delay: 0, but the delay is %s", o.path, delay),
			"add delay: 0, because a late delay message would bring a deleted row back")
	}
}

// payload reads names of columns and, to rename, maps of a name to its column.
func (r *reader) payload(f field) []route.Column {
	const fix = "list columns, such as [id] or [id, {title: name}], or leave it out for the primary key"
	entries, _ := r.list(f, fix)
	var columns []route.Column
	seen := map[string]bool{}
	add := func(at field, name, column text) {
		if seen[name.value] {
			r.report(at.at(), fmt.Sprintf("%s holds the name %s twice", f.path, name.said), "remove one, or rename it as {name: column}")
		}
		seen[name.value] = true
		columns = append(columns, route.Column{Name: name.value, Source: column.value})
	}
	for _, entry := range entries {
		node, _ := r.resolve(entry.node)
		if _, ok := node.(ast.MapNode); !ok {
			if t, ok := r.text(entry, false); ok {
				add(entry, t, t)
			}
			continue
		}
		pairs, _ := r.pairs(entry)
		if len(pairs) == 0 {
			r.report(entry.at(), entry.path+" names no column", fix)
		}
		for _, pair := range pairs {
			if t, ok := r.text(pair, false); ok {
				name := pair.key.Value
				add(field{path: entry.path, key: pair.key}, text{value: name, said: fmt.Sprintf("%q", name)}, t)
			}
		}
	}
	return columns
}

func (r *reader) key(f field) []string {
	entries, _ := r.list(f, "list columns that are NOT NULL and unique together, such as [id], or leave it out for the primary key")
	var key []string
	seen := map[string]bool{}
	for _, entry := range entries {
		t, ok := r.text(entry, false)
		if !ok {
			continue
		}
		if seen[t.value] {
			r.report(t.at, fmt.Sprintf("%s holds %s twice", f.path, t.said), "remove one of the two")
		}
		seen[t.value] = true
		key = append(key, t.value)
	}
	return key
}
