package config

import "strings"

// claims is what the pipelines before have for themselves.
type claims struct {
	nodes   int               // of the cluster
	slots   map[string]string // by server and slot, the pipeline: two readers of one slot would each miss what the other takes
	readers []mysqlReader
}

// source reads the one database of a pipeline. cluster is the name of the file.
func (r *reader) source(p *object, name text, cluster string, c *Pipeline, taken *claims) {
	const fix = "write source: with postgres:, mysql: or mariadb: below it, and below that url: postgres://USER@HOST/DATABASE or url: mysql://USER@HOST/"
	f, ok := p.need("source", fix)
	if !ok {
		return
	}
	kinds := []string{"postgres", "mysql", "mariadb"}
	s := r.object(f, kinds...)
	var chosen []field
	for _, kind := range kinds {
		if f, ok := s.get(kind); ok {
			chosen = append(chosen, f)
		}
	}
	switch {
	case s.bad:
	case len(chosen) == 0:
		r.report(s.at, s.path+" names no database", fix)
	case len(chosen) > 1:
		r.report(chosen[1].key, s.path+" names more than one database", "keep one of them, and make a pipeline of its own for each other one")
	case chosen[0].key.Value == "postgres":
		c.Postgres = r.postgres(chosen[0], name)
		r.claimSlot(chosen[0], c, taken)
	default:
		r.mysql(chosen[0], cluster, c, taken)
	}
}

func (r *reader) claimSlot(f field, c *Pipeline, taken *claims) {
	db, fault := parseURL(c.Postgres.URL)
	if fault != "" {
		return
	}
	slot := strings.ToLower(db.hosts) + " " + c.Postgres.Slot
	if before, ok := taken.slots[slot]; ok && before != c.Name {
		r.report(f.key, "two pipelines read the same slot of the same server", "give each pipeline a slot of its own, or leave slot out")
	}
	taken.slots[slot] = c.Name
}
