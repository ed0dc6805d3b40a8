package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// The gap of an interruption that is noticed right after a restart begins there, if anywhere.
func TestWhatEarlierRunsFoundInOrderBoundsAGap(t *testing.T) {
	tests := []struct {
		name          string
		intact, since source.Position
		want          source.Position // "": not known
	}{
		{"nothing was found yet", "", "7:2:0/100", ""},
		{"found behind the beginning of coverage", "7:2:0/200", "7:2:0/100", "7:2:0/200"},
		{"found before the beginning of coverage", "7:2:0/200", "7:2:0/300", ""},
		{"found where coverage begins", "7:2:0/200", "7:2:0/200", ""},
		{"covered from the first position on", "7:2:0/200", "", "7:2:0/200"},
		{"covered since an older timeline", "7:2:0/200", "7:1:0/100", "7:2:0/200"},
		{"found on an older timeline", "7:1:0/200", "7:1:0/100", ""},
		{"found on another server", "8:2:0/200", "8:2:0/100", ""},
		{"covered since another server", "7:2:0/200", "8:2:0/100", ""},
		{"found beyond the checkpoint", "7:2:0/500", "7:2:0/100", "7:2:0/400"},
		{"found beyond the checkpoint, and covered from there on", "7:2:0/500", "7:2:0/400", ""},
	}
	for _, tt := range tests {
		memory := sourcetest.Fresh()
		memory.SetIntact(tt.intact)
		k := new(Source).newKeeper(memory)
		k.origin = place{system: "7", timeline: 2, lsn: 0x400}
		want := tt.want
		switch {
		case want != "":
		case tt.since == "":
			want = k.first()
		default:
			want = tt.since
		}
		if got := k.until(source.Coverage{Table: "t", Since: tt.since}); got != want {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}

// A commit is in the log before others see it, on a server that waits for a standby long before.
func TestNothingIsSureWhileATransactionOfThenIsOpen(t *testing.T) {
	memory := sourcetest.Fresh()
	k := new(Source).newKeeper(memory)
	k.origin = place{system: "7", timeline: 2, lsn: 0x50}
	for i, look := range []struct {
		last         pglogrepl.LSN // of the look before
		oldest, next int64
		want         source.Position
	}{
		{0x100, 5, 10, ""},
		{0x200, 9, 20, ""}, // one below 10 may have committed before 0x100, unseen
		{0x300, 10, 30, "7:2:0/100"},
		{0x400, 29, 40, "7:2:0/100"},
		{0x500, 30, 50, "7:2:0/300"},
		{0x600, 50, 50, "7:2:0/500"},
	} {
		k.last.lsn = look.last
		k.advance(look.oldest, look.next)
		if got := memory.Intact(); got != look.want {
			t.Errorf("look %d: got %q, want %q", i, got, look.want)
		}
		if got := k.until(source.Coverage{Since: "7:2:0/60"}); look.want != "" && got != look.want {
			t.Errorf("look %d: got a gap from %q on, want %q", i, got, look.want)
		}
	}
}

func TestALookThatTakesLongIsTakenMoreRarely(t *testing.T) {
	began := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for took, want := range map[time.Duration]time.Duration{
		10 * time.Millisecond: 10*time.Millisecond + 2*time.Second,
		time.Second:           51 * time.Second,
	} {
		if got := nextLook(began, began.Add(took)).Sub(began); got != want {
			t.Errorf("a look of %v: got the next one after %v, want %v", took, got, want)
		}
	}
}
