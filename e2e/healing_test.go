package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

// healing follows every row from its instant messages to the delay message that heals what went wrong with them.
type healing struct {
	owed   map[row][]debt
	wrong  []string
	count  int             // delay messages
	spared int             // instant messages for which that of a later one stood in
	late   []time.Duration // of those that came for a message of their own, for the first time
}

// row is one row as Kafka shows it.
type row struct {
	topic, key string
	partition  int32
}

// debt is an instant message that was not sent again yet.
type debt struct {
	seq      int64
	lsn      uint64
	op       kafkasync.Op
	appended time.Time
	delay    time.Duration
}

func newHealing() *healing { return &healing{owed: map[row][]debt{}} }

func rowOf(m *message) row { return row{m.Topic, string(m.Key), m.Partition} }

// instant takes an instant message.
func (w *healing) instant(m *message, lsn uint64) {
	if m.Delay > 0 {
		r := rowOf(m)
		w.owed[r] = append(w.owed[r], debt{m.Seq, lsn, m.Op, m.appended, m.Delay})
	}
}

// twin takes a delay message, which settles all that is owed of its row up to its seq.
func (w *healing) twin(m *message, lsn uint64) {
	w.count++
	r := rowOf(m)
	left := w.owed[r][:0]
	for _, d := range w.owed[r] {
		switch {
		case d.seq > m.Seq:
			left = append(left, d)
		case d.seq < m.Seq:
			w.spared++
		default:
			w.compare(m, lsn, d)
		}
	}
	if len(left) == 0 {
		delete(w.owed, r)
		return
	}
	w.owed[r] = left
}

func (w *healing) compare(m *message, lsn uint64, d debt) {
	late := m.appended.Sub(d.appended) - d.delay
	switch {
	case m.Op != d.op || lsn != d.lsn || m.Delayed != d.delay:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: got the twin of %s at %s after %s, want one of %s at %s after %s",
			where(m), m.Op, m.Pos, m.Delayed, d.op, formatLSN(d.lsn), d.delay))
	case late < 0:
		w.wrong = append(w.wrong, fmt.Sprintf("%s: the twin came %s before its time", where(m), -late))
	}
	w.late = append(w.late, late)
}

// problems is what was wrong since the last call.
func (w *healing) problems() []string {
	wrong := w.wrong
	w.wrong = nil
	return wrong
}

// missing says of what there is no twin that had to be there by then.
func (w *healing) missing(by time.Time) (problems []string) {
	for r, all := range w.owed {
		for _, d := range all {
			if d.appended.Add(d.delay).Before(by) {
				problems = append(problems, fmt.Sprintf("%s of %s %q with seq %d at %s: neither its twin nor that of a later message is in Kafka: NOT HEALED", d.op, r.topic, r.key, d.seq, formatLSN(d.lsn)))
			}
		}
	}
	return problems
}

// lateness is how late they were: the median, and the 99th and 99.9th of a hundred.
func (w *healing) lateness() [3]time.Duration {
	if len(w.late) == 0 {
		return [3]time.Duration{}
	}
	slices.SortFunc(w.late, cmp.Compare[time.Duration])
	at := func(part float64) time.Duration {
		return w.late[int(part*float64(len(w.late)-1))].Round(time.Millisecond)
	}
	return [3]time.Duration{at(0.5), at(0.99), at(0.999)}
}

// A judge that never finds anything would let every run pass.
func TestTheTwinsAreMissed(t *testing.T) {
	begin := time.UnixMilli(1_700_000_000_000)
	msg := func(key string, seq int64, ms int) message {
		return message{appended: begin.Add(time.Duration(ms) * time.Millisecond), Message: kafkasync.Message{Topic: "items", Key: []byte(key), Op: 'u', Seq: seq, Delay: 2 * time.Second}}
	}
	twin := func(key string, seq int64, ms int) message {
		m := msg(key, seq, ms)
		m.Delay, m.Delayed = 0, m.Delay
		return m
	}
	tests := []struct {
		name     string
		messages []message
		want     int // problems
	}{
		{"each has its twin", []message{msg("1", 1, 0), msg("2", 2, 0), twin("1", 1, 2000), twin("2", 2, 2001)}, 0},
		{"a later one stands in", []message{msg("1", 1, 0), msg("1", 2, 0), twin("1", 2, 2000)}, 0},
		{"it comes again", []message{msg("1", 1, 0), twin("1", 1, 2000), twin("1", 1, 2300)}, 0},
		{"none came", []message{msg("1", 1, 0), msg("2", 2, 0), twin("1", 1, 2000)}, 1},
		{"only that of an earlier one came", []message{msg("1", 1, 0), msg("1", 2, 0), twin("1", 1, 2000)}, 1},
		{"it came early", []message{msg("1", 1, 0), twin("1", 1, 1999)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newHealing()
			for i := range tt.messages {
				if m := &tt.messages[i]; m.Delayed != 0 {
					w.twin(m, 7)
				} else {
					w.instant(m, 7)
				}
			}
			if got := append(w.problems(), w.missing(begin.Add(time.Hour))...); len(got) != tt.want {
				t.Errorf("got %q, want %d problems", got, tt.want)
			}
		})
	}
}
