package config

import (
	"fmt"
	"regexp"
)

var (
	pipelineNames = regexp.MustCompile(`^[a-z0-9_]{1,40}$`) // its slot's name is made of it
	slotNames     = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
)

func legalSlot(s string) bool { return slotNames.MatchString(s) }

func (r *reader) pipelines(o *object, cfg *Config) []Pipeline {
	topics := &cfg.Kafka.Topics
	const fix = "write pipelines: with a list below it, each entry with name, source and tables"
	f, ok := o.need("pipelines", fix)
	if !ok {
		return nil
	}
	entries, _ := r.list(f, fix)
	pipelines := make([]Pipeline, 0, len(entries))
	names := map[string]bool{}
	taken := claims{slots: map[string]string{}, nodes: max(1, len(cfg.Cluster.Nodes))}
	routes := &routes{delays: map[string]bool{}}
	for _, entry := range entries {
		p := r.object(entry, "name", "source", "bigint", "binary", "tables")
		name := r.pipelineName(p, names)
		var c Pipeline
		c.Name = name.value
		r.source(p, name, cfg.Name, &c, &taken)
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
