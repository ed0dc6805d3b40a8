package node

import (
	"cmp"
	"slices"

	"github.com/kafkasync/kafkasync/internal/web"
)

// delaysOf is what a node says of the delays.
type delaysOf struct {
	node   string
	delays []web.Delay
}

// mergeDelays joins what the nodes say. What waits, and what is due next, each of them reads from the
// group, so it is the same for all: it is taken from the node that is first, if that knows it. What
// was lost each counts for itself, and what is wrong may be so on one of them alone.
func mergeDelays(first string, all []delaysOf) []web.Delay {
	type key struct {
		topic string
		delay int64
	}
	slices.SortStableFunc(all, func(a, b delaysOf) int {
		return cmp.Compare(rank(a.node == first), rank(b.node == first))
	})
	var merged []web.Delay
	at := map[key]int{}
	for _, of := range all {
		for _, d := range of.delays {
			if d.Error != "" && len(all) > 1 {
				d.Error = "node " + of.node + ": " + d.Error
			}
			i, known := at[key{d.Topic, d.DelayMS}]
			if !known {
				at[key{d.Topic, d.DelayMS}] = len(merged)
				merged = append(merged, d)
				continue
			}
			m := &merged[i]
			m.Lost += d.Lost
			if m.Waiting < 0 {
				m.Waiting, m.NextDue, m.LateSeconds = d.Waiting, d.NextDue, d.LateSeconds
			}
			m.Error = cmp.Or(m.Error, d.Error) // of one node; it shows on that of the next once this is fixed
		}
	}
	return merged
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}
