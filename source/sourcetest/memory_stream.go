package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// memoryStream reads a Memory. It is cut once it is no longer m.stream.
type memoryStream struct {
	m    *Memory
	done int // transactions returned to their end; guarded by m.mu
	row  int // rows returned of the next one
}

// Next is described at source.Stream.
func (s *memoryStream) Next(ctx context.Context, b *source.Batch) error {
	b.Reset()
	if err := s.m.hook(BeforeNext); err != nil {
		return err
	}
	for {
		moved, err := s.fill(b)
		if err != nil {
			return err
		}
		if len(b.Changes) > 0 || b.Pos != "" {
			return s.m.hook(AfterNext)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-moved:
		}
	}
}

// fill takes what there is, up to the limit, and returns what to wait for if that is nothing.
func (s *memoryStream) fill(b *source.Batch) (<-chan struct{}, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.stream != s {
		return nil, errors.New("reading the log: the stream is closed")
	}
	for s.done < len(s.m.log) {
		t := s.m.log[s.done]
		for s.row < len(t.rows) && len(b.Changes) < s.m.limit {
			b.Changes = append(b.Changes, t.rows[s.row].in(b, t, s.done+1))
			s.row++
		}
		if s.row < len(t.rows) {
			break
		}
		s.done, s.row = s.done+1, 0
		b.Pos = memoryPosition(s.done)
	}
	for _, t := range s.m.log[s.done:] {
		b.Behind += int64(len(t.rows))
	}
	b.Behind -= int64(s.row)
	return s.m.moved, nil
}

// in writes the change into a batch.
func (c *change) in(b *source.Batch, t *transaction, number int) source.Change {
	out := source.Change{Table: c.table, Op: c.op, Committed: t.committed, Place: "m" + strconv.Itoa(number)}
	if c.op == kafkasync.Truncated {
		return out
	}
	if c.key != nil {
		out.New = values(b, c.table, c.key)
		out.New[len(c.key)] = source.Value{Kind: source.Text, Bytes: b.Copy([]byte(c.text))}
		for i := len(c.key) + 1; i < len(out.New); i++ {
			out.New[i].Kind = source.Null
		}
	}
	if c.old != nil {
		out.Old = values(b, c.table, c.old)
	}
	return out
}

// values returns a row that holds only its key.
func values(b *source.Batch, table *source.Table, key []int64) []source.Value {
	row := b.Row(len(table.Columns))
	var digits [20]byte
	for i, k := range key {
		kind := source.BigInt
		if table.Columns[i] == "line" {
			kind = source.Int
		}
		row[i] = source.Value{Kind: kind, Bytes: b.Copy(strconv.AppendInt(digits[:0], k, 10))}
	}
	return row
}

// Confirm is described at source.Stream. The log before p is gone when it returns.
func (s *memoryStream) Confirm(_ context.Context, p source.Position) error {
	if err := s.m.hook(BeforeConfirm); err != nil {
		return err
	}
	if err := s.forget(p); err != nil {
		return err
	}
	return s.m.hook(AfterConfirm)
}

func (s *memoryStream) forget(p source.Position) error {
	number, err := parseMemoryPosition(p)
	if err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	switch {
	case s.m.stream != s:
		return errors.New("confirming: the stream is closed")
	case number > s.done:
		return fmt.Errorf("confirming %q: only %d transactions were read", p, s.done)
	}
	s.m.confirmed = max(s.m.confirmed, number)
	return nil
}

// Close is described at source.Stream.
func (s *memoryStream) Close() error {
	if err := s.m.hook(BeforeClose); err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.stream == s {
		s.m.stream = nil
		s.m.wake()
	}
	return nil
}
