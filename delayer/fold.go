package delayer

import (
	"bytes"
	"hash/maphash"

	"github.com/kafkasync/kafkasync"
)

// fold finds messages about the same row among those since the last wall.
type fold struct {
	hash func(m *kafkasync.Message) uint64
	rows map[uint64]int // by hash, the place of the newest in the batch
	from int            // what lies before is of another partition, or behind a wall
	last uint64         // hash of the message that find was asked about last
	end  int            // behind the last place
}

func newFold() fold { return fold{hash: hasher(maphash.MakeSeed()), rows: map[uint64]int{}} }

func hasher(seed maphash.Seed) func(m *kafkasync.Message) uint64 {
	const spread = 0x9e3779b97f4a7c15 // so that equal parts in different places do not cancel out
	return func(m *kafkasync.Message) uint64 {
		h := maphash.Bytes(seed, m.Key)
		h = h*spread ^ maphash.Bytes(seed, m.Value)
		h = h*spread ^ maphash.String(seed, m.Table)
		return h*spread ^ maphash.String(seed, m.Pipeline)
	}
}

func (f *fold) reset() {
	clear(f.rows)
	f.from, f.end = 0, 0
}

// begin starts a partition, whose rows are its own.
func (f *fold) begin() { f.from = f.end }

// wall lets nothing collapse with what lies before.
func (f *fold) wall() { f.from = f.end }

// find returns the place of a message about the same row. Two rows of the same hash are told apart; one of them
// then does not collapse.
func (f *fold) find(messages []kafkasync.Message, m *kafkasync.Message) (int, bool) {
	f.last = f.hash(m)
	at, ok := f.rows[f.last]
	if !ok || at < f.from || m.Value == nil { // a tombstone never collapses
		return 0, false
	}
	o := &messages[at]
	return at, o.Value != nil && o.Pipeline == m.Pipeline && o.Table == m.Table && bytes.Equal(o.Key, m.Key) && bytes.Equal(o.Value, m.Value)
}

// put says where the message that find was asked about is.
func (f *fold) put(at int) {
	f.rows[f.last] = at
	f.end = at + 1
}
