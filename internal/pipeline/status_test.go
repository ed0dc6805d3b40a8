package pipeline

import (
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// tail is what a stream says that nobody has read.
type tail struct {
	bytes int64
	since time.Time
}

func (t *tail) Behind() (int64, time.Time) { return t.bytes, t.since }

func TestLagIsTheAgeOfTheOldestUnpublishedChange(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	batch := func(behind int64, commits ...int) *source.Batch {
		b := &source.Batch{Behind: behind}
		for _, c := range commits {
			b.Changes = append(b.Changes, source.Change{Committed: at(c)})
		}
		b.Row(1) // gives the batch a size
		return b
	}
	first, second, empty, more := batch(500, 10, 20), batch(0, 30), batch(0), batch(700, 40)
	stream := &tail{bytes: -1}
	var l lag
	steps := []struct {
		name    string
		do      func()
		seconds float64 // at 100 s
		bytes   int64
	}{
		{"another node has it", func() {}, -1, -1},
		{"a run begins", func() { l.begin(false, at(5)) }, 95, -1},
		{"a batch is read", func() { l.read(first) }, 90, 500 + 32},
		{"and one without changes", func() { l.read(empty) }, 90, 32 + 32},
		{"the first is published", func() { l.published(at(50)) }, 0, 32},
		{"both are", func() { l.published(at(50)) }, 0, 0},
		{"the server has more", func() { l.read(more); l.published(at(60)) }, 50, 700},
		{"caught up but for one", func() { l.read(second) }, 70, 32},
		{"that run ends, another begins", func() { l.begin(true, at(70)) }, 70, -1},
		{"and another", func() { l.begin(true, at(75)) }, 70, -1},
		{"its log is open", func() { l.watch(stream, at(76)) }, 70, -1},
		{"it is seen how much there is", func() { *stream = tail{900, at(78)} }, 70, 900},
		{"it reads", func() { l.read(empty) }, 22, 900 + 32},
		{"more is written", func() { stream.bytes = 2000 }, 22, 2000 + 32},
		{"it is published", func() { l.published(at(80)); *stream = tail{0, at(81)} }, 0, 0},
		{"the log is closed", func() { l.watch(nil, at(82)) }, 18, -1},
		{"another run cannot open it", func() { l.begin(true, at(90)) }, 18, -1},
		{"another node had it meanwhile", func() { l.begin(false, at(95)) }, 5, -1},
		{"its log was not read to the end", func() { l.watch(stream, at(96)); *stream = tail{10, at(97)}; l.watch(nil, at(99)) }, 3, -1},
	}
	for _, step := range steps {
		step.do()
		if got := l.seconds(at(100)); got != step.seconds {
			t.Errorf("%s: got a lag of %v s, want %v", step.name, got, step.seconds)
		}
		if got := l.bytes(); got != step.bytes {
			t.Errorf("%s: got a lag of %d bytes, want %d", step.name, got, step.bytes)
		}
	}
	l.read(second)
	if got := l.seconds(at(0)); got != 0 {
		t.Errorf("a database with a clock ahead: got a lag of %v s, want 0", got)
	}
}

// Else a node that led once would go on telling of a lag that grows.
func TestTheLagIsOfWhoRunsThePipeline(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	later := now.Add(time.Hour)
	s := NewStatus("shop")
	lag := func(want float64) {
		t.Helper()
		if got := s.Snapshot(later); got.LagSeconds != want || got.LagBytes > 0 {
			t.Errorf("got a lag of %v s and %d bytes, want %v s", got.LagSeconds, got.LagBytes, want)
		}
	}
	lag(-1)
	s.begin(3, "at", now)
	s.SetState(Waiting, errors.New("this node no longer leads the cluster"))
	lag(3600)
	s.Left()
	lag(-1)
	if got := s.Snapshot(later); got.State != Starting || got.Error != "" {
		t.Errorf("got %s, %q, want it to start with the next lease", got.State, got.Error)
	}
	s.begin(4, "at", now.Add(time.Minute))
	s.begin(5, "at", now.Add(2*time.Minute)) // another run, after Postgres was away
	lag(3600 - 60)
	s.begin(7, "at", later.Add(-time.Second)) // nobody has said that another node had it
	lag(1)
}

func TestSnapshotCountsChangesAndMessages(t *testing.T) {
	s := NewStatus("shop")
	now := time.Unix(1_700_000_000, 0)
	items, lines := &source.Table{Name: "public.items"}, &source.Table{Name: "public.lines"}
	b := &source.Batch{Changes: []source.Change{
		{Table: items, Op: kafkasync.Created, Committed: now.Add(-time.Minute)},
		{Table: items, Op: kafkasync.Created, Committed: now.Add(-time.Second)},
		{Table: lines, Op: kafkasync.Created, Committed: now},
		{Table: items, Op: kafkasync.Deleted, Committed: now},
	}}
	msgs := []kafkasync.Message{{Topic: "items"}, {Topic: "items"}, {Topic: "lines"}, {Topic: "items"}, {Topic: "items"}}
	s.begin(7, "at", now)
	s.reading(b)
	s.publishedBatch(b, msgs, 3*time.Millisecond, now)
	s.committed("further")
	s.Restarted("kafka")
	s.SetState(Waiting, errors.New("away"))

	got := s.Snapshot(now)
	for key, want := range map[TableOp]uint64{
		{"public.items", kafkasync.Created}: 2, {"public.lines", kafkasync.Created}: 1, {"public.items", kafkasync.Deleted}: 1,
	} {
		if got.Changes[key] != want {
			t.Errorf("changes of %v: got %d, want %d", key, got.Changes[key], want)
		}
	}
	if got.Published["items"] != 4 || got.Published["lines"] != 1 {
		t.Errorf("got %v published, want 4 and 1", got.Published)
	}
	if got.PublishSeconds.Count != 1 || got.CommitToPublishSeconds.Count != 4 || got.CommitToPublishSeconds.Sum != 61 {
		t.Errorf("got %+v and %+v, want one batch and four changes, 61 s in sum", got.PublishSeconds, got.CommitToPublishSeconds)
	}
	if got.Name != "shop" || got.Epoch != 7 || got.Position != "further" || got.State != Waiting || got.Error != "away" ||
		got.Restarts["kafka"] != 1 {
		t.Errorf("got %+v", got)
	}
	// A snapshot is a copy: what happens later is not in it.
	s.publishedBatch(b, msgs, 0, now)
	if got.Published["items"] != 4 || got.CommitToPublishSeconds.Counts[0] != 2 {
		t.Error("a snapshot changed after it was taken")
	}
}

func TestAStallShowsOverWhatTheRunIsDoing(t *testing.T) {
	s := NewStatus("shop")
	show := func() string {
		got := s.Snapshot(time.Now())
		return string(got.State) + " " + got.Error
	}
	steps := []struct {
		do   func()
		want string
	}{
		{func() { s.SetState(Waiting, errors.New("no route")); s.starting() }, "starting no route"},
		{func() { s.Stalled(errors.New("away")) }, "waiting away"},
		{func() { s.Stalled(nil) }, "starting no route"}, // nothing is read yet
		{func() { s.SetState(Streaming, nil) }, "streaming "},
		{func() { s.Stalled(errors.New("away")) }, "waiting away"},
		{func() { s.SetState(Stopped, errors.New("gone")) }, "stopped gone"},
		{func() { s.Stalled(errors.New("away")); s.starting() }, "starting gone"},
	}
	for i, step := range steps {
		step.do()
		if got := show(); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}
