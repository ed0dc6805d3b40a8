package postgres

import "testing"

func TestTheDangerOfASlot(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		name string
		slot slotState
		keep int64
		want danger
	}{
		{"healthy, without a limit", slotState{WALStatus: "reserved", SafeWALSize: -1}, -1 << 20, noDanger},
		{"healthy, with one", slotState{WALStatus: "reserved", SafeWALSize: 19 * gb}, 20 * gb, noDanger},
		{"a tenth left", slotState{WALStatus: "extended", SafeWALSize: 2*gb - 1}, 20 * gb, low},
		{"a gigabyte left", slotState{WALStatus: "extended", SafeWALSize: gb - 1}, 5 * gb, low},
		{"half of a small limit left", slotState{WALStatus: "reserved", SafeWALSize: gb/4 + 1}, gb / 2, noDanger},
		{"less than half of it", slotState{WALStatus: "reserved", SafeWALSize: gb/4 - 1}, gb / 2, low},
		{"beyond max_wal_size", slotState{WALStatus: "extended", SafeWALSize: -1}, -1 << 20, extended},
		{"beyond the limit", slotState{WALStatus: "unreserved", SafeWALSize: -5}, gb, unreserved},
		{"an old transaction", slotState{WALStatus: "reserved", SafeWALSize: -1, Restart: 1, ConfirmedFlush: gb + 2}, -1 << 20, pinned},
		{"a younger one", slotState{WALStatus: "reserved", SafeWALSize: -1, Restart: 1, ConfirmedFlush: gb}, -1 << 20, noDanger},
		{"a slot that is being made", slotState{WALStatus: "reserved", SafeWALSize: -1, Restart: 1}, -1 << 20, noDanger},
	} {
		if got := dangerOf(&c.slot, c.keep); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
