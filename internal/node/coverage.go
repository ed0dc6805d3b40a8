package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// coverage is tables of pipelines, by the pipeline's name.
type coverage map[string][]string

// coveredBy is what the cluster remembers to be covered, also what is interrupted.
func coveredBy(pipelines []raftstate.Pipeline) coverage {
	covered := coverage{}
	for _, p := range pipelines {
		for _, c := range p.Covered {
			covered[p.Name] = append(covered[p.Name], c.Table)
		}
	}
	return covered
}

// mostLacking is how many tables are named.
const mostLacking = 5

// String says the tables in a sentence.
func (c coverage) String() string {
	var all []string
	for _, pipeline := range slices.Sorted(maps.Keys(c)) {
		for _, table := range c[pipeline] {
			all = append(all, fmt.Sprintf("%s of pipeline %s", table, pipeline))
		}
	}
	if more := len(all) - mostLacking; more > 0 {
		all = append(all[:mostLacking], fmt.Sprintf("%d more", more))
	}
	return joined(all)
}

// joined says names in a sentence.
func joined(names []string) string {
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// lacking is the part of what is covered that no rule of this node's file mentions: its
// pipelines would wait, or are not there.
func (r *report) lacking(covered coverage) coverage {
	lacks := coverage{}
	for pipeline, tables := range covered {
		mentions := func(string) bool { return false }
		if i := slices.IndexFunc(r.members, func(m member) bool { return m.name == pipeline }); i >= 0 {
			mentions = r.members[i].mentions
		}
		for _, table := range tables {
			if !mentions(table) {
				lacks[pipeline] = append(lacks[pipeline], table)
			}
		}
	}
	return lacks
}

// captures reports whether this node would cover a table again that is forgotten.
func (r *report) captures(o web.Forget) bool {
	return slices.ContainsFunc(r.members, func(m member) bool { return m.name == o.Pipeline && m.captures(o.Table) })
}
