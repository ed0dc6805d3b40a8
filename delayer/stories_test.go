package delayer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

func TestEveryMessageComesAgainWhenItsDelayHasPassed(t *testing.T) {
	for _, delay := range []time.Duration{time.Second, 1001 * time.Millisecond, 5 * time.Minute} {
		t.Run(delay.String(), func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.topic("products", 3, delay)
				r := w.node(nil).run(delay)
				for row := range 200 {
					w.send("products", row, row, delay)
					w.sleep(37 * time.Millisecond)
				}
				w.sleep(delay + time.Second)
				r.stop()
				a := w.audit()
				a.flawless(t)
				if c := r.counts("products"); c.Resent != 200 || a.twins != 200 || c.Late.Count != 200 || c.Late.Sum > 200 {
					t.Errorf("got %d re-sent, %d twins, %v s late in all, want 200 on time", c.Resent, a.twins, c.Late.Sum)
				}
			})
		})
	}
}

func TestTwoDelaysOnOneTopicAreEachOnTime(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		const short, long = 5 * time.Minute, time.Hour
		w.topic("products", 1, short, long)
		w.topic("orders", 1, short)
		n := w.node(nil)
		a, b := n.run(short), n.run(long)
		for row := range 60 {
			w.send("products", row, row, short)
			w.send("orders", row, row, short)
			w.send("products", 1000+row, 1000+row, long)
			w.sleep(10 * time.Second)
		}
		w.sleep(long + time.Second - 10*time.Second)
		a.stop()
		b.stop()
		w.audit().flawless(t)
		if a, b := a.counts("products"), b.counts("products"); a.Resent != 60 || b.Resent != 60 {
			t.Errorf("got %d and %d re-sent, want 60 of each delay", a.Resent, b.Resent)
		}
	})
}

// The node's clock is wrong, or the brokers' is. Before the first acknowledgement the node knows only its own: one
// message may come early by it, and shows the difference.
func TestAWrongClockMakesOneMessageEarlyAtTheMost(t *testing.T) {
	const off, delay = 10 * time.Minute, 5 * time.Minute
	tests := []struct {
		name         string
		node, broker time.Duration
		early        int
	}{
		{"all clocks are right", 0, 0, 0},
		{"the node's is ahead", off, 0, 1},
		{"the node's is behind", -off, 0, 0},
		{"the brokers' is ahead", 0, off, 0},
		{"the brokers' is behind", 0, -off, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.set(tt.broker)
				w.topic("products", 2, delay)
				w.send("products", 1, 50, delay)
				r := w.node(ahead(tt.node)).run(delay)
				w.sleep(time.Minute)
				w.send("products", 51, 100, delay)
				w.sleep(delay + time.Second)
				r.stop()
				a := w.audit()
				if len(a.early) != tt.early {
					t.Errorf("got %d early, want %d: %q", len(a.early), tt.early, a.early)
				}
				a.early = nil
				a.flawless(t)
				if c := r.counts("products"); c.Late.Count != 100 || c.Late.Sum > 100 {
					t.Errorf("got %d, %v s late in all, want 100 on time", c.Late.Count, c.Late.Sum)
				}
			})
		})
	}
}

func TestTheNextDueTimeIsByTheBrokersClock(t *testing.T) {
	const off, delay = 10 * time.Minute, 5 * time.Minute
	for _, by := range []time.Duration{0, off, -off} {
		story(t, func(t *testing.T, w *world) {
			w.topic("products", 1, delay)
			r := w.node(ahead(by)).run(delay)
			w.send("products", 1, 1, delay)
			w.sleep(delay + time.Minute) // the clock is known
			want := time.Now().Add(delay)
			w.send("products", 2, 2, delay)
			w.sleep(3 * time.Second)
			if c := r.counts("products"); c.NextDue.Sub(want).Abs() > time.Second || c.Waiting != 1 || c.Overdue != 0 {
				t.Errorf("a clock %s ahead: got %d waiting, due %s, %s ago, want 1 at %s", by, c.Waiting, c.NextDue, c.Overdue, want)
			}
			r.stop()
		})
	}
}

// The broker stamps only one of the topics. A message of the other one shows nothing of its clock.
func TestAMessageThatShowsNoClockIsNoProbe(t *testing.T) {
	const off, delay = 10 * time.Minute, 5 * time.Minute
	story(t, func(t *testing.T, w *world) {
		w.create("created", 1, true)
		w.use("created", delay)
		w.topic("products", 1, delay)
		w.send("created", 1, 10, delay)
		w.sleep(time.Second)
		w.send("products", 1, 10, delay)
		r := w.node(ahead(off)).run(delay)
		w.sleep(delay + 2*time.Second)
		r.stop()
		a := w.audit()
		early := 0
		for _, text := range a.early {
			if strings.Contains(text, "products") {
				early++
			}
		}
		if early != 1 {
			t.Errorf("got %d early of the topic that the broker stamps, want 1", early)
		}
	})
}

func TestAPartitionMovesToAMemberWithAnotherClock(t *testing.T) {
	const delay = 5 * time.Minute
	for _, by := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		story(t, func(t *testing.T, w *world) {
			w.topic("products", 2, delay)
			one := w.node(ahead(-by)).run(delay)
			for row := range 100 {
				w.send("products", row, row, delay)
				w.sleep(time.Second)
			}
			w.sleep(delay - time.Minute)
			one.stop()
			before := len(w.audit().early)
			two := w.node(ahead(by)).run(delay)
			w.sleep(delay + 2*time.Minute)
			two.stop()
			a := w.audit()
			if got := len(a.early) - before; before > 1 || got > 1 || by > 0 && got != 1 {
				t.Errorf("clocks %s ahead: got %d early by the first and %d by the second member, want the one that shows the clock", by, before, got)
			}
			a.early = nil
			if by < 0 { // the second one cannot know it before something of its own is acknowledged
				a.late = nil
			}
			a.flawless(t)
		})
	}
}

// A wall clock is set; what has passed does not change by it.
func TestAWallClockThatJumpsChangesNothing(t *testing.T) {
	const delay = 5 * time.Minute
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		var jump time.Duration
		r := w.node(func() time.Time { return jumped(time.Now(), jump) }).run(delay)
		for row := range 120 {
			jump = []time.Duration{0, 10 * time.Minute, -10 * time.Minute}[row%3]
			w.send("products", row, row, delay)
			w.sleep(5 * time.Second)
		}
		w.sleep(delay)
		r.stop()
		w.audit().flawless(t)
	})
}

// A broker's clock is set back while nobody writes: what was known of it is too old, one message later.
func TestABrokersClockThatIsSetBackIsFollowed(t *testing.T) {
	const delay = 5 * time.Minute
	story(t, func(t *testing.T, w *world) {
		w.set(10 * time.Minute)
		w.topic("products", 1, delay)
		r := w.node(nil).run(delay)
		w.send("products", 1, 1, delay)
		w.sleep(2 * delay)
		w.set(0)
		w.send("products", 2, 20, delay)
		w.sleep(time.Minute)
		w.send("products", 21, 40, delay)
		w.sleep(delay + time.Second)
		r.stop()
		for _, p := range w.audit().promises {
			if early := p.due().Sub(p.twins[0].real); p.Seq > 20 && early > 0 {
				t.Errorf("the twin of seq %d came %s early, want none of those that were written later", p.Seq, early)
			}
		}
	})
}

// T5: neither a timestamp in the future nor a record that cannot be read holds up what is behind it.
func TestRecordsThatAreWrongHoldNobodyUp(t *testing.T) {
	const delay = 5 * time.Minute
	story(t, func(t *testing.T, w *world) {
		w.create("products", 1, true)
		w.use("products", delay)
		r := w.node(nil).run(delay)
		w.sleep(time.Second)
		w.send("products", 1, 5, delay)
		future := w.message("products", 6, delay)
		headers, _ := future.AppendHeaders(nil, nil)
		for _, at := range []time.Time{time.Now().AddDate(100, 0, 0), time.UnixMilli(1<<63 - 1)} {
			w.writeRecord("products", 0, memRecord{key: future.Key, value: future.Value, headers: headers, written: at})
			future = w.message("products", 7, delay)
			headers, _ = future.AppendHeaders(nil, nil)
		}
		w.writeRecord("products", 0, memRecord{value: []byte("?"), headers: []kafkasync.Header{{Key: "delay", Value: []byte("300000")}, {Key: "op", Value: []byte("?")}}})
		w.send("products", 8, 12, delay)
		w.sleep(delay + time.Second)
		r.stop()
		a := w.audit()
		a.flawless(t)
		if a.twins != 12 {
			t.Errorf("got %d twins, want 12", a.twins)
		}
		if got := w.logs.find("is no message of kafkasync"); len(got) != 1 || !strings.Contains(got[0], "topic=products partition=0") {
			t.Errorf("got the lines %q, want one that names the place", got)
		}
	})
}

func TestSixHundredPartitionsAreOnTime(t *testing.T) {
	const delay = 10 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 600, delay)
		n := w.node(nil)
		r := n.run(delay)
		for row := range 30 {
			w.send("products", 100*row, 100*row+99, delay)
			w.sleep(20 * time.Millisecond)
		}
		w.sleep(delay + time.Second)
		r.stop()
		w.audit().flawless(t)
	})
}

func TestAPartitionFullOfWhatWaitsStarvesNoOther(t *testing.T) {
	const delay = 10 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("full", 1, delay)
		w.topic("products", 1, delay)
		r := w.node(nil).run(delay)
		for row := range 40 {
			w.send("products", row, row, delay)
			if row == 20 {
				w.send("full", 1, 8000, delay)
			}
			w.sleep(500 * time.Millisecond)
		}
		w.sleep(delay)
		r.stop()
		a := w.audit()
		a.promised(t)
		for _, text := range a.late {
			if strings.Contains(text, "products") {
				t.Errorf("got %s, want it on time", text)
			}
		}
	})
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	const delay = 10 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 40, delay)
		m := w.message("products", 0, delay)
		m.Value = append(append([]byte(`{"id":"`), bytes.Repeat([]byte("x"), 5000)...), `"}`...)
		for row := range 4400 { // 22 MB
			m.Key, m.Seq = fmt.Appendf(nil, "%d", row), int64(row+1)
			w.publish(m)
		}
		n := w.node(nil)
		r := n.run(delay)
		w.sleep(2 * delay)
		r.stop()
		w.audit().promised(t)
		if most := n.seats[0].most; most > heldBytes || most < heldBytes/2 {
			t.Errorf("got %d bytes held at once, want up to %d", most, heldBytes)
		}
	})
}

func TestTruncatesAndForeignRecordsArePassedOver(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 2, delay)
		r := w.node(nil).run(delay)
		for row := range 20 {
			w.send("products", row, row, delay)
			truncate := w.message("products", 0, []time.Duration{0, delay}[row%2]) // with a delay that ours do not have
			truncate.Op, truncate.Key, truncate.Value = kafkasync.Truncated, nil, []byte(`{"id":null}`)
			w.publish(truncate, w.message("products", row, 0), w.message("products", row, time.Hour))
			w.writeRecord("products", row%2, memRecord{key: []byte("k"), value: []byte("v")})
			w.writeRecord("products", row%2, memRecord{headers: []kafkasync.Header{{Key: "op", Value: []byte("insert")}, {Key: "ts", Value: []byte("today")}}})
			w.sleep(100 * time.Millisecond)
		}
		w.sleep(delay + 3*time.Second)
		c := r.counts("products")
		r.stop()
		a := w.audit()
		if a.twins != 20 || c.Resent != 20 || c.Waiting != 0 {
			t.Errorf("got %d twins, %d counted, %d waiting, want 20 and nothing that waits", a.twins, c.Resent, c.Waiting)
		}
		for p := range int32(2) {
			if at := w.at("kafkasync-delayer-5000", "products", p); at != w.pair("products", delay).Ends[p] {
				t.Errorf("partition %d: got %d committed, want its end %d", p, at, w.pair("products", delay).Ends[p])
			}
		}
	})
}

func TestMessagesOfARowThatAreDueTogetherCollapse(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 2, delay)
		for range 5 {
			w.send("products", 1, 10, delay)
		}
		w.sleep(2 * delay) // nobody was there
		r := w.node(nil).run(delay)
		w.sleep(3 * time.Second)
		r.stop()
		a := w.audit()
		a.promised(t)
		// The first one alone shows the brokers' clock.
		if c := r.counts("products"); a.twins != 11 || c.Resent != 11 || c.Collapsed != 39 {
			t.Errorf("got %d twins, %d re-sent, %d collapsed, want 11 and 39", a.twins, c.Resent, c.Collapsed)
		}
		for _, p := range a.promises {
			if len(p.twins) > 0 && p.Seq > 1 && p.Seq <= 40 {
				t.Errorf("got a twin of seq %d, want those of the newest", p.Seq)
			}
		}
	})
}

// What is taken at once ends behind a truncate: nothing collapses across it all the same.
func TestATruncateIsAWallAcrossWhatIsTakenAtOnce(t *testing.T) {
	const delay = 5 * time.Second
	for _, atOnce := range []int{1, 2, 3, 4, 5} {
		story(t, func(t *testing.T, w *world) {
			w.atOnce = atOnce
			w.topic("products", 1, delay)
			w.send("products", 0, 1, delay) // the first one shows the brokers' clock
			truncate := w.message("products", 0, 0)
			truncate.Op, truncate.Key, truncate.Value = kafkasync.Truncated, nil, []byte(`{"id":null}`)
			w.publish(truncate, w.message("products", 1, 0), w.message("products", 1, delay))
			w.sleep(2 * delay)
			r := w.node(nil).run(delay)
			w.sleep(time.Second)
			r.stop()
			if a := w.audit(); a.twins != 3 {
				t.Errorf("%d taken at once: got %d twins, want those of both sides of the truncate", atOnce, a.twins)
			}
		})
	}
}

func TestLargeMessagesStarveNoOtherPartition(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("large", 1, delay)
		w.topic("products", 1, delay)
		for row := range 6 {
			m := w.message("large", row, delay)
			m.Value = append(append([]byte(`{"id":"`), bytes.Repeat([]byte("x"), batchBytes*2/3)...), `"}`...)
			w.publish(m)
		}
		w.send("products", 1, 5, delay)
		w.sleep(2 * delay)
		r := w.node(nil).run(delay)
		w.sleep(5 * time.Second)
		r.stop()
		a := w.audit()
		a.promised(t)
		var large, small []time.Time
		for _, p := range a.promises {
			if p.Value[len(p.Value)-2] == '"' {
				large = append(large, p.twins[0].real)
			} else {
				small = append(small, p.twins[0].real)
			}
		}
		if !small[len(small)-1].Before(large[3]) {
			t.Errorf("got the small ones %s after the fourth large one, want them between", small[len(small)-1].Sub(large[3]))
		}
	})
}

func TestABacklogIsWorkedOffAsFastAsKafkaAcknowledges(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		w.send("products", 1, 10_000, delay)
		w.sleep(2 * delay)
		began := time.Now()
		r := w.node(nil).run(delay)
		w.sleep(time.Second)
		r.stop()
		var last time.Time
		for _, p := range w.audit().promises {
			if len(p.twins) == 0 {
				t.Fatal("got a message without a twin after a second")
			}
			last = p.twins[0].real
		}
		if took := last.Sub(began); took > 100*time.Millisecond { // of some 7 batches, each of which arrives after a millisecond
			t.Errorf("got %s for all, want much less than a poll for each batch", took)
		}
	})
}
