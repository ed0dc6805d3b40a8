package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kafkasync/kafkasync/sink/kafka"
)

var (
	pipelineNames = regexp.MustCompile(`^[a-z0-9_]{1,40}$`) // its slot's name is made of it
	slotNames     = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
)

func legalSlot(s string) bool { return slotNames.MatchString(s) }

func (r *reader) pipelines(o *object, topics *kafka.Topics) []Pipeline {
	const fix = "write pipelines: with a list below it, each entry with name, source and tables"
	f, ok := o.need("pipelines", fix)
	if !ok {
		return nil
	}
	entries, _ := r.list(f, fix)
	pipelines := make([]Pipeline, 0, len(entries))
	names := map[string]bool{}
	slots := map[string]string{}
	routes := &routes{delays: map[string]bool{}}
	for _, entry := range entries {
		p := r.object(entry, "name", "source", "bigint", "binary", "tables")
		name := r.pipelineName(p, names)
		var c Pipeline
		c.Name = name.value
		r.source(p, name, &c, slots)
		c.Encoding.BigintAsString = p.choice("bigint", "number", "string")
		c.Encoding.BinaryAsBase64 = p.choice("binary", "hex", "base64")
		const fix = "list the tables to capture, such as - match: public.*"
		if f, ok := p.need("tables", fix); ok {
			c.Rules = r.rules(f, fix, name, routes)
		}
		pipelines = append(pipelines, c)
	}
	for _, one := range routes.all {
		topics.Delay = max(topics.Delay, one.rule.Delay)
	}
	r.checkTopics(routes)
	r.checkCompaction(topics, routes)
	return pipelines
}

func (r *reader) pipelineName(p *object, names map[string]bool) text {
	p.need("name", "name the pipeline, such as name: shop")
	name, ok := p.text("name")
	if !ok {
		return name
	}
	if !pipelineNames.MatchString(name.value) {
		r.report(name.at, fmt.Sprintf("the pipeline name %s is not legal", name.said), "use 1 to 40 of a-z, 0-9 and _")
	}
	if names[name.value] {
		r.report(name.at, fmt.Sprintf("two pipelines are named %s", name.said), "give each pipeline a name of its own")
	}
	names[name.value] = true
	return name
}

// source reads the one database of a pipeline. slots remembers who uses which
// slot: two readers of one slot would each miss what the other takes.
func (r *reader) source(p *object, name text, c *Pipeline, slots map[string]string) {
	const fix = "write source: with postgres: below it, and below that url: postgres://USER@HOST/DATABASE"
	f, ok := p.need("source", fix)
	if !ok {
		return
	}
	s := r.object(f, "postgres", "mysql", "mariadb")
	later := false
	for _, key := range []string{"mysql", "mariadb"} {
		if other, ok := s.get(key); ok {
			later = true
			r.report(other.key, other.path+" is not supported yet: this version reads Postgres only", "use source.postgres, or remove the pipeline")
		}
	}
	f, ok = s.get("postgres")
	if !ok {
		if !later {
			s.need("postgres", fix)
		}
		return
	}
	c.Postgres = r.postgres(f, name)
	db, fault := parseURL(c.Postgres.URL)
	if fault != "" {
		return
	}
	slot := strings.ToLower(db.hosts) + " " + c.Postgres.Slot
	if before, ok := slots[slot]; ok && before != c.Name {
		r.report(f.key, "two pipelines read the same slot of the same server", "give each pipeline a slot of its own, or leave slot out")
	}
	slots[slot] = c.Name
}
