package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

// A judge that never finds anything would let every run pass.
func TestTheVerdictSeesEveryBrokenPromise(t *testing.T) {
	begin := time.UnixMilli(1_700_000_000_000)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	msg := func(topic, key string, op kafkasync.Op, offset, seq int64, pos string, ms int) message {
		return message{appended: at(ms), Message: kafkasync.Message{
			Topic: topic, Key: []byte(key), Op: op, Offset: offset, Seq: seq, Pos: pos,
		}}
	}
	good := func() *evidence {
		return &evidence{
			ledgerTopic: "ledger", runs: 2,
			committed: map[int64]changes{
				1: {change{"ledger", "1", 'c'}: 1, change{"items", "7", 'u'}: 2},
				2: {change{"ledger", "2", 'c'}: 1, change{"items", "partition 0", 't'}: 1},
			},
			messages: []message{
				msg("ledger", "1", 'c', 0, 10, "0/A", 5),
				msg("ledger", "2", 'c', 1, 13, "0/B", 6),
				msg("ledger", "1", 'c', 2, 20, "0/A", 30), // published again by the second run
				msg("ledger", "2", 'c', 3, 23, "0/B", 30),
				msg("items", "7", 'u', 0, 11, "0/A", 5),
				msg("items", "7", 'u', 1, 12, "0/A", 7),
				msg("items", "", 't', 2, 14, "0/B", 9),
				msg("items", "7", 'u', 3, 21, "0/A", 30),
				msg("items", "7", 'u', 4, 22, "0/A", 30),
				msg("items", "", 't', 5, 24, "0/B", 30),
			},
			samples: []sample{
				{"the slot", 0xA, at(0)}, // its commit record is still wanted
				{"the slot", 0xB, at(7)},
				{"the slot", 0xC, at(9)},
			},
		}
	}
	tests := []struct {
		name string
		ruin func(e *evidence)
		want string // "" if nothing is wrong
	}{
		{"nothing is wrong", func(*evidence) {}, ""},
		{"a transaction is missing", func(e *evidence) { e.committed[3] = changes{{"ledger", "3", 'c'}: 1} }, "transaction 3: nothing of it"},
		{"one of two changes of a row is missing", func(e *evidence) {
			e.messages = slices.DeleteFunc(e.messages, func(m message) bool { return m.Topic == "items" && m.Offset > 0 && m.Pos == "0/A" })
		}, "is 1 times in Kafka, want at least 2"},
		{"the truncate is missing on a partition", func(e *evidence) {
			e.committed[2][change{"items", "partition 1", 't'}] = 1
		}, "partition 1"},
		{"the operation is another one", func(e *evidence) {
			e.committed[1] = changes{{"ledger", "1", 'c'}: 1, {"items", "7", 'd'}: 2}
		}, "LOST"},
		{"something was published that nobody did", func(e *evidence) { delete(e.committed[1], change{"items", "7", 'u'}) }, "which it did not do"},
		{"a rolled back transaction was published", func(e *evidence) { delete(e.committed, 2) }, "of no transaction that committed"},
		{"a message has the position of another transaction", func(e *evidence) { e.messages[4].Pos = "0/9" }, "of no transaction that committed"},
		{"what is missing lies in a gap", func(e *evidence) {
			e.committed[1][change{"late", "7", 'c'}] = 1
			e.excused = excused{"late": {{born: 2, gaps: []span{{0, 0xB}}}}}
		}, ""},
		{"what is missing lies behind the gap", func(e *evidence) {
			e.committed[2][change{"late", "7", 'c'}] = 1
			e.excused = excused{"late": {{born: 2, gaps: []span{{0, 0xB}}}}}
		}, "LOST"},
		{"the gap is that of another table", func(e *evidence) {
			e.committed[1][change{"late", "7", 'c'}] = 1
			e.excused = excused{"later": {{born: 2, gaps: []span{{0, 0xB}}}}}
		}, "LOST"},
		{"the table was dropped before it was covered", func(e *evidence) {
			e.committed[1][change{"late", "7", 'c'}] = 1
			e.excused = excused{"late": {{born: 2, ended: 0xB}}}
		}, ""},
		{"the table was covered when it was dropped, and has been created again", func(e *evidence) {
			e.committed[2][change{"late", "7", 'c'}] = 1
			e.excused = excused{"late": {{born: 2, ended: 0xC, gaps: []span{{0, 0xA}}}, {born: 0xC, gaps: []span{{0, 0xD}}}}}
		}, "LOST"},
		{"the table is still there and was never covered", func(e *evidence) {
			e.committed[2][change{"late", "7", 'c'}] = 1
			e.excused = excused{"late": {{born: 2}}}
		}, "LOST"},
		{"a transaction has two positions", func(e *evidence) { e.messages[2].Pos = "0/C" }, "row \"1\" of the ledger"},
		{"seq goes back", func(e *evidence) { e.messages[7].Seq = 13 }, "seq 13 after 14"},
		{"the order within a run is not that of the log", func(e *evidence) { e.runs = 1 }, "the log goes back"},
		{"the slot moved before the last message was in Kafka", func(e *evidence) { e.samples[2].at = at(8) }, "EARLY"},
		{"the slot moved past a transaction of which one message came later", func(e *evidence) { e.samples[1].at = at(6) }, "EARLY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := good()
			tt.ruin(e)
			got := strings.Join(e.verdict(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got the verdict %q, want %q in it", got, tt.want)
			}
		})
	}
}

func TestTheLedgerSettlesWhatACommitLeftOpen(t *testing.T) {
	l := newLedger()
	l.enter(1, changes{}, committed)
	l.enter(2, changes{}, unknown)
	l.enter(3, changes{}, unknown)
	l.enter(4, changes{}, rolledBack)
	settled, problems := l.settle([]int64{1, 3})
	if len(settled) != 2 || settled[1] == nil || settled[3] == nil || len(problems) != 0 {
		t.Errorf("got %v and %q, want transactions 1 and 3 and no problem", settled, problems)
	}
	if _, problems := l.settle([]int64{3, 4}); len(problems) != 2 {
		t.Errorf("got %q, want that 1 is lost and 4 should not be there", problems)
	}
}

func TestOnlyATableThatSomebodyTouchedMayHaveAGap(t *testing.T) {
	l := newLoad("", "t", 1)
	l.interrupt("swapped", 0x5)
	gap := func(table, from, to string) []web.Gap {
		return []web.Gap{{Table: "public." + table, From: from, To: to}}
	}
	out, problems := l.excuses(gap("swapped", "7:1:0/4", "7:1:0/8"))
	if len(problems) != 0 || !out.at("t-swapped", 4) || out.at("t-swapped", 8) || out.at("t-swapped", 3) || out.at("t-items", 4) {
		t.Errorf("got %v and %q, want 0/4 to 0/8 of swapped excused, and nothing else", out, problems)
	}
	if _, problems := l.excuses(gap("items", "", "7:1:0/8")); len(problems) != 1 {
		t.Errorf("got %q, want that nobody has touched items", problems)
	}
	if _, problems := l.excuses(gap("swapped", "7:1:0/4", "")); len(problems) != 1 {
		t.Errorf("got %q, want that the gap has no end", problems)
	}
}
