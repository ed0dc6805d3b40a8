package pipeline_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// ledger is what Kafka holds, compared with what the database has committed.
type ledger struct {
	want  []entry
	index map[string]int // of want

	mu    sync.Mutex
	have  int   // of want, from its start, without a hole
	last  int64 // newest seq
	wrong string
}

// entry is one message that must be published.
type entry struct {
	id     string
	change int // ordinal of its change
}

// identify names a message by all but its seq.
func identify(m *kafkasync.Message) string {
	return fmt.Sprintf("%s %s %s of %s, tombstone %t", m.Table, m.Op, m.Key, m.Pos, m.Value == nil)
}

// newLedger expects what a faultless reading of the transactions gives.
func newLedger(t *testing.T, txs []sourcetest.Tx) *ledger {
	t.Helper()
	l := &ledger{index: make(map[string]int)}
	db := sourcetest.NewMemory(1<<20, nil)
	head, err := db.Head(t.Context(), sourcetest.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	for _, tx := range txs {
		db.Commit(tx)
	}
	stream, err := db.Open(t.Context(), head, sourcetest.Resumed())
	if err != nil {
		t.Fatal(err)
	}
	var b source.Batch
	if err := stream.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for i := range b.Changes {
		msgs, err := router{}.Append(nil, nil, &b.Changes[i])
		if err != nil {
			t.Fatal(err)
		}
		for j := range msgs {
			id := identify(&msgs[j])
			if _, twice := l.index[id]; twice {
				t.Fatalf("the scenario has two messages %q, which cannot be told apart", id)
			}
			l.index[id] = len(l.want)
			l.want = append(l.want, entry{id, i})
		}
	}
	return l
}

// fault remembers the first violation.
func (l *ledger) fault(format string, args ...any) {
	if l.wrong == "" {
		l.wrong = "ledger: " + fmt.Sprintf(format, args...)
	}
}

func (l *ledger) accept(msgs []kafkasync.Message, ceiling int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range msgs {
		m := &msgs[i]
		id := identify(m)
		at, known := l.index[id]
		switch {
		case !known:
			l.fault("%q was published and never committed", id)
		case at > l.have:
			l.fault("%q was published before %q", id, l.want[l.have].id)
		case at == l.have:
			l.have++
		}
		tombstone := m.Value == nil
		if tombstone && m.Seq != l.last || !tombstone && m.Seq <= l.last || m.Seq >= ceiling {
			l.fault("%q has seq %d after %d, under the ceiling %d", id, m.Seq, l.last, ceiling)
		}
		l.last = m.Seq
	}
}

// covers checks that all changes before p are in Kafka.
func (l *ledger) covers(what string, db *sourcetest.Memory, p source.Position) {
	n, err := db.Changes(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fault("%s %q: %v", what, p, err)
		return
	}
	if l.have < len(l.want) && n > l.want[l.have].change {
		l.fault("%s %q, which covers %d changes, while %q is not in Kafka", what, p, n, l.want[l.have].id)
	}
}

func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.have == len(l.want)
}

// verdict returns the first violation, or what is missing, or "".
func (l *ledger) verdict() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong == "" && l.have < len(l.want) {
		return fmt.Sprintf("ledger: %d of %d messages were published; %q was lost", l.have, len(l.want), l.want[l.have].id)
	}
	return l.wrong
}

func TestLedgerSeesLossAndEarlyCommit(t *testing.T) {
	txs := []sourcetest.Tx{insert(1), insert(2)}
	db := sourcetest.NewMemory(10, nil)
	for _, tx := range txs {
		db.Commit(tx)
	}
	message := func(id string, seq int64) kafkasync.Message {
		return kafkasync.Message{Table: sourcetest.Items, Op: kafkasync.Created, Key: []byte(id), Value: []byte(id), Pos: "m" + id, Seq: seq}
	}
	for name, use := range map[string]func(*ledger){
		"a hole":  func(l *ledger) { l.accept([]kafkasync.Message{message("2", 1)}, 9) },
		"unknown": func(l *ledger) { l.accept([]kafkasync.Message{message("3", 1)}, 9) },
		"old seq": func(l *ledger) { l.accept([]kafkasync.Message{message("1", 5), message("2", 5)}, 9) },
		"ceiling": func(l *ledger) { l.accept([]kafkasync.Message{message("1", 5), message("2", 9)}, 9) },
		"early commit": func(l *ledger) {
			l.accept([]kafkasync.Message{message("1", 1)}, 9)
			l.covers("committing", db, db.End())
		},
		"incomplete": func(l *ledger) { l.accept([]kafkasync.Message{message("1", 1)}, 9) },
	} {
		l := newLedger(t, txs)
		use(l)
		if l.verdict() == "" {
			t.Errorf("%s: got no violation, want one", name)
		}
	}
	l := newLedger(t, txs)
	l.accept([]kafkasync.Message{message("1", 1), message("1", 2), message("2", 3)}, 9)
	l.covers("committing", db, db.End())
	if got := l.verdict(); got != "" || !l.complete() {
		t.Errorf("a repeat: got %q, want no violation", got)
	}
}

// promised checks that whoever is to re-send the messages knows of their delays.
func (l *ledger) promised(msgs []kafkasync.Message, knows func(*kafkasync.Message) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range msgs {
		if !knows(&msgs[i]) {
			l.fault("%s was published before the cluster knew that topic %s carries the delay %s", msgs[i].Value, msgs[i].Topic, msgs[i].Delay)
			return
		}
	}
}

// ledgerSink is one producer that writes to the ledger.
type ledgerSink struct {
	ledger  *ledger
	ceiling func() int64
	knows   func(*kafkasync.Message) bool
	point   pointFunc
	latency func(context.Context) error
	closed  bool
}

func (s *ledgerSink) Publish(ctx context.Context, msgs []kafkasync.Message) error {
	if s.closed {
		return fmt.Errorf("publishing to a closed sink")
	}
	if err := s.point("Publish, before"); err != nil {
		return err
	}
	s.ledger.promised(msgs, s.knows)
	if err := s.latency(ctx); err != nil {
		return err
	}
	half := len(msgs) / 2
	s.ledger.accept(msgs[:half], s.ceiling())
	if err := s.point("Publish, half"); err != nil {
		return err
	}
	s.ledger.accept(msgs[half:], s.ceiling())
	return s.point("Publish, after")
}

func (s *ledgerSink) Close() error {
	s.closed = true
	return s.point("Close of the sink, before")
}
