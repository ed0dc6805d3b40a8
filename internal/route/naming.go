package route

import (
	"strings"
	"time"
)

// Naming is a delay that messages on some topics may carry.
type Naming struct {
	Topics string // a glob over names of topics: * stands for any text, ? for one character
	Delay  time.Duration
}

// Namings returns what the rules name, whether there is such a table or not: a message with
// another topic and delay cannot come of them.
func (r *Router) Namings() []Naming {
	var all []Naming
	for _, one := range r.rules {
		if one.Skip || one.Delay == 0 {
			continue
		}
		schema, table, _ := strings.Cut(one.Match, ".")
		all = append(all, Naming{Topics: expand(one.Topic, r.pipeline, schema, table), Delay: one.Delay})
	}
	return all
}
