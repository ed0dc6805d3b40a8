package consumer_test

import (
	"fmt"
	"slices"
	"testing"
)

// T14: a deploy restarts one process after the other. Only the partitions of the one that is away wait, and
// nothing is handed over twice.
func TestARollingRestartOfStaticMembersStopsNobodyElse(t *testing.T) {
	const members, partitions = 5, 10
	s := newStage(t, partitions)
	var r recorder
	begin := func(i int) *running {
		cfg := s.config()
		cfg.Instance = fmt.Sprintf("pod-%d", i)
		cfg.Kafka["session.timeout.ms"] = "60000"
		return run(t, cfg, &r)
	}
	all := make([]*running, members)
	for i := range all {
		all[i] = begin(i)
	}
	eventually(t, "all have two partitions each", func() bool {
		return !slices.ContainsFunc(all, func(c *running) bool { return len(held(c)) != partitions/members })
	})
	generation := s.generation(t)
	sent := make([]int64, partitions)
	publish := func(n int, to ...int32) {
		for _, p := range to {
			s.publish(t, p, int(sent[p]), n)
			sent[p] += int64(n)
		}
	}
	handled := func(what string, of ...int32) {
		eventually(t, what, func() bool {
			return !slices.ContainsFunc(of, func(p int32) bool { return int64(len(r.offsets(p))) < sent[p] })
		})
	}
	for i := range all {
		mine := held(all[i])
		publish(200, mine...) // it ends in the middle of them
		if err := all[i].end(t); err == nil {
			t.Errorf("member %d: got no error, want that of its context", i)
		}
		publish(1, mine...)
		for k, other := range all {
			if k != i {
				publish(1, held(other)...)
				handled(fmt.Sprintf("member %d goes on while %d is away", k, i), held(other)...)
			}
		}
		all[i] = begin(i)
		handled(fmt.Sprintf("member %d goes on where it ended", i), mine...)
		if again := held(all[i]); !slices.Equal(again, mine) {
			t.Errorf("member %d: got partitions %d, want %d as before", i, again, mine)
		}
	}
	if after := s.generation(t); after != generation {
		t.Errorf("got generation %d, want the same %d: the group was rebalanced", after, generation)
	}
	for p := range int32(partitions) {
		if got := r.offsets(p); !slices.Equal(got, upTo(sent[p])) {
			t.Errorf("partition %d: got offsets %d, want each of %d once and in order", p, got, sent[p])
		}
	}
}

// held are the partitions that a member has, in order.
func held(c *running) (all []int32) {
	for _, p := range c.Status().Partitions {
		all = append(all, p.Partition)
	}
	slices.Sort(all)
	return all
}
