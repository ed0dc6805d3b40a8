package delayer

import (
	"math"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

func TestANoteIsReadBackAsItWasWritten(t *testing.T) {
	tests := []struct {
		note note
		text string
	}{
		{note{id: "cY8Uxk", end: 7, at: 1_700_000_000_000, next: 1_700_000_300_000}, "1 cY8Uxk 7 1700000000000 1700000300000"},
		{note{end: 7}, "1 - 7 0 0"},
		{note{}, "1 - 0 0 0"},
		{note{id: "x", end: math.MaxInt64, at: math.MinInt64, next: math.MaxInt64}, "1 x 9223372036854775807 -9223372036854775808 9223372036854775807"},
	}
	for _, tt := range tests {
		if got := tt.note.String(); got != tt.text {
			t.Errorf("got the text %q, want %q", got, tt.text)
		}
		if got, ok := parseNote(tt.text); got != tt.note || !ok {
			t.Errorf("got %+v, %t from %q, want %+v", got, ok, tt.text, tt.note)
		}
	}
}

func TestWhatIsNoNoteOfOursIsNone(t *testing.T) {
	for _, text := range []string{"", "x", "1", "2 id 1 2 3", "1 id 1 2", "1 id one 2 3", "1 id 99999999999999999999 2 3", "\x00"} {
		if got, ok := parseNote(text); ok || got != (note{}) {
			t.Errorf("got %+v from %q, want nothing", got, text)
		}
	}
}

func FuzzParseNote(f *testing.F) {
	f.Add("1 id 1 2 3")
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parseNote(text)
		if again, ok2 := parseNote(n.String()); ok && (again != n || !ok2) {
			t.Errorf("got %+v, %t again from %q, want %+v", again, ok2, n, n)
		}
	})
}

func TestWhereAPartitionIsReadFrom(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	noted := note{id: "a", end: 90, at: at.UnixMilli()}.String()
	anonymous := note{end: 90, at: at.UnixMilli()}.String() // by brokers that know no ids
	pair := &kafkasync.Pair{ID: "a", Ends: []int64{20, 30}}
	old := &kafkasync.Pair{Ends: []int64{20}}
	tests := []struct {
		name      string
		partition Partition
		pair      *kafkasync.Pair
		want      start
	}{
		{"the group has committed", Partition{ID: "a", End: 100, Committed: 50, Note: noted}, pair, start{offset: 50}},
		{"everything", Partition{ID: "a", End: 100, Committed: 100, Note: noted}, pair, start{offset: 100}},
		{"without a note", Partition{ID: "a", End: 100, Committed: 50}, pair, start{offset: 50}},
		{"and the pair has left", Partition{ID: "a", End: 100, Committed: 50, Note: noted}, nil, start{offset: 50}},
		{"records were deleted", Partition{ID: "a", Begin: 70, End: 100, Committed: 50, Note: noted}, pair, start{offset: 70, lost: 20, cause: deleted}},
		{"all records were deleted", Partition{ID: "a", Begin: 100, End: 100, Committed: 50, Note: noted}, pair, start{offset: 100, lost: 50, cause: deleted}},
		{"another topic of the name", Partition{ID: "b", End: 100, Committed: 50, Note: noted}, pair, start{lost: 40, cause: recreated}},
		{"another topic of the name, and all was done", Partition{ID: "b", End: 100, Committed: 95, Note: noted}, pair, start{cause: recreated}},
		{"another topic, whose first records are gone", Partition{ID: "b", Begin: 7, End: 8, Committed: 50, Note: noted}, pair, start{offset: 7, lost: 40, cause: recreated}},
		{"old brokers", Partition{End: 100, Committed: 50, Note: anonymous}, old, start{offset: 50}},
		{"brokers that were old at the last commit", Partition{ID: "a", End: 100, Committed: 50, Note: anonymous}, old, start{offset: 50}},
		{"brokers that are old again", Partition{End: 100, Committed: 50, Note: noted}, pair, start{offset: 50}},
		{"the log is cut back", Partition{ID: "a", Begin: 10, End: 40, Committed: 50, Note: noted}, pair, start{offset: 10, since: at, cause: cutBack}},
		{"the log is cut back, without a note", Partition{ID: "a", Begin: 10, End: 40, Committed: 50}, pair, start{offset: 10, cause: cutBack}},

		{"the pair is new", Partition{ID: "a", End: 20, Committed: -1}, pair, start{offset: 20}},
		{"the pair is new, and messages came", Partition{ID: "a", End: 25, Committed: -1}, pair, start{offset: 20, cause: forgotten}},
		{"each partition has its own end", Partition{ID: "a", Number: 1, End: 30, Committed: -1}, pair, start{offset: 30}},
		{"a partition that came later", Partition{ID: "a", Number: 2, Begin: 3, End: 25, Committed: -1}, pair, start{offset: 3}},
		{"a pair of old brokers", Partition{End: 25, Committed: -1}, old, start{offset: 20, cause: forgotten}},
		{"a pair that old brokers gave", Partition{ID: "a", Begin: 2, End: 25, Committed: -1}, old, start{offset: 2}},
		{"a pair that is not known any more", Partition{ID: "a", Begin: 5, End: 25, Committed: -1}, nil, start{offset: 5}},
		{"another topic than the pair's", Partition{ID: "b", Begin: 5, End: 25, Committed: -1}, pair, start{offset: 5, cause: recreated}},
		{"records were deleted since the pair became known", Partition{ID: "a", Begin: 24, End: 25, Committed: -1}, pair, start{offset: 24, lost: 4, cause: deleted}},
		{"a log that ends before the pair began", Partition{ID: "a", Begin: 1, End: 10, Committed: -1}, pair, start{offset: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := begin(tt.partition, tt.pair); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestATimeSettlesWhereAPartitionIsReadFrom(t *testing.T) {
	tests := []struct {
		name   string
		start  start
		at     int64
		offset int64
		cause  cause
	}{
		{"a log that is cut back goes on at the time", start{offset: 10, cause: cutBack}, 30, 30, cutBack},
		{"but not before its beginning", start{offset: 10, cause: cutBack}, 5, 10, cutBack},
		{"nothing has waited for long", start{offset: 10, cause: forgotten}, 10, 10, goesOn},
		{"something has waited for long", start{offset: 10, cause: forgotten}, 11, 10, forgotten},
	}
	for _, tt := range tests {
		if tt.start.settle(tt.at); tt.start.offset != tt.offset || tt.start.cause != tt.cause {
			t.Errorf("%s: got %d and %d, want %d and %d", tt.name, tt.start.offset, tt.start.cause, tt.offset, tt.cause)
		}
	}
}
