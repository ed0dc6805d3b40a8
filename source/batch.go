package source

// chunk is how much a batch's arenas grow at a time.
const chunk = 64 << 10

// Batch is a run of changes in commit order. If Pos is set, the stream may be
// opened again at Pos once these changes, and all before them, are durable
// elsewhere: Pos is the end of the last transaction that is complete in this
// batch, or of an earlier one while the server itself may still lose what follows. Changes of a transaction
// that is still open may follow it. A batch without changes moves Pos over log that held nothing for us.
//
// A Batch keeps its memory across Reset, so that reading does not allocate per
// row. The zero Batch is ready to use.
type Batch struct {
	Changes []Change
	Pos     Position
	Behind  int64 // bytes of the log known to follow this batch; 0 when caught up

	values []Value
	bytes  []byte
	size   int
}

// Reset empties the batch and keeps its memory. Changes handed out before are
// no longer valid.
func (b *Batch) Reset() {
	clear(b.Changes) // drops references to tables of older schemas
	b.Changes = b.Changes[:0]
	b.Pos, b.Behind, b.size = "", 0, 0
	b.values, b.bytes = b.values[:0], b.bytes[:0]
}

// Size returns about how many bytes the batch's changes hold.
func (b *Batch) Size() int { return b.size }

// Row returns n zero values that live as long as the batch's content.
func (b *Batch) Row(n int) []Value {
	if len(b.values)+n > cap(b.values) {
		// Rows handed out before keep the old array alive.
		b.values = make([]Value, 0, max(n, 2*cap(b.values), chunk/32))
	}
	at := len(b.values)
	b.values = b.values[:at+n]
	row := b.values[at : at+n : at+n]
	clear(row)
	b.size += 32 * n
	return row
}

// Copy returns a copy of p that lives as long as the batch's content.
func (b *Batch) Copy(p []byte) []byte {
	if len(b.bytes)+len(p) > cap(b.bytes) {
		b.bytes = make([]byte, 0, max(len(p), 2*cap(b.bytes), chunk))
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, p...)
	b.size += len(p)
	return b.bytes[at:len(b.bytes):len(b.bytes)]
}
