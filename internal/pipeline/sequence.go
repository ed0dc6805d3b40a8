package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
)

const (
	// A ceiling is raised so far ahead that it is one Raft commit in about 30
	// seconds, and so little that a wiped cluster's clock is soon beyond it.
	ceilingAhead = int64(60 * time.Second / time.Microsecond)
	ceilingLow   = int64(30 * time.Second / time.Microsecond)
	// Readers in other languages hold numbers as float64.
	sequenceEnd = int64(1) << 53
)

// sequence gives every message of a lease its number: max(last+1, microseconds
// since 1970), always below a ceiling that was committed ahead of use. So the
// next lease, which starts at that ceiling, is above all of them.
type sequence struct {
	last int64
}

func newSequence(floor int64) *sequence { return &sequence{last: floor - 1} }

// stamp numbers the messages, raising the ceiling first where it is near. A
// tombstone has the number of the message before it.
func (s *sequence) stamp(ctx context.Context, c Ceiling, msgs []kafkasync.Message, now time.Time) error {
	n := int64(len(msgs))
	first, raise := s.plan(n, c.Ceiling(), now)
	if first+n > sequenceEnd {
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the sequence number %d would not stay below 2^53", first+n),
			Fix:   "set the clocks of the nodes",
		}
	}
	if raise > 0 {
		if err := c.Raise(ctx, raise); err != nil {
			return fmt.Errorf("raising the ceiling of sequence numbers: %w", err)
		}
		if got := c.Ceiling(); got < first+n {
			return fmt.Errorf("raising the ceiling of sequence numbers: got %d, want %d", got, raise)
		}
	}
	for i := range msgs {
		if msgs[i].Value != nil || i == 0 {
			s.last = max(s.last+1, first)
		}
		msgs[i].Seq = s.last
	}
	return nil
}

// plan returns the first number of the next n, and what the ceiling must be
// raised to before they are used; 0 if it is far enough.
func (s *sequence) plan(n, ceiling int64, now time.Time) (first, raise int64) {
	first = max(s.last+1, now.UnixMicro())
	if first+n+ceilingLow > ceiling {
		raise = first + n + ceilingAhead
	}
	return first, raise
}
