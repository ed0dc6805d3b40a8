package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// Point is a place in Memory at which its hook is called.
type Point string

// The points, in pairs: before the call has taken effect, and after.
const (
	BeforeHead    Point = "Head, before"
	AfterHead     Point = "Head, after"
	BeforeOpen    Point = "Open, before"
	AfterOpen     Point = "Open, after"
	BeforeNext    Point = "Next, before"
	AfterNext     Point = "Next, after"
	BeforeConfirm Point = "Confirm, before"
	AfterConfirm  Point = "Confirm, after"
	BeforeClose   Point = "Close, before"
)

// Memory is a database in memory with one replication slot: it keeps its log
// until it is confirmed, and sends to one stream at a time. It is a source of itself.
type Memory struct {
	limit int
	hook  func(Point) error

	mu        sync.Mutex
	log       []*transaction // numbered from 1; what is confirmed can no longer be opened
	tables    map[string]*source.Table
	prepared  bool
	confirmed int // transactions that the slot has let go
	stream    *memoryStream
	moved     chan struct{} // closed and replaced when the log grows or the stream is cut
}

// transaction is a committed one as the log holds it.
type transaction struct {
	rows      []change
	committed time.Time
}

type change struct {
	table    *source.Table
	op       kafkasync.Op
	key, old []int64
	text     string
}

// NewMemory returns an empty database that puts at most limit changes into a
// batch. The hook is called at every Point; an error that it returns becomes
// that of the call. It may be nil.
func NewMemory(limit int, hook func(Point) error) *Memory {
	if hook == nil {
		hook = func(Point) error { return nil }
	}
	m := &Memory{limit: max(1, limit), hook: hook, tables: make(map[string]*source.Table), moved: make(chan struct{})}
	for _, name := range []string{Items, Lines} {
		m.tables[name] = &source.Table{Name: name, Columns: columnsOf(name), PrimaryKey: keyOf(name)}
	}
	return m
}

// Commit appends a transaction to the log.
func (m *Memory) Commit(tx Tx) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &transaction{committed: time.Now()}
	for _, s := range tx {
		table := m.tables[s.Row.Table]
		if s.Kind == AddColumn {
			changed := *table
			changed.Columns = append(slices.Clone(table.Columns), "extra")
			m.tables[s.Row.Table] = &changed
			continue
		}
		t.rows = append(t.rows, s.rows(table)...)
	}
	m.log = append(m.log, t)
	m.wake()
}

func (s Step) rows(table *source.Table) []change {
	row := change{table: table, key: s.Row.Key, text: s.Row.Text}
	switch s.Kind {
	case Insert:
		row.op = kafkasync.Created
	case Update:
		row.op = kafkasync.Updated
	case Delete:
		row.op, row.key, row.old = kafkasync.Deleted, nil, s.Row.Key
	case Rekey:
		row.op, row.old = kafkasync.Updated, s.From
	case Truncate:
		row.op = kafkasync.Truncated
	case Fill:
		var all []change
		for i := range s.Count {
			all = append(all, change{table: table, op: kafkasync.Created, key: []int64{s.Row.Key[0] + int64(i)}, text: s.Row.Text})
		}
		return all
	default:
		return nil
	}
	return []change{row}
}

// Disconnect cuts the open stream, as a lost connection or a killed reader does.
func (m *Memory) Disconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stream = nil
	m.wake()
}

// End is the position after the last transaction.
func (m *Memory) End() source.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryPosition(len(m.log))
}

// Confirmed is the position up to which the log has been let go; "" before the first Head.
func (m *Memory) Confirmed() source.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.prepared {
		return ""
	}
	return memoryPosition(m.confirmed)
}

// Changes counts the changes that lie before p.
func (m *Memory) Changes(p source.Position) (int, error) {
	number, err := parseMemoryPosition(p)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if number > len(m.log) {
		return 0, fmt.Errorf("position %q lies beyond the end of the log, %d", p, len(m.log))
	}
	count := 0
	for _, t := range m.log[:number] {
		count += len(t.rows)
	}
	return count, nil
}

// Head is described at source.Source: it creates the slot, or adopts it.
func (m *Memory) Head(ctx context.Context, memory source.Memory) (source.Position, error) {
	if err := m.hook(BeforeHead); err != nil {
		return "", err
	}
	if !memory.Declared() {
		if m.hasSlot() {
			return "", &kafkasync.Fault{Class: kafkasync.Stop, What: "the slot exists already", Risk: "what it was read by"}
		}
		if err := memory.Declare(ctx); err != nil {
			return "", err
		}
	}
	if err := memory.Cover(ctx, []source.Coverage{{Table: Items, ID: "1"}, {Table: Lines, ID: "2"}}, nil); err != nil {
		return "", err
	}
	at := m.slot()
	if err := m.hook(AfterHead); err != nil {
		return "", err
	}
	return at, nil
}

func (m *Memory) hasSlot() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.prepared
}

// slot creates the slot if there is none, and returns where it stands.
func (m *Memory) slot() source.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.prepared {
		m.prepared, m.confirmed = true, len(m.log)
	}
	return memoryPosition(m.confirmed)
}

// Open is described at source.Source.
func (m *Memory) Open(_ context.Context, from source.Position, _ source.Memory) (source.Stream, error) {
	if err := m.hook(BeforeOpen); err != nil {
		return nil, err
	}
	s, err := m.attach(from)
	if err != nil {
		return nil, err
	}
	if err := m.hook(AfterOpen); err != nil {
		m.Disconnect()
		return nil, err
	}
	return s, nil
}

func (m *Memory) attach(from source.Position) (*memoryStream, error) {
	number, err := parseMemoryPosition(from)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.prepared:
		return nil, &kafkasync.Fault{Class: kafkasync.Stop, What: "the slot does not exist"}
	case m.stream != nil:
		return nil, &kafkasync.Fault{Class: kafkasync.Wait, What: "the slot is in use"}
	case number < m.confirmed || number > len(m.log):
		return nil, &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("position %d is not in the log, which holds %d to %d", number, m.confirmed, len(m.log)),
			Risk:  "every change between",
		}
	}
	m.confirmed = number
	m.stream = &memoryStream{m: m, done: number}
	return m.stream, nil
}

// wake is called with the lock held.
func (m *Memory) wake() {
	close(m.moved)
	m.moved = make(chan struct{})
}

func memoryPosition(number int) source.Position {
	return source.Position("memory:" + strconv.Itoa(number))
}

func parseMemoryPosition(p source.Position) (int, error) {
	text, ok := strings.CutPrefix(string(p), "memory:")
	number, err := strconv.Atoi(text)
	if !ok || err != nil || number < 0 {
		return 0, fmt.Errorf("position %q: want memory:N", p)
	}
	return number, nil
}
