package demo

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

// changed is a transaction that wrote rows with these ids, its commit record
// between from and to.
func changed(from, to uint64, ids ...int) *change {
	c := &change{from: from, to: to, rows: map[string]bool{}}
	for _, id := range ids {
		c.rows[fmt.Sprintf(`{"id":%d}`, id)] = true
	}
	return c
}

// arrives notes messages about rows of the transaction whose commit record is at pos.
func arrives(t *testing.T, l *ledger, pos string, ids ...int) {
	t.Helper()
	for _, id := range ids {
		m := kafkasync.Message{Topic: topic, Pos: pos, Value: fmt.Appendf(nil, `{"id":%d}`, id), Committed: time.Now()}
		if err := l.add(m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheLedgerFindsWhatIsLostRepeatedAndStrange(t *testing.T) {
	first, second := changed(0x10, 0x20, 1, 2), changed(0x20, 0x40, 1, 2, 3)
	tests := []struct {
		name    string
		arrive  func(*testing.T, *ledger)
		want    account
		verdict string // "" if all is well
	}{
		{"each once", func(t *testing.T, l *ledger) {
			arrives(t, l, "0/18", 1, 2)
			arrives(t, l, "0/30", 3, 2, 1)
		}, account{rows: 5, messages: 5}, ""},
		{"a part of a transaction twice", func(t *testing.T, l *ledger) {
			arrives(t, l, "0/18", 1, 2)
			arrives(t, l, "0/30", 1, 2, 1, 2, 3)
		}, account{rows: 5, messages: 7, repeated: 2}, ""},
		{"a row missing, which an earlier transaction had", func(t *testing.T, l *ledger) {
			arrives(t, l, "0/18", 1, 2, 2)
			arrives(t, l, "0/30", 1, 3)
		}, account{rows: 5, messages: 5, repeated: 1, lost: 1}, "1 of 5 changed rows did not arrive"},
		{"nothing", func(*testing.T, *ledger) {}, account{rows: 5, lost: 5}, "5 of 5 changed rows did not arrive"},
		{"a row that was not changed", func(t *testing.T, l *ledger) {
			arrives(t, l, "0/18", 1, 2, 9)
			arrives(t, l, "0/20", 1, 2, 3)
		}, account{rows: 5, messages: 6, strange: 1}, "1 messages arrived about rows that were not changed"},
		{"a transaction that nobody made", func(t *testing.T, l *ledger) {
			arrives(t, l, "0/18", 1, 2)
			arrives(t, l, "0/30", 1, 2, 3)
			arrives(t, l, "0/40", 1)
		}, account{rows: 5, messages: 6, strange: 1}, "1 messages arrived about rows that were not changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(parseLSN)
			tt.arrive(t, l)
			got := l.account(first, second)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			verdict := ""
			if err := got.verdict(); err != nil {
				verdict = err.Error()
			}
			if verdict != tt.verdict {
				t.Errorf("got the verdict %q, want %q", verdict, tt.verdict)
			}
		})
	}
}

func TestTheLedgerMeasuresToTheLastNewRow(t *testing.T) {
	l, c := newLedger(parseLSN), changed(0x10, 0x20, 1, 2)
	committed := time.Now().Add(-time.Hour)
	for _, value := range []string{"1", "2", "1"} {
		m := kafkasync.Message{Pos: "0/18", Value: []byte(value), Committed: committed}
		if value == "1" {
			m.Committed = committed.Add(-time.Hour) // so that a repeat would count two hours
		}
		if err := l.add(m); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.last(c); got < time.Hour || got > 90*time.Minute {
		t.Errorf("got %s, want the hour of the last row that was new", got)
	}
	if got := len(l.first(c)); got != 2 {
		t.Errorf("got %d messages to show, want 2", got)
	}
}

func TestAMessageWithoutAPlaceIsAnError(t *testing.T) {
	err := newLedger(parseLSN).add(kafkasync.Message{Topic: topic, Value: []byte(`{"id":1}`)})
	if err == nil || !strings.Contains(err.Error(), "log position") {
		t.Errorf("got %v, want an error about the log position", err)
	}
}

func TestNumbersAndTimesAsAPersonWritesThem(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 200001: "200,001", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d): got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "1 ms", 0: "1 ms", 12 * time.Millisecond: "12 ms", 999 * time.Millisecond: "999 ms", 3840 * time.Millisecond: "3.8 s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%d): got %q, want %q", d, got, want)
		}
	}
}

func TestTheLedgerKnowsWhichRowsWaitForTheirTwin(t *testing.T) {
	l := newLedger(parseLSN)
	arrive := func(id int, seq int64, delayed time.Duration) {
		t.Helper()
		m := kafkasync.Message{Topic: topic, Pos: "0/18", Value: fmt.Appendf(nil, `{"id":%d}`, id), Seq: seq, Committed: time.Now(), Delayed: delayed}
		if err := l.add(m); err != nil {
			t.Fatal(err)
		}
	}
	check := func(twins, behind int) {
		t.Helper()
		if t1, b := l.resent(); t1 != twins || b != behind {
			t.Errorf("got %d twins and %d rows that wait, want %d and %d", t1, b, twins, behind)
		}
	}
	arrive(1, 1, 0)
	arrive(2, 2, 0)
	check(0, 2)
	arrive(1, 3, 0) // again
	arrive(1, 1, time.Second)
	check(1, 2) // that of an older message says less
	arrive(1, 3, time.Second)
	arrive(2, 2, time.Second)
	check(3, 0)
	if got := l.count(); got != 3 {
		t.Errorf("got %d messages, want 3: a twin is none", got)
	}
}

func TestTheLedgerKnowsTheFirstMessageOfAnotherNode(t *testing.T) {
	for name, first := range map[string]func(*testing.T, *ledger){
		"a message again": func(t *testing.T, l *ledger) { arrives(t, l, "0/18", 1) },
		"a later change":  func(t *testing.T, l *ledger) { arrives(t, l, "0/20", 9) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(parseLSN)
			arrives(t, l, "0/18", 1, 2, 2) // a repeat before the kill says nothing
			l.expectAnother(0x20)
			arrives(t, l, "0/18", 3, 4) // was on its way
			if got := l.another(); !got.IsZero() {
				t.Fatalf("got %s, want none yet", got)
			}
			before := time.Now()
			first(t, l)
			got := l.another()
			if got.Before(before) || got.After(time.Now()) {
				t.Errorf("got %s, want the time of the message, %s", got, before)
			}
			arrives(t, l, "0/18", 1)
			if again := l.another(); again != got {
				t.Errorf("got %s after one more, want %s still", again, got)
			}
		})
	}
}
