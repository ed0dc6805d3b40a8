package pipeline

import (
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

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
	var l lag
	steps := []struct {
		name    string
		do      func()
		seconds float64 // at 100 s
		bytes   int64
	}{
		{"nothing is known", func() {}, 0, 0},
		{"a batch is read", func() { l.read(first) }, 90, 500 + 32},
		{"and one without changes", func() { l.read(empty) }, 90, 32 + 32},
		{"the first is published", func() { l.published(first) }, 0, 32},
		{"both are", func() { l.published(empty) }, 0, 0},
		{"the server has more", func() { l.read(more); l.published(more) }, 60, 700},
		{"caught up but for one", func() { l.read(second) }, 70, 32},
		{"that run ends, another begins", func() { l.begin() }, 70, 0},
		{"and another", func() { l.begin() }, 70, 0},
		{"it reads", func() { l.read(empty) }, 0, 32},
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
	s.begin(7, "at")
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
