package delayer

import (
	"time"

	"github.com/kafkasync/kafkasync"
)

// start is where a partition is to be read from, and what was found out about it.
type start struct {
	offset int64
	since  time.Time // set: at the first record that is not older, instead of at offset
	lost   int64     // messages that were not re-sent and are not there any more, at most
	cause  cause
}

// cause is why a partition does not simply go on.
type cause int

const (
	goesOn    cause = iota
	deleted         // records were deleted before their time
	recreated       // another topic of the same name
	cutBack         // the log ends before what was committed: an unclean election, or a restored broker
	forgotten       // the group has committed nothing, or its offsets have expired
)

// surprising is how much longer than its delay a message may have waited before it is worth a word that
// the group has committed nothing.
const surprising = time.Hour

// begin decides where a partition is read from: where the group has committed, else where the pair became
// known, else, for a partition that came later, at its beginning.
func begin(p Partition, pair *kafkasync.Pair) start {
	if p.Committed < 0 {
		return beginAnew(p, pair)
	}
	n, noted := parseNote(p.Note)
	switch {
	case noted && n.id != p.ID && n.id != "" && p.ID != "":
		return start{offset: p.Begin, lost: max(0, n.end-p.Committed), cause: recreated}
	case p.Committed < p.Begin:
		return start{offset: p.Begin, lost: p.Begin - p.Committed, cause: deleted}
	case p.Committed > p.End && noted:
		return start{offset: p.Begin, since: time.UnixMilli(n.at), cause: cutBack}
	case p.Committed > p.End:
		return start{offset: p.Begin, cause: cutBack}
	default:
		return start{offset: p.Committed}
	}
}

func beginAnew(p Partition, pair *kafkasync.Pair) start {
	if pair != nil && pair.ID != p.ID && pair.ID != "" && p.ID != "" {
		return start{offset: p.Begin, cause: recreated} // and took what the group had committed with it
	}
	if pair == nil || pair.ID != p.ID || int(p.Number) >= len(pair.Ends) || pair.Ends[p.Number] > p.End {
		return start{offset: p.Begin}
	}
	from := pair.Ends[p.Number]
	switch {
	case from < p.Begin:
		return start{offset: p.Begin, lost: p.Begin - from, cause: deleted}
	case from < p.End:
		return start{offset: from, cause: forgotten}
	default:
		return start{offset: from}
	}
}

// settle takes the offset of the first record that is not older than since.
func (s *start) settle(at int64) {
	switch {
	case s.cause == cutBack:
		s.offset = max(at, s.offset)
	case at <= s.offset: // nothing has waited for long: the pair is new
		s.cause = goesOn
	}
}
