package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// faults are all there are, as cards. Each is over when it returns, but for what the consumers have to catch up with.
func (f *following) faults() []func(*party) {
	return []func(*party){
		f.kill, f.grow, f.grow, f.shrink, f.shrink, f.freeze, f.freeze,
		func(*party) { f.killHolding() },
		func(*party) { f.freezeHolding(false) },
		func(*party) { f.freezeHolding(true) },
		func(*party) { f.truncate() },
		func(*party) { f.killNode() },
		func(*party) { f.restartKafka() },
	}
}

// one picks a process.
func (f *following) one(c *party) *hand { return c.hands[f.dice.IntN(len(c.hands))] }

func (f *following) kill(c *party) {
	f.t.Helper()
	f.tally.note("kill -9 of a consumer")
	c.kill(f.one(c))
	c.grow(1)
}

// grow starts one more, of four at the most.
func (f *following) grow(c *party) {
	f.t.Helper()
	if len(c.hands) == 4 {
		f.shrink(c)
		return
	}
	f.tally.note("one consumer more")
	c.grow(1)
}

// shrink ends one in order, and leaves two at least.
func (f *following) shrink(c *party) {
	f.t.Helper()
	if len(c.hands) == 2 {
		f.grow(c)
		return
	}
	f.tally.note("one consumer less (SIGTERM)")
	c.terminate(f.one(c))
}

// freeze stops a process wherever it is, for longer than its session.
func (f *following) freeze(c *party) {
	f.t.Helper()
	f.tally.note("SIGSTOP of a consumer, anywhere")
	h := f.one(c)
	h.signal(f.t, syscall.SIGSTOP)
	c.without(h)
	f.passed()
	moment(f.t, upTo(f.dice, 2*time.Second))
	h.signal(f.t, syscall.SIGCONT)
	c.hands = append(c.hands, h)
}

// truncate empties the table, and fills it again.
func (f *following) truncate() {
	f.t.Helper()
	f.tally.note("TRUNCATE")
	sql := "TRUNCATE items"
	if f.dice.IntN(2) == 0 {
		sql += " RESTART IDENTITY" // then ids come again
	}
	execute(f.t, f.url, sql)
	f.insert()
}

func (f *following) killNode() {
	f.t.Helper()
	f.tally.note("kill -9 of kafkasync")
	f.node.kill(f.t)
	f.node = f.site.start(f.t)
	f.node.reaches(f.t, "streaming")
}

func (f *following) restartKafka() {
	f.t.Helper()
	f.tally.note("restart of Kafka")
	if err := f.kafka.Stop(); err != nil {
		f.t.Fatal(err)
	}
	moment(f.t, upTo(f.dice, 5*time.Second))
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	if err := f.kafka.Start(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// freezeHolding lets a process of every party freeze itself with a batch that is loaded and not written, for longer than its session. What
// they hold is changed meanwhile, or truncated, and the others handle that. Then they wake up, and write.
func (f *following) freezeHolding(truncate bool) {
	f.t.Helper()
	for !f.freezeOnce(truncate) {
		f.t.Log("once more")
	}
}

func (f *following) freezeOnce(truncate bool) (written bool) {
	f.t.Helper()
	victims := make([]*hand, len(f.parties))
	began := time.Now()
	for i, c := range f.parties {
		victims[i] = f.one(c)
		victims[i].signal(f.t, syscall.SIGUSR1)
	}
	f.holding(victims, (*hand).stopped)
	var ids []int64
	for i, c := range f.parties {
		ids = append(ids, victims[i].holding(f.t)...)
		c.without(victims[i])
	}
	f.passed() // the others have their partitions
	until := f.changeHeld(ids, began, truncate)
	for i, c := range f.parties {
		if err := os.WriteFile(c.Until, []byte(until.Format(time.RFC3339Nano)), 0o600); err != nil {
			f.t.Fatal(err)
		}
		victims[i].signal(f.t, syscall.SIGCONT)
		c.hands = append(c.hands, victims[i])
	}
	written = true
	for i := range f.parties {
		written = f.wakes(i, victims[i]) && written
	}
	if written {
		f.tally.note("frozen with a batch that was loaded and not written, then " + map[bool]string{true: "truncated", false: "changed"}[truncate])
	}
	return written
}

// killHolding kills a process of every party with a batch that is loaded and not written, after it had the time to say that it is done.
func (f *following) killHolding() {
	f.t.Helper()
	f.tally.note("kill -9 with a batch that was loaded and not written")
	victims, before := make([]*hand, len(f.parties)), map[*hand]int{}
	for i, c := range f.parties {
		victims[i] = f.one(c)
		before[victims[i]] = len(victims[i].said("keeping"))
		victims[i].signal(f.t, syscall.SIGUSR2)
	}
	f.holding(victims, func(h *hand) bool { return len(h.said("keeping")) > before[h] })
	moment(f.t, 500*time.Millisecond) // offsets are committed every 200 ms
	for i, c := range f.parties {
		c.kill(victims[i])
		c.grow(1)
	}
}

// holding changes rows until every one of these processes holds some.
func (f *following) holding(victims []*hand, holds func(*hand) bool) {
	f.t.Helper()
	var again time.Time
	eventually(f.t, time.Minute, func() string {
		if time.Now().After(again) {
			execute(f.t, f.url, "UPDATE items SET n = n + 1 WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT 200)")
			again = time.Now().Add(2 * time.Second)
		}
		for i, h := range victims {
			f.parties[i].live()
			if !holds(h) {
				return fmt.Sprintf("process %d of %s holds nothing: %s", h.cmd.Process.Pid, f.parties[i].Name, h.log.tail(5))
			}
		}
		return ""
	})
}

// changeHeld changes rows that somebody holds, and waits until the others have handled that. It returns until when the rows may be
// written: a little before the delay messages come that put them right.
func (f *following) changeHeld(ids []int64, began time.Time, truncate bool) (until time.Time) {
	f.t.Helper()
	const little = 2 * time.Second
	if truncate {
		// A truncate has no delay message: those of the messages that the processes were frozen with have to do.
		f.truncate()
		f.passed()
		return began.Add(f.delay - little)
	}
	all := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
	changed := time.Now()
	execute(f.t, f.url, "BEGIN",
		"UPDATE items SET n = n + 1000 WHERE id % 3 = 0 AND id IN ("+all+")",
		"DELETE FROM items WHERE id % 3 = 1 AND id IN ("+all+")",
		"UPDATE items SET id = nextval('items_id_seq') WHERE id % 3 = 2 AND id IN ("+all+")",
		"COMMIT")
	f.passed()
	return changed.Add(f.delay - little)
}

// wakes waits until a process has written what it held, or has given it up. The index must have refused all of it.
func (f *following) wakes(i int, h *hand) (written bool) {
	f.t.Helper()
	held := h.said("holding")
	var refused []string
	eventually(f.t, time.Minute, func() string {
		f.parties[i].live()
		refused = h.said("written")
		if len(refused)+len(h.said("late")) < len(held) {
			return fmt.Sprintf("the consumer of %s has not written what it held: %s", f.parties[i].Name, h.log.tail(5))
		}
		return ""
	})
	if len(refused) <= h.written {
		f.t.Logf("a consumer of %s has not written what it held: %s", f.parties[i].Name, strings.Join(h.said("late"), "; "))
		return false
	}
	h.written = len(refused)
	rows := len(h.holding(f.t))
	f.tally.held[i] += rows
	if last := refused[len(refused)-1]; i == theIndex && last != strconv.Itoa(rows) {
		f.t.Errorf("the index has refused %s of the %d rows that a frozen process held, want all of them", last, rows)
	}
	return true
}
