package postgres

import (
	"testing"
	"time"
)

func TestHowLongASlotLastsIsSaidOnlyIfItIsKnown(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		slot slotState
		want time.Duration
	}{
		"left an hour ago, a quarter used": {slotState{InactiveSince: now.Add(-time.Hour), Retained: 1 << 30, SafeWALSize: 3 << 30}, 3 * time.Hour},
		"read at the moment":               {slotState{Retained: 1 << 30, SafeWALSize: 3 << 30}, 0},
		"left just now":                    {slotState{InactiveSince: now.Add(-time.Second), Retained: 1 << 30, SafeWALSize: 3 << 30}, 0},
		"nothing written":                  {slotState{InactiveSince: now.Add(-time.Hour), SafeWALSize: 3 << 30}, 0},
	} {
		if got := c.slot.lasts(now); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
