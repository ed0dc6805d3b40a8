package route

import "github.com/kafkasync/kafkasync/source"

// Buffer is the memory of one caller of Append: the bytes of its messages, and
// what was worked out about its tables. It keeps both across Reset. The zero
// Buffer is ready to use, by one goroutine at a time.
type Buffer struct {
	bytes []byte
	last  *plan            // most rows follow one of their own table
	plans map[string]*plan // by name of the table: a new schema takes the old one's place
}

// Reset gives the bytes of all messages back to the Buffer.
func (b *Buffer) Reset() { b.bytes = b.bytes[:0] }

// since returns what was appended from at on. Its capacity is cut, so that
// nobody can append into the next message. When the arena has to grow, messages
// handed out before keep the old one alive.
func (b *Buffer) since(at int) []byte { return b.bytes[at:len(b.bytes):len(b.bytes)] }

// plan returns what the router does with the rows of a table.
func (b *Buffer) plan(r *Router, table *source.Table) (*plan, error) {
	if p := b.last; p != nil && p.table == table && p.router == r {
		return p, nil
	}
	p := b.plans[table.Name]
	if p == nil || p.table != table || p.router != r {
		var err error
		if p, err = r.newPlan(table); err != nil {
			return nil, err
		}
		if b.plans == nil {
			b.plans = map[string]*plan{}
		}
		b.plans[table.Name] = p
	}
	b.last = p
	return p, nil
}
