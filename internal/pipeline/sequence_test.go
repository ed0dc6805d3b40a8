package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

const second = int64(time.Second / time.Microsecond)

// ceilings is a Ceiling that remembers how often it was raised.
type ceilings struct {
	now    int64
	raised []int64
	err    error
}

func (c *ceilings) Floor() int64   { return 0 }
func (c *ceilings) Ceiling() int64 { return c.now }
func (c *ceilings) Raise(_ context.Context, ceiling int64) error {
	if c.err != nil {
		return c.err
	}
	c.raised = append(c.raised, ceiling)
	c.now = ceiling
	return nil
}

func messages(n int) []kafkasync.Message {
	msgs := make([]kafkasync.Message, n)
	for i := range msgs {
		msgs[i].Value = []byte("{}")
	}
	return msgs
}

func TestPlanRaisesTheCeilingAheadOfUse(t *testing.T) {
	const now = 1_000_000 * 1_000_000 // microseconds since 1970
	tests := map[string]struct {
		floor, ceiling, n int64
		first, raise      int64
	}{
		"a clock ahead of the floor":            {5, now + 60*second, 10, now, 0},
		"a clock behind the floor":              {now + 9, now + 60*second, 10, now + 9, 0},
		"a first ceiling":                       {now, now, 10, now, now + 10 + 60*second},
		"exactly 30 seconds left":               {now, now + 10 + 30*second, 10, now, 0},
		"less than 30 seconds left":             {now, now + 9 + 30*second, 10, now, now + 10 + 60*second},
		"a batch that is larger than the room":  {now, now + 40*second, 50 * second, now, now + 110*second},
		"a ceiling that the clock has run past": {now - 90*second, now - 30*second, 1, now, now + 1 + 60*second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			first, raise := newSequence(tt.floor).plan(tt.n, tt.ceiling, time.UnixMicro(now))
			if first != tt.first || raise != tt.raise {
				t.Errorf("got first %d and raise %d, want %d and %d", first, raise, tt.first, tt.raise)
			}
		})
	}
}

func TestSequenceGrowsWhenTheClockGoesBack(t *testing.T) {
	s, c := newSequence(1000), &ceilings{}
	var last int64
	for _, micro := range []int64{5000, 4000, 5001, 90} {
		msgs := messages(3)
		if err := s.stamp(t.Context(), c, msgs, time.UnixMicro(micro)); err != nil {
			t.Fatal(err)
		}
		for i := range msgs {
			if msgs[i].Seq <= last || msgs[i].Seq < micro || msgs[i].Seq >= c.now {
				t.Fatalf("at %d: got seq %d after %d under the ceiling %d", micro, msgs[i].Seq, last, c.now)
			}
			last = msgs[i].Seq
		}
	}
	if len(c.raised) != 1 {
		t.Errorf("got the ceilings %d, want one", c.raised)
	}
}

func TestTombstoneHasTheNumberOfItsDelete(t *testing.T) {
	s, c := newSequence(0), &ceilings{}
	msgs := messages(4)
	msgs[1].Value = nil
	if err := s.stamp(t.Context(), c, msgs, time.UnixMicro(100)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{100, 100, 101, 102} {
		if msgs[i].Seq != want {
			t.Errorf("message %d: got seq %d, want %d", i, msgs[i].Seq, want)
		}
	}
}

func TestNothingIsStampedWithoutRoom(t *testing.T) {
	lost := errors.New("no quorum")
	msgs := messages(1)
	if err := newSequence(0).stamp(t.Context(), &ceilings{err: lost}, msgs, time.UnixMicro(100)); !errors.Is(err, lost) {
		t.Errorf("a ceiling that is not raised: got the error %v, want %v", err, lost)
	}
	far := time.UnixMicro(sequenceEnd)
	err := newSequence(0).stamp(t.Context(), &ceilings{}, msgs, far)
	if kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("a clock in the year %d: got the error %v, want a Fault of class stop", far.Year(), err)
	}
	if msgs[0].Seq != 0 {
		t.Errorf("got seq %d, want none", msgs[0].Seq)
	}
}
