package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// tally is what a run has survived.
type tally struct {
	rounds       int
	incidents    []*incident
	reported     int // of the incidents
	transactions int
	changes      int
	repeats      int
	sweeps, rows int           // large transactions, and what each of them updates
	loaded       time.Duration // while the load wrote, and servers were away
	problems     int
}

// incident is a fault that has happened.
type incident struct {
	kind, who string
	at        time.Time
	alone     bool          // nothing else happened then
	inside    bool          // while a large transaction was published
	silence   time.Duration // the longest time after it in which no transaction came into Kafka; 0: not known
}

func (y *tally) count(transactions, changes, repeats int) {
	y.transactions += transactions
	y.changes += changes
	y.repeats += repeats
}

// silences looks at what a round's faults meant to a consumer.
func (y *tally) silences(fresh []time.Time, b *bulks) {
	for i := y.reported; i < len(y.incidents); i++ {
		e := y.incidents[i]
		e.inside = b.within(e.at) != nil
		until := e.at.Add(20 * time.Second)
		if i+1 < len(y.incidents) && y.incidents[i+1].at.Before(until) {
			until = y.incidents[i+1].at
		}
		e.silence = silence(fresh, e.at, until)
	}
	y.reported = len(y.incidents)
}

// silence is the longest time without one of these moments in a span. What lasted beyond it belongs to what came next.
func silence(moments []time.Time, from, until time.Time) time.Duration {
	longest, last := time.Duration(0), from
	i, _ := slices.BinarySearchFunc(moments, from, time.Time.Compare)
	for ; i < len(moments) && last.Before(until); i++ {
		next := moments[i]
		if next.After(until) {
			next = until
		}
		longest, last = max(longest, next.Sub(last)), next
	}
	return longest
}

func (y *tally) judged(t testing.TB, problems []string) {
	t.Helper()
	y.problems += len(problems)
	t.Logf("round %d is judged: %d transactions and %d changes until now, %d repeats, %d problems", y.rounds, y.transactions, y.changes, y.repeats, len(problems))
}

// rate is how many transactions committed in a second, while the load wrote.
func (y *tally) rate() float64 { return float64(y.transactions) / y.loaded.Seconds() }

// report is the end of a run, for a person.
func (y *tally) report(w *healing) string {
	var text strings.Builder
	fmt.Fprintf(&text, "chaos: %d rounds, %d lost or wrong\n", y.rounds, y.problems)
	fmt.Fprintf(&text, "  %d transactions (%.0f/s) with %d changes; %d of them updated %d rows each; %d repeats (%.1f%%)\n",
		y.transactions, y.rate(), y.changes, y.sweeps, y.rows, y.repeats, 100*float64(y.repeats)/float64(max(1, y.changes)))
	late := w.lateness()
	fmt.Fprintf(&text, "  %d delay messages, none early; one of a later message stood in for %d; late by %s (median), %s (99%%), %s (99.9%%)\n", w.count, w.spared, late[0], late[1], late[2])
	fmt.Fprintf(&text, "  %-46s %5s %7s   %s\n", "fault", "times", "in bulk", "longest time without a new transaction in Kafka, where it came alone")
	for _, f := range faults() {
		times, inside, all := y.of(f.kind)
		if times == 0 {
			fmt.Fprintf(&text, "  %-46s %5d\n", f.kind, 0)
			continue
		}
		line := ""
		if len(all) > 0 {
			line = fmt.Sprintf("%s to %s, median %s (%d)", all[0].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond), all[len(all)/2].Round(time.Millisecond), len(all))
		}
		fmt.Fprintf(&text, "  %-46s %5d %7d   %s\n", f.kind, times, inside, line)
	}
	return text.String()
}

// of is how often a kind of fault happened, and how long the silences after it were, in order.
func (y *tally) of(kind string) (times, inside int, silences []time.Duration) {
	for _, e := range y.incidents {
		if e.kind != kind {
			continue
		}
		times++
		if e.inside {
			inside++
		} else if e.alone {
			silences = append(silences, e.silence)
		}
	}
	slices.Sort(silences)
	return times, inside, silences
}

// A run of countsFrom minutes or more counts, or is invalid: with fewer faults of a kind than each it proves too little.
const (
	countsFrom = 30
	each       = 5
)

// rare are the kinds of faults that have come less often.
func (y *tally) rare() (kinds []string) {
	for _, f := range faults() {
		if times, _, _ := y.of(f.kind); times < each {
			kinds = append(kinds, fmt.Sprintf("%d of %q, want %d", times, f.kind, each))
		}
	}
	return kinds
}

// valid fails a run that was long enough to count, and proves too little.
func (y *tally) valid(t testing.TB, minutes int) {
	t.Helper()
	const rate = 300
	lacks := y.rare()
	inside := map[string]int{}
	for _, f := range faults() {
		if _, in, _ := y.of(f.kind); in > 0 {
			inside[f.kind] = in
		}
	}
	if len(inside) == 0 {
		lacks = append(lacks, "no fault inside a large transaction")
	}
	if y.rate() < rate {
		lacks = append(lacks, fmt.Sprintf("%.0f transactions a second, want %d", y.rate(), rate))
	}
	switch {
	case len(lacks) == 0:
		t.Logf("the run counts; faults inside a large transaction: %v of kinds %q", len(inside), slices.Sorted(maps.Keys(inside)))
	case minutes < countsFrom:
		t.Logf("the run is too short to count: %s", strings.Join(lacks, "; "))
	default:
		t.Errorf("the run is invalid: %s", strings.Join(lacks, "; "))
	}
}
