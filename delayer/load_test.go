package delayer_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

const (
	sessionTimeout = 6 * time.Second
	// takeover is how long the partitions of a process that was lost may stay behind.
	takeover = sessionTimeout + 3*time.Second
	onTime   = time.Second
	// uncommitted is how much work a process may have done and not committed: commits are half a second
	// apart, and each takes a moment; a long one on a machine that is busy with other tests.
	uncommitted = 3 * time.Second
)

// hole is a moment from which on partitions were without a process that saw to them.
type hole struct {
	at         time.Time
	partitions []int32
}

// covers reports whether a message that is due then may be late, or come again.
func (h hole) covers(partition int32, due time.Time, before, after time.Duration) bool {
	return slices.Contains(h.partitions, partition) && due.After(h.at.Add(-before)) && due.Before(h.at.Add(after))
}

// verdict is what the records of a topic show of one delay.
type verdict struct {
	delay time.Duration
	holes []hole

	instants, twins, collapsed int
	repeats                    int             // twins that came after one with this seq or a higher one
	reach                      time.Duration   // how long before a hole the oldest of them had come first
	late                       []time.Duration // sorted, but for what was due in a hole
	excused                    int             // how many were
	problems                   []string
}

func (v *verdict) complain(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// row is what stands on a partition about one row.
type row struct {
	instants, news, twins []*entry
	walls                 []int64 // offsets of truncates
}

// judge holds every message that carries the delay against what was re-sent. The records come in
// the order of each partition, and were written in the order of seq.
func judge(all []entry, delay time.Duration, holes ...hole) *verdict {
	v := &verdict{delay: delay, holes: holes}
	rows, walls := map[string]*row{}, map[string][]int64{}
	of, done := map[string]*entry{}, map[int32][]*entry{} // done: the twins of a partition that were ahead of all before
	for i := range all {
		e := &all[i]
		table := fmt.Sprintf("%d %s %s", e.Partition, e.Pipeline, e.Table)
		if e.Op == kafkasync.Truncated {
			walls[table] = append(walls[table], e.Offset)
			if e.Delayed != 0 {
				v.complain("%s is a twin of a truncate", show(e))
			}
			continue
		}
		if e.Delay != delay && e.Delayed != delay {
			continue
		}
		key := fmt.Sprintf("%s %q %q", table, e.Key, e.Value)
		one := fmt.Sprintf("%s %d", key, e.Seq)
		r := rows[key]
		if r == nil {
			r = &row{}
			rows[key] = r
		}
		if e.Delayed == 0 {
			v.instants++
			r.instants, of[one] = append(r.instants, e), e
			continue
		}
		v.twins++
		r.twins = append(r.twins, e)
		if v.twin(e, of[one], done[e.Partition]) {
			done[e.Partition], r.news = append(done[e.Partition], e), append(r.news, e)
		}
	}
	for key, r := range rows {
		for _, i := range r.instants {
			r.walls = walls[fmt.Sprintf("%d %s %s", i.Partition, i.Pipeline, i.Table)]
			v.covered(r, key, i, of)
		}
	}
	slices.Sort(v.late)
	return v
}

// twin judges what was re-sent of i, on a partition on which these were done before, and reports whether it says something new.
func (v *verdict) twin(twin, i *entry, done []*entry) bool {
	if i == nil {
		v.complain("%s is no message's twin", show(twin))
		return false
	}
	if want := twinHeaders(i); !slices.EqualFunc(twin.headers, want, func(a, b kgo.RecordHeader) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
	}) {
		v.complain("%s: got the headers %s, want %s", show(twin), headersText(twin.headers), headersText(want))
	}
	due := i.at.Add(v.delay)
	if twin.at.Before(due) {
		v.complain("%s came %s EARLY", show(twin), due.Sub(twin.at))
	}
	// When the partition first came as far as this: later than it was due, where a process catches up.
	n := sort.Search(len(done), func(n int) bool { return done[n].Seq >= twin.Seq })
	if n == len(done) {
		return true
	}
	v.repeats++
	for _, h := range v.holes { // only the loss of a process explains it
		if h.covers(twin.Partition, done[n].at, uncommitted, uncommitted) || h.covers(twin.Partition, due, uncommitted, uncommitted) {
			v.reach = max(v.reach, h.at.Sub(done[n].at))
			return false
		}
	}
	v.complain("%s came after a twin with seq %d, and no process was lost: AGAIN or out of order", show(twin), done[len(done)-1].Seq)
	return false
}

// covered looks for what was re-sent of an instant message: its twin, or that of a newer one from before the next truncate.
func (v *verdict) covered(r *row, key string, i *entry, of map[string]*entry) {
	wall := int64(1) << 62
	if at := sort.Search(len(r.walls), func(w int) bool { return r.walls[w] > i.Offset }); at < len(r.walls) {
		wall = r.walls[at]
	}
	fits := func(twin *entry) bool {
		other := of[fmt.Sprintf("%s %d", key, twin.Seq)]
		return twin.Seq >= i.Seq && other != nil && other.Offset < wall
	}
	var twin *entry
	if at := sort.Search(len(r.news), func(n int) bool { return r.news[n].Seq >= i.Seq }); at < len(r.news) && fits(r.news[at]) {
		twin = r.news[at]
	} else if at := slices.IndexFunc(r.twins, fits); at >= 0 {
		twin = r.twins[at]
	}
	if twin == nil {
		v.complain("%s has no twin, nor has a newer one that it may collapse into: LOST", show(i))
		return
	}
	if twin.Seq != i.Seq {
		v.collapsed++
	}
	due := i.at.Add(v.delay)
	for _, h := range v.holes {
		// What was due just before, and still in time, is not there because of the hole either.
		if h.covers(i.Partition, due, onTime, takeover) {
			v.excused++
			return
		}
	}
	v.late = append(v.late, twin.at.Sub(due))
}

// twinHeaders are those that a message's twin is to have.
func twinHeaders(i *entry) []kgo.RecordHeader {
	headers := slices.Clone(i.headers)
	for n := range headers {
		if headers[n].Key == "delay" {
			headers[n].Key = "delayed"
		}
	}
	return headers
}

func headersText(headers []kgo.RecordHeader) string {
	var b strings.Builder
	for _, h := range headers {
		fmt.Fprintf(&b, "%s=%q ", h.Key, h.Value)
	}
	return b.String()
}

func show(e *entry) string {
	return fmt.Sprintf("partition %d, offset %d (key %s, value %s, op %s, seq %d, delay %s, delayed %s)",
		e.Partition, e.Offset, e.Key, e.Value, e.Op, e.Seq, e.Delay, e.Delayed)
}

// percentile is how late the best p percent were at most.
func (v *verdict) percentile(p float64) time.Duration {
	if len(v.late) == 0 {
		return 0
	}
	return v.late[min(len(v.late)-1, int(float64(len(v.late))*p/100))]
}

// punctual is how many percent were re-sent in time.
func (v *verdict) punctual() float64 {
	in, _ := slices.BinarySearch(v.late, onTime+time.Millisecond)
	return 100 * float64(in) / float64(max(1, len(v.late)))
}

// report fails the test with what is wrong, and tells the numbers.
func report(t testing.TB, v *verdict) {
	t.Helper()
	t.Logf("delay %s: %d messages, %d twins, %d collapsed, %d came again (first up to %s before the process was lost), %d due while nobody saw to them; "+
		"late: 50%% %s, 95%% %s, 99%% %s, 99.9%% %s, most %s; %.3f%% within %s",
		v.delay, v.instants, v.twins, v.collapsed, v.repeats, v.reach, v.excused, v.percentile(50), v.percentile(95), v.percentile(99),
		v.percentile(99.9), v.percentile(100), v.punctual(), onTime)
	for n, problem := range v.problems {
		if n == 10 {
			t.Errorf("and %d more", len(v.problems)-n)
			break
		}
		t.Error(problem)
	}
}

// A judge that never finds anything would let every run pass.
func TestTheJudgeSeesEveryBrokenPromise(t *testing.T) {
	begin := time.UnixMilli(1_700_000_000_000)
	const delay = 10 * time.Second
	record := func(offset int64, ms int, id string, op kafkasync.Op, seq int64, name string) entry {
		header := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
		e := entry{at: begin.Add(time.Duration(ms) * time.Millisecond), Message: kafkasync.Message{
			Offset: offset, Key: []byte(id), Value: []byte(`{"id":` + id + `}`), Op: op, Pipeline: "shop", Table: "public.t", Seq: seq,
		}}
		e.headers = []kgo.RecordHeader{header("op", op.String()), header("seq", strconv.FormatInt(seq, 10))}
		if name != "" {
			e.headers = append(e.headers, header(name, "10000"))
			if err := e.SetHeader(name, []byte("10000")); err != nil {
				t.Fatal(err)
			}
		}
		e.headers = append(e.headers, header("trace", "x"))
		return e
	}
	good := func() []entry {
		return []entry{
			record(0, 0, "1", 'c', 1, "delay"),
			record(1, 10, "2", 'c', 2, "delay"),
			record(2, 20, "1", 'u', 3, "delay"), // the first collapses into it
			record(3, 30, "", 't', 4, ""),
			record(4, 40, "1", 'u', 5, "delay"),
			record(5, 50, "9", 'u', 6, ""),
			record(6, 10_020, "2", 'c', 2, "delayed"),
			record(7, 10_021, "1", 'u', 3, "delayed"),
			record(8, 10_500, "1", 'u', 5, "delayed"),
		}
	}
	again := func(all []entry) []entry { return append(all, record(9, 20_000, "2", 'c', 2, "delayed")) }
	tests := []struct {
		name  string
		ruin  func([]entry) []entry
		holes []hole
		want  string // "" if nothing is wrong
	}{
		{"nothing is wrong", func(all []entry) []entry { return all }, nil, ""},
		{"a twin is missing", func(all []entry) []entry { return slices.Delete(all, 6, 7) }, nil, "offset 1 (key 2, value {\"id\":2}, op c, seq 2, delay 10s, delayed 0s) has no twin"},
		{"all twins are missing", func(all []entry) []entry { return all[:6] }, nil, "LOST"},
		{"a twin is early", func(all []entry) []entry { all[6].at = begin.Add(10_009 * time.Millisecond); return all }, nil, "1ms EARLY"},
		{"a header has another value", func(all []entry) []entry { all[6].headers[3].Value = []byte("y"); return all }, nil, `trace="y"`},
		{"a header is missing", func(all []entry) []entry { all[6].headers = all[6].headers[:3]; return all }, nil, "got the headers"},
		{"a twin still carries the delay", func(all []entry) []entry { all[6].headers[2].Key = "delay"; return all }, nil, "got the headers"},
		{"a twin has another value", func(all []entry) []entry { all[6].Value = []byte("{}"); return all }, nil, "is no message's twin"},
		{"a twin is of nothing", func(all []entry) []entry { all[6].Seq = 7; return all }, nil, "is no message's twin"},
		{"the older one of a row is the twin", func(all []entry) []entry {
			all[7] = record(7, 10_021, "1", 'c', 1, "delayed")
			return all
		}, nil, "seq 3, delay 10s, delayed 0s) has no twin"},
		{"a message has collapsed across a truncate", func(all []entry) []entry { return slices.Delete(all, 7, 8) }, nil, "seq 3, delay 10s, delayed 0s) has no twin"},
		{"twins have changed places", func(all []entry) []entry {
			all[6], all[7] = record(6, 10_021, "1", 'u', 3, "delayed"), record(7, 10_022, "2", 'c', 2, "delayed")
			return all
		}, nil, "out of order"},
		{"a truncate has a twin", func(all []entry) []entry { return append(all, record(9, 10_030, "", 't', 4, "delayed")) }, nil, "twin of a truncate"},
		{"a twin comes again", again, nil, "AGAIN"},
		{"a twin comes again because a process was lost", again, []hole{{begin.Add(10_500 * time.Millisecond), []int32{0}}}, ""},
		{"a twin that came late comes again because a process was lost", func(all []entry) []entry {
			all[6].at, all[7].at, all[8].at = all[6].at.Add(5*time.Second), all[7].at.Add(5*time.Second), all[8].at.Add(5*time.Second)
			return again(all)
		}, []hole{{begin.Add(15_500 * time.Millisecond), []int32{0}}}, ""},
		{"a twin comes again because a process was lost, but later", again, []hole{{begin.Add(14 * time.Second), []int32{0}}}, "AGAIN"},
		{"a twin comes again because a process was lost, but of another partition", again, []hole{{begin.Add(10_500 * time.Millisecond), []int32{1}}}, "AGAIN"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(judge(test.ruin(good()), delay, test.holes...).problems, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got the verdict %q, want %q in it", got, test.want)
			}
		})
	}
	v := judge(good(), delay)
	if want := []time.Duration{time.Millisecond, 10 * time.Millisecond, 21 * time.Millisecond, 460 * time.Millisecond}; !slices.Equal(v.late, want) || v.collapsed != 1 || v.punctual() != 100 {
		t.Errorf("got the latenesses %v, %d collapsed, %.1f%% in time, want %v, 1, 100%%", v.late, v.collapsed, v.punctual(), want)
	}
	slow := good()
	slow[8].at = slow[8].at.Add(time.Second)
	if v := judge(slow, delay); v.punctual() != 75 {
		t.Errorf("got %.1f%% in time, want 75%%: one of four was 1.46 s late", v.punctual())
	}
	if v := judge(slow, delay, hole{begin.Add(9 * time.Second), []int32{0}}); v.excused != 4 || len(v.late) != 0 {
		t.Errorf("got %d excused, want all 4 that were due while nobody saw to them", v.excused)
	}
}

// load writes to a stage what a pipeline might, steadily, until it is stopped.
type load struct {
	stage  *stage
	alien  *kgo.Client
	rng    *rand.Rand
	stop   context.CancelFunc
	done   chan struct{}
	failed error
}

const (
	loadTick = 50 * time.Millisecond
	perTick  = 50 // 1,000 messages a second
)

// startLoad begins to write.
func startLoad(t testing.TB, s *stage) *load {
	t.Helper()
	alien, err := kgo.NewClient(kgo.SeedBrokers(s.brokers), kgo.DefaultProduceTopic(s.topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alien.Close)
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stage: s, alien: alien, rng: rand.New(rand.NewPCG(1, 2)), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		tick := time.NewTicker(loadTick)
		defer tick.Stop()
		for n := 1; l.failed == nil; n++ {
			select {
			case <-tick.C:
				// What is written when the test says stop is written whole.
				l.failed = l.write(context.WithoutCancel(ctx), n)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { l.end(t) })
	return l
}

// end stops writing.
func (l *load) end(t testing.TB) {
	t.Helper()
	l.stop()
	<-l.done
	closed(t, l.failed)
	l.failed = nil
}

// write writes what belongs to a tick: some rows change again and again, so that some of their messages are due together.
func (l *load) write(ctx context.Context, tick int) error {
	s := l.stage
	err := s.write(ctx, func() (all []kafkasync.Message) {
		for i := range perTick {
			id := 1000 + l.rng.IntN(1_000_000)
			if i%4 == 0 {
				id = l.rng.IntN(20)
			}
			m := s.change(id)
			switch l.rng.IntN(10) {
			case 0:
				m.Op = kafkasync.Deleted
			case 1:
				m.Op, m.Pos = kafkasync.Created, ""
			case 2: // of a rule with another delay
				m.Delay += time.Minute
			case 3:
				m.Key, m.Value = fmt.Appendf(nil, `["ä b",%d]`, id), fmt.Appendf(nil, `{"tenant":"ä b","n":%d}`, id)
				m.Extra = append(m.Extra, kafkasync.Header{Key: "trace", Value: nil}, kafkasync.Header{Key: "", Value: []byte{0, 255}})
			}
			all = append(all, m)
		}
		if tick%40 == 0 {
			m := s.change(0)
			m.Op, m.Key, m.Value, m.Delay = kafkasync.Truncated, nil, []byte(`{"id":null}`), 0
			all = append(all, m)
		}
		return all
	})
	if err != nil {
		return err
	}
	foreign := &kgo.Record{Key: fmt.Append(nil, l.rng.IntN(100)), Value: []byte("somebody else's")}
	if tick%2 == 0 {
		foreign.Headers = []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-1")}}
	}
	return l.alien.ProduceSync(ctx, foreign).FirstErr()
}

// monotonic looks at the group's offsets again and again, until it is asked whether one has ever gone back.
func (s *stage) monotonic(t testing.TB) (verdict func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	var problems []string
	looks := 0
	beside.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		before := places{}
		for ctx.Err() == nil {
			notes := map[int32]string{}
			now, err := s.committedNow(ctx, notes)
			if err == nil {
				looks++
				for p, offset := range now {
					if offset < before[p] {
						problems = append(problems, fmt.Sprintf("partition %d went from %d to %d (%s)", p, before[p], offset, notes[p]))
					}
					before[p] = offset
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() {
		t.Helper()
		stop()
		beside.Wait()
		if looks < 10 {
			t.Errorf("got %d looks at the committed offsets, want more", looks)
		}
		for _, problem := range problems {
			t.Errorf("the committed offset of %s", problem)
		}
	}
}

// The criterion of the delayer: E2E_SOAK=1 makes it last five minutes, with a delay of 10 s.
func TestUnderLoadEveryMessageIsSentAgainInTimeWhileProcessesAreLost(t *testing.T) {
	delay, calm, least := 3*time.Second, time.Duration(0), 95.0
	soak := os.Getenv("E2E_SOAK") != ""
	if soak {
		delay, calm, least = 10*time.Second, 50*time.Second, 99
	}
	began := time.Now()
	s := newStage(t, devtest.Kafka(t).Brokers(), 12, delay)
	pair := s.locate(t)
	back := s.monotonic(t)
	a, b, c := s.process(t, spec{Name: "a"}, pair), s.process(t, spec{Name: "b"}, pair), s.process(t, spec{Name: "c"}, pair)
	s.held(t, "a", "b", "c")
	l := startLoad(t, s)
	passes(t, time.Now().Add(delay+2*time.Second+calm))

	var holes []hole
	lose := func(name string, how func(testing.TB)) {
		partitions := s.holders(t)[name]
		how(t)
		holes = append(holes, hole{time.Now(), partitions})
		t.Logf("%s: %s is lost, with %d partitions", time.Since(began).Round(time.Second), name, len(partitions))
	}
	lose("a", a.kill)
	s.held(t, "b", "c")
	passes(t, time.Now().Add(calm))
	d := s.process(t, spec{Name: "d"}, pair)
	s.held(t, "b", "c", "d")
	passes(t, time.Now().Add(calm))
	lose("b", b.freeze)
	s.held(t, "c", "d")
	passes(t, time.Now().Add(calm/2)) // the group has long gone on
	b.wake(t)
	s.held(t, "b", "c", "d")
	passes(t, time.Now().Add(2*time.Second))
	if soak {
		passes(t, began.Add(5*time.Minute))
	}
	l.end(t)
	s.drained(t)
	back()
	t.Logf("%s: nothing waits any more", time.Since(began).Round(time.Second))
	for _, p := range []*process{b, c, d} {
		t.Logf("process %s had at most %d kB", p.name, p.memory(t))
	}

	v := judge(s.read(t), delay, holes...)
	report(t, v)
	if v.punctual() < least {
		t.Errorf("got %.3f%% of the messages re-sent within %s of being due, want %.0f%%", v.punctual(), onTime, least)
	}
	if soak && v.reach > time.Second {
		t.Errorf("got messages again that had come %s before their process was lost, want no more than half a second of work", v.reach)
	}
	if v.instants < 10_000 || v.collapsed < 100 {
		t.Errorf("got %d messages, of which %d collapsed, want more of a load", v.instants, v.collapsed)
	}
}
