package consumer

import (
	"bytes"
	"hash/maphash"

	"github.com/kafkasync/kafkasync"
)

// Version is what a store that guards versions keeps beside a row: it grows with every change of the row, and a
// twin's is above its message's. The store refuses a version that is strictly lower than its own, and keeps
// that of a deleted row for longer than a consumer may be frozen. Versions can be compared within one pipeline.
func Version(m *kafkasync.Message) int64 {
	if m.Delayed > 0 {
		return 2*m.Seq + 1
	}
	return 2 * m.Seq
}

// fold leaves one message of each row: the one with the highest version, in its place. Tombstones and truncates stay
// as they are, and nothing collapses across a truncate.
type fold struct {
	seed maphash.Seed
	rows map[uint64]int // by hash: the newest message so far
}

func newFold() *fold { return &fold{seed: maphash.MakeSeed(), rows: map[uint64]int{}} }

// compact folds messages in their own room.
func (f *fold) compact(messages []kafkasync.Message) []kafkasync.Message {
	clear(f.rows)
	older := 0
	for i := range messages {
		m := &messages[i]
		if m.Op == kafkasync.Truncated {
			clear(f.rows)
			continue
		}
		if m.Value == nil {
			continue
		}
		hash := f.hash(m)
		at, seen := f.rows[hash]
		if seen && !sameRow(&messages[at], m) {
			continue // two rows of one hash: this one does not collapse
		}
		gone := at
		switch {
		case !seen:
			f.rows[hash] = i
			continue
		case Version(&messages[at]) > Version(m):
			gone = i
		default:
			f.rows[hash] = i
		}
		messages[gone].Topic = "" // see below
		older++
	}
	if older == 0 {
		return messages
	}
	kept := messages[:0]
	for i := range messages {
		if messages[i].Topic != "" {
			kept = append(kept, messages[i])
		}
	}
	clear(messages[len(kept):])
	return kept
}

func (f *fold) hash(m *kafkasync.Message) uint64 {
	const spread = 0x9e3779b97f4a7c15 // so that equal parts in different places do not cancel out
	h := maphash.Bytes(f.seed, m.Key)
	h = h*spread ^ maphash.Bytes(f.seed, m.Value)
	h = h*spread ^ maphash.String(f.seed, m.Table)
	return h*spread ^ maphash.String(f.seed, m.Pipeline)
}

func sameRow(a, b *kafkasync.Message) bool {
	return a.Pipeline == b.Pipeline && a.Table == b.Table && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}
