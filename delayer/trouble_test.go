package delayer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

func TestWhatCouldNotBePublishedIsReSentByTheNextRun(t *testing.T) {
	const delay = 5 * time.Second
	for _, point := range []string{"Publish, before", "Publish, half", "Publish, after"} {
		t.Run(point, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.topic("products", 2, delay)
				w.send("products", 1, 20, delay)
				n := w.node(nil)
				failure := errors.New("the sink has failed")
				publishes := 0
				n.point = func(name string) error {
					if name == point {
						if publishes++; publishes == 2 { // the first is the one that shows the brokers' clock
							return failure
						}
					}
					return nil
				}
				r := n.run(delay)
				if err := <-r.done; !errors.Is(err, failure) {
					t.Fatalf("got the error %v, want that of the sink", err)
				}
				again := n.run(delay)
				w.sleep(delay)
				again.stop()
				a := w.audit()
				a.promised(t)
				if most := map[string]int{"Publish, before": 0, "Publish, half": 10, "Publish, after": 19}[point]; len(a.repeats) > most {
					t.Errorf("got %d repeats, want no more than the %d of the batch that arrived", len(a.repeats), most)
				}
			})
		})
	}
}

// A partition is taken away while a batch is in flight: that is acknowledged and committed first.
func TestABatchInFlightIsFinishedBeforeAPartitionIsGivenBack(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 4, delay)
		one := w.node(nil).run(delay)
		w.send("products", 1, 1, delay) // shows the brokers' clock
		w.sleep(time.Second)
		w.send("products", 2, 100, delay)
		w.sleep(delay - 500*time.Millisecond)
		w.stall()
		w.sleep(time.Second) // all of them are in flight
		two := w.node(nil).run(delay)
		w.sleep(2 * time.Second)
		w.resume()
		w.sleep(time.Second)
		w.send("products", 101, 200, delay)
		w.sleep(2 * delay)
		one.stop()
		two.stop()
		a := w.audit()
		a.promised(t)
		if len(a.repeats) != 0 {
			t.Errorf("got %d repeats, want none", len(a.repeats))
		}
		if one, two := one.counts("products"), two.counts("products"); one.Resent == 0 || two.Resent == 0 || one.Resent+two.Resent != 200 {
			t.Errorf("got %d and %d re-sent, want 200 by both", one.Resent, two.Resent)
		}
	})
}

func TestAPartitionIsGivenBackWhenKafkaAcknowledgesNothingForTooLong(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 4, delay)
		w.send("products", 1, 100, delay)
		one := w.node(nil).run(delay)
		w.sleep(time.Second)
		w.stall()
		w.sleep(delay) // a batch is in flight
		two := w.node(nil).run(delay)
		w.sleep(landing + time.Second)
		if got := w.owners("kafkasync-delayer-5000"); !slices.Equal(got, []int{2, 2}) {
			t.Errorf("got partitions shared as %v, want 2 each", got)
		}
		w.resume()
		w.sleep(2 * delay)
		one.stop()
		two.stop()
		a := w.audit()
		a.promised(t)
		if got := len(a.repeats); got == 0 || got > 100 {
			t.Errorf("got %d repeats, want those that were in flight", got)
		}
	})
}

// owners is how many partitions each member of a group has.
func (m *memory) owners(group string) (counts []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.groups[group].members {
		n := 0
		for _, owner := range m.groups[group].owner {
			if owner == x {
				n++
			}
		}
		counts = append(counts, n)
	}
	return counts
}

// T4: a member is frozen for longer than its session, and wakes up.
func TestAFrozenMemberThatWakesUpReSendsNothing(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 4, delay)
		first, second := w.node(nil), w.node(nil)
		one := first.run(delay)
		w.sleep(time.Second)
		two := second.run(delay)
		w.sleep(time.Second)
		for row := range 400 {
			w.send("products", row, row, delay)
			w.sleep(50 * time.Millisecond)
			switch row {
			case 100:
				first.freeze()
			case 300:
				first.thaw() // with what has become due meanwhile in its hands
			}
		}
		w.sleep(2 * delay)
		one.stop()
		two.stop()
		a := w.audit()
		a.promised(t)
		for _, r := range a.repeats {
			if r.by == &first.process {
				t.Errorf("got a repeat by the one that woke up, want none: nothing was in flight")
			}
		}
		if most := int(commitEvery/(50*time.Millisecond)) + 1; len(a.repeats) > most {
			t.Errorf("got %d repeats by the other one, want no more than was sent since the last commit", len(a.repeats))
		}
	})
}

// T4 again: it is frozen while it hands a batch to Kafka.
func TestAMemberThatFreezesWhilePublishingRepeatsNoMoreThanThat(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 4, delay)
		first, second := w.node(nil), w.node(nil)
		publishes := 0
		first.point = func(name string) error {
			if name == "Publish, before" {
				if publishes++; publishes == 2 { // with all but the one that shows the brokers' clock
					first.freeze()
				}
			}
			return nil
		}
		w.send("products", 1, 100, delay)
		one := first.run(delay)
		w.sleep(delay + time.Second)
		two := second.run(delay)
		w.sleep(sessionTimeout + time.Second)
		thawed := time.Now()
		first.thaw()
		w.sleep(2 * delay)
		one.stop()
		two.stop()
		a := w.audit()
		a.promised(t)
		inFlight := 0
		for _, r := range a.repeats {
			if r.by == &first.process {
				inFlight++
				if late := r.real.Sub(thawed); late > 100*time.Millisecond {
					t.Errorf("got a repeat %s after it woke up, want only the batch that was in flight", late)
				}
			}
		}
		if inFlight != 99 || len(a.repeats) > 100 { // the first one was not committed yet
			t.Errorf("got %d repeats, %d by the one that woke up, want the 99 that were in flight", len(a.repeats), inFlight)
		}
	})
}

// A member is frozen, for less than its session, after it has looked at the clock and before it takes records.
func TestARecordIsSeenWhenItIsTakenAndNotBefore(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		n := w.node(nil)
		taking := 0
		n.point = func(name string) error {
			if name == "Take, before" {
				if taking++; taking == 50 {
					_ = wait(t.Context(), 4*time.Second)
				}
			}
			return nil
		}
		r := n.run(delay)
		for row := range 100 {
			w.send("products", row, row, delay)
			w.sleep(100 * time.Millisecond)
		}
		w.sleep(delay + time.Second)
		r.stop()
		w.audit().promised(t) // late by as much
	})
}

func TestAShutdownFinishesAndCommits(t *testing.T) {
	const delay = 5 * time.Second
	tests := []struct {
		name    string
		resumed time.Duration // after the stop
		repeats bool
	}{
		{"what is in flight is acknowledged in time", time.Second, false},
		{"Kafka does not acknowledge any more", time.Minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.topic("products", 2, delay)
				w.send("products", 1, 50, delay)
				r := w.node(nil).run(delay)
				w.sleep(time.Second)
				w.stall()
				w.sleep(delay)
				timer := time.AfterFunc(tt.resumed, w.resume)
				defer timer.Stop()
				if took := r.stop(); took < min(tt.resumed, flightGrace) || took > flightGrace+time.Second {
					t.Errorf("got %s until the run had ended, want no more than its grace", took)
				}
				w.sleep(tt.resumed)
				next := w.node(nil).run(delay)
				w.sleep(delay)
				next.stop()
				a := w.audit()
				a.promised(t)
				if got := len(a.repeats); (got > 0) != tt.repeats || got > 50 {
					t.Errorf("got %d repeats, want some: %t", got, tt.repeats)
				}
			})
		})
	}
}

// What is not there any more is counted and told, and the rest goes on.
func TestWhatIsGoneIsCountedAndTheRestGoesOn(t *testing.T) {
	const delay = 5 * time.Minute
	const group = "kafkasync-delayer-300000"
	tests := []struct {
		name   string
		away   bool // nobody is there while it happens
		happen func(w *world)
		lost   uint64
		line   string // a part of the one that is logged
		odd    bool   // twins whose messages are gone
	}{
		{"records are deleted while nobody is there", true, func(w *world) { w.purge("products", 0, 20) }, 20, "records were deleted", false},
		{"records are deleted that are held", false, func(w *world) { w.purge("products", 0, 20) }, 0, "", true},
		{"a topic is created again while nobody is there", true, func(w *world) {
			w.drop("products")
			w.create("products", 1, false)
		}, 0, "was deleted and created again", false},
		{"a topic is created again", false, func(w *world) {
			w.drop("products")
			w.create("products", 1, false)
		}, 50, "was deleted and created again", false},
		{"the log is cut back while nobody is there", true, func(w *world) { w.cut("products", 0, 10) }, 0, "", false},
		{"offsets expire", true, func(w *world) {
			w.sleep(3 * time.Hour)
			w.forget(group)
		}, 0, "the offsets of the delayer's group are gone", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.topic("products", 1, delay)
				w.send("products", 1, 50, delay)
				r := w.node(nil).run(delay)
				w.sleep(10 * time.Second)
				if tt.away {
					r.stop()
				}
				tt.happen(w)
				w.sleep(time.Second)
				if tt.away {
					r = w.node(nil).run(delay)
				}
				w.sleep(5 * time.Second)
				w.send("products", 101, 120, delay)
				w.sleep(delay + 20*time.Second)
				r.stop()
				a := w.audit()
				a.odd = slices.DeleteFunc(a.odd, func(string) bool { return tt.odd })
				a.promised(t)
				if c := r.counts("products"); c.Lost != tt.lost {
					t.Errorf("got %d lost, want %d", c.Lost, tt.lost)
				}
				if got := w.logs.find("level=WARN"); tt.line != "" && (len(got) != 1 || !strings.Contains(got[0], tt.line)) || tt.line == "" && len(got) > 0 {
					t.Errorf("got the lines %q, want one with %q", got, tt.line)
				}
			})
		})
	}
}

// A partition's log is cut back below what is committed, and has grown again, but not so far, before anybody reads it.
func TestALogThatIsCutBackIsReadOnByTime(t *testing.T) {
	const delay = 5 * time.Second
	for _, createTime := range []bool{false, true} {
		story(t, func(t *testing.T, w *world) {
			w.create("products", 1, createTime)
			w.use("products", delay)
			r := w.node(nil).run(delay)
			for row := range 100 {
				w.send("products", row, row, delay)
				w.sleep(100 * time.Millisecond)
			}
			w.sleep(2 * delay)
			if createTime { // a clock that is wrong must not make what comes then look old
				w.writeRecord("products", 0, memRecord{written: time.Now().AddDate(100, 0, 0)})
			}
			w.sleep(time.Second) // 200 records or one more, all committed
			r.stop()
			w.cut("products", 0, 150)
			w.send("products", 100, 119, delay)
			next := w.node(nil).run(delay)
			w.sleep(time.Second)
			w.send("products", 120, 219, delay)
			w.sleep(delay + time.Second)
			next.stop()
			for _, p := range w.audit().promises {
				if n := len(p.twins); p.Seq > 100 && n != 1 || p.Seq <= 50 && n > 2 {
					t.Errorf("CreateTime %t: got %d twins of seq %d, want 1", createTime, n, p.Seq)
				}
			}
			if got := w.logs.find("ends before what the delayer has committed"); len(got) != 1 {
				t.Errorf("got the lines %q, want one", got)
			}
		})
	}
}

// Records are deleted beyond what is held: that is re-sent all the same.
func TestWhatIsHeldIsReSentAlthoughItIsDeleted(t *testing.T) {
	const delay = 10 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		n := w.node(nil)
		r := n.run(delay)
		w.sleep(time.Second)
		w.atOnce = 1000
		w.send("products", 1, 1000, delay)
		w.sleep(3 * time.Second)
		w.send("products", 1001, 20_000, delay) // the next thousand is held, and due later
		w.sleep(time.Second)
		held := n.seats[0].feeds[place{"products", 0}].offset
		w.purge("products", 0, 19_990)
		w.sleep(2 * delay)
		r.stop()
		kept := map[string]bool{}
		for _, record := range w.log("products", 0) {
			if m, _ := parse(&record); m != nil && m.Delayed != 0 {
				kept[string(m.Key)] = true
			}
		}
		if lost := int(r.counts("products").Lost); held != 2000 || len(kept) != int(held)+10 || lost != 19_990-int(held) {
			t.Errorf("got %d twins and %d lost, want those of the %d held and of the last 10", len(kept), lost, held)
		}
	})
}

func TestPairsComeAndGoWhileItRuns(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 2, delay)
		n := w.node(nil)
		r := n.run(delay)
		w.send("products", 1, 10, delay)
		w.sleep(time.Second)
		w.create("orders", 2, false)
		w.send("orders", 1, 10, delay) // before the pair is known: no promise
		w.use("orders", delay)
		w.send("orders", 11, 20, delay)
		w.sleep(2 * delay)
		w.release("products", delay)
		w.send("products", 11, 20, delay) // nobody promised that any more
		w.send("orders", 21, 30, delay)
		w.sleep(2 * delay)
		counts, _ := r.Status().Snapshot()
		r.stop()
		if a := w.audit(); a.twins != 30 || len(a.late)+len(a.early)+len(a.odd)+len(a.repeats) > 0 || len(a.broken) != 20 {
			t.Errorf("got %d twins, %d missing, want 30 and 20", a.twins, len(a.broken))
		}
		if len(counts) != 1 || counts[0].Topic != "orders" || counts[0].Resent != 20 {
			t.Errorf("got %+v, want 20 re-sent of orders and no word of products", counts)
		}
	})
}

// What is fetched ahead of a partition depends on how many there are: a membership is opened anew when it is outgrown.
func TestAMembershipIsOpenedForAsManyPartitionsAsThereAre(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 2, delay)
		n := w.node(nil)
		r := n.run(delay)
		w.sleep(time.Second)
		for i := range 20 {
			w.topic(fmt.Sprintf("more-%d", i), 2, delay)
			w.send(fmt.Sprintf("more-%d", i), 1, 5, delay)
			w.sleep(100 * time.Millisecond)
		}
		w.sleep(3 * delay)
		r.stop()
		w.audit().flawless(t)
		if want := []int{2, 10, 42}; !slices.Equal(n.sized, want) {
			t.Errorf("got memberships for %v partitions, want %v", n.sized, want)
		}
	})
}

func TestAPartitionThatCameLaterIsReadFromItsBeginning(t *testing.T) {
	const delay = 30 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		r := w.node(nil).run(delay)
		w.sleep(time.Second)
		w.grow("products")
		w.send("products", 1, 50, delay) // before the group has noticed
		w.sleep(delay + time.Second)
		r.stop()
		w.audit().flawless(t)
	})
}

// Kafka is away for a while: what is due then comes late, and the run does not end.
func TestAnOutageEndsNoRun(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 2, delay)
		r := w.node(nil).run(delay)
		w.send("products", 1, 50, delay)
		w.sleep(time.Second)
		w.stall()
		w.sleep(time.Minute)
		w.resume()
		w.sleep(delay)
		r.stop()
		a := w.audit()
		a.promised(t)
		if len(a.repeats) > 0 {
			t.Errorf("got %d repeats, want none", len(a.repeats))
		}
	})
}

func TestARunSaysWhatIsWrong(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		valid := Config{
			Name: "kafkasync", Delay: time.Second, Brokers: []string{"localhost:9092"}, Pairs: w.known,
			OpenSink: w.node(nil).make(time.Second).cfg.OpenSink, Clock: NewClock(time.Now), Logger: w.node(nil).make(time.Second).log,
		}
		for name, spoil := range map[string]func(*Config){
			"name": func(c *Config) { c.Name = "" }, "delay": func(c *Config) { c.Delay = 0 }, "brokers": func(c *Config) { c.Brokers = nil },
			"pairs": func(c *Config) { c.Pairs = nil }, "sink": func(c *Config) { c.OpenSink = nil },
			"clock": func(c *Config) { c.Clock = nil }, "logger": func(c *Config) { c.Logger = nil },
		} {
			cfg := valid
			spoil(&cfg)
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: got the error %v, want it named", name, err)
			}
		}
		if _, err := New(valid); err != nil {
			t.Errorf("got the error %v, want none", err)
		}
	})
}

// A message is held while the group's word is old, and the word is asked for no faster than a poll.
func TestARefusedMemberDoesNotAskInALoop(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.topic("products", 1, delay)
		n := w.node(nil)
		commits := 0
		n.point = func(name string) error {
			if name == "Committing, before" {
				commits++
				return errRefused
			}
			return nil
		}
		r := n.run(delay)
		w.send("products", 1, 10, delay)
		w.sleep(2 * delay)
		r.stop()
		if a := w.audit(); a.twins != 0 || commits == 0 || commits > int(2*delay/pollEvery)+1 {
			t.Errorf("got %d twins and %d commits in %s, want none, and some", a.twins, commits, 2*delay)
		}
	})
}

func TestDeadPairsAreNotAWarning(t *testing.T) {
	const delay = 5 * time.Second
	story(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.pairs = append(w.pairs, kafkasync.Pair{Topic: "gone", Delay: delay, ID: "id-0", Ends: []int64{0}})
		w.mu.Unlock()
		w.topic("products", 1, delay)
		r := w.node(nil).run(delay)
		w.send("products", 1, 10, delay)
		w.sleep(2 * delay)
		if c := r.counts("gone"); c.Waiting != 0 {
			t.Errorf("got %d waiting in a topic that is not there, want nothing", c.Waiting)
		}
		r.stop()
		w.audit().flawless(t)
		if got := w.logs.find("level=WARN"); len(got) > 0 {
			t.Errorf("got the lines %q, want none", got)
		}
	})
}
