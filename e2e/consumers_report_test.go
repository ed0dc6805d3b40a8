package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// consumersTally is what a run with consumers has survived.
type consumersTally struct {
	began  time.Time
	rounds int
	rows   int            // of the table, when it was compared last
	times  map[string]int // faults, by kind
	held   [3]int         // rows that processes were frozen with, and wrote when they woke up, by store
	healed [3]int         // rows that only a delay message has put right, by store
	wrong  int            // rows of the cache without delay messages, in the end
}

func (y *consumersTally) note(kind string) { y.times[kind]++ }

// report is the end of a run, for a person.
func (f *following) report() string {
	y := f.tally
	var text strings.Builder
	fmt.Fprintf(&text, "consumers: %d rounds in %s, and at the end of each an index and a cache that equal the table (%d rows in the last one)\n", y.rounds, time.Since(y.began).Round(time.Second), y.rows)
	fmt.Fprintf(&text, "  %d transactions with %s\n", f.shop.done["transaction"], countsOf(f.shop.done, "transaction"))
	fmt.Fprintf(&text, "  %d consumers ran, %s\n", len(f.parties[theIndex].all)+len(f.parties[theCache].all)+len(f.parties[theDeaf].all), countsOf(y.times, ""))
	fmt.Fprintf(&text, "  processes that woke up with old rows wrote %d of them to the cache and %d to the index, which guards versions and refused them all (of %d refused writes, most of them of delay messages behind newer ones)\n",
		y.held[theCache], y.held[theIndex], f.parties[theIndex].refused())
	fmt.Fprintf(&text, "  only a delay message has put right %d rows of the index and %d rows of the cache, which guards nothing\n", y.healed[theIndex], y.healed[theCache])
	fmt.Fprintf(&text, "  a cache beside it, whose consumers pass over delay messages, ended with %d rows that are wrong\n", y.wrong)
	return text.String()
}

// countsOf says how often something came, in the order of names.
func countsOf(times map[string]int, but string) string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(times)) {
		if kind != but {
			all = append(all, fmt.Sprintf("%d x %s", times[kind], kind))
		}
	}
	return strings.Join(all, ", ")
}
