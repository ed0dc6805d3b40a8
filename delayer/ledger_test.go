package delayer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

// promise is a message with a delay, and what became of it.
type promise struct {
	memRecord
	kafkasync.Message

	partition int32
	twins     []memRecord // in the order of their writing
}

// audit is what the topics say about a delayer, whatever it says itself.
type audit struct {
	promises []*promise
	early    []string // twins that came too soon
	late     []string // promises that were kept more than a second after they were due
	broken   []string // promises that were not kept, though they are due
	odd      []string // twins that are not what they must be
	repeats  []memRecord
	twins    int // all of them
}

// audit compares the twins in the topics with what is to be there now.
func (w *world) audit() *audit {
	w.t.Helper()
	a := &audit{}
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.topics)) {
		for number, p := range w.topics[name].partitions {
			a.partition(fmt.Sprintf("%s/%d", name, number), int32(number), p.records)
		}
	}
	return a
}

func (a *audit) partition(where string, number int32, records []memRecord) {
	promised := map[string]*promise{}
	var ours []*promise
	// The offset whose twin came last, for each delay and process: who goes on after another one sends some again, and
	// may send then what had collapsed before.
	type sender struct {
		delay time.Duration
		by    *process
	}
	last := map[sender]int64{}
	for _, r := range records {
		m, twin := parse(&r)
		switch {
		case m == nil || m.Delay == 0 && m.Delayed == 0:
			continue
		case m.Delayed == 0:
			one := &promise{memRecord: r, Message: *m, partition: number}
			promised[identity(m, m.Delay)] = one
			ours = append(ours, one)
			continue
		}
		a.twins++
		one := promised[identity(m, m.Delayed)]
		if one == nil || twin != a.expected(one) {
			a.odd = append(a.odd, fmt.Sprintf("%s: the twin at offset %d is %s, want that of a message before it", where, r.offset, twin))
			continue
		}
		if early := one.due().Sub(r.real); early > 0 {
			a.early = append(a.early, fmt.Sprintf("%s: the twin of offset %d came %s early", where, one.offset, early))
		} else if early := one.written.Add(one.Delay).Sub(r.written); early > 0 && one.appended {
			a.early = append(a.early, fmt.Sprintf("%s: the twin of offset %d came %s early by its timestamp", where, one.offset, early))
		}
		if len(one.twins) > 0 {
			a.repeats = append(a.repeats, r)
		} else if at := one.offset; at < last[sender{m.Delayed, r.by}] {
			a.odd = append(a.odd, fmt.Sprintf("%s: the twin of offset %d came after that of offset %d", where, at, last[sender{m.Delayed, r.by}]))
		} else {
			last[sender{m.Delayed, r.by}] = at
		}
		one.twins = append(one.twins, r)
	}
	a.kept(where, ours)
	a.promises = append(a.promises, ours...)
}

// kept sees that what is due is there, of each message or of a newer one of the same row.
func (a *audit) kept(where string, ours []*promise) {
	now := time.Now()
	rows := map[string][]*promise{}
	for _, one := range ours {
		rows[one.row()] = append(rows[one.row()], one)
	}
	for _, one := range ours {
		if one.due().After(now) {
			continue
		}
		var first time.Time
		for _, other := range rows[one.row()] {
			for _, r := range other.twins {
				if other.Seq >= one.Seq && !r.real.Before(one.due()) && (first.IsZero() || r.real.Before(first)) {
					first = r.real
				}
			}
		}
		if first.IsZero() && len(one.twins) > 0 {
			first = one.twins[0].real // too soon, which is told of above
		}
		switch late := first.Sub(one.due()); {
		case first.IsZero():
			a.broken = append(a.broken, fmt.Sprintf("%s: offset %d was due %s ago and has no twin", where, one.offset, now.Sub(one.due())))
		case late > time.Second:
			a.late = append(a.late, fmt.Sprintf("%s: the twin of offset %d came %s late", where, one.offset, late))
		}
	}
}

func (p *promise) row() string {
	return fmt.Sprint(p.Pipeline, " ", p.Table, " ", p.Delay, " ", len(p.Key), " ", string(p.Key), string(p.Value))
}

func (p *promise) due() time.Time { return p.real.Add(p.Delay) }

// expected is how a twin of the promise reads.
func (a *audit) expected(p *promise) string {
	r := p.memRecord
	r.headers = slices.Clone(r.headers)
	for i := range r.headers {
		if r.headers[i].Key == "delay" {
			r.headers[i].Key = "delayed"
		}
	}
	_, text := parse(&r)
	return text
}

// parse returns a record as a message, nil if it is none, and as a text.
func parse(r *memRecord) (*kafkasync.Message, string) {
	m := &kafkasync.Message{Key: r.key, Value: r.value}
	var text strings.Builder
	fmt.Fprintf(&text, "%s=%s", r.key, r.value)
	for _, h := range r.headers {
		if err := m.SetHeader(h.Key, h.Value); err != nil {
			return nil, ""
		}
		fmt.Fprintf(&text, " %s:%s", h.Key, h.Value)
	}
	if m.Pipeline == "" || m.Table == "" {
		return nil, ""
	}
	return m, text.String()
}

func identity(m *kafkasync.Message, delay time.Duration) string {
	return m.Pipeline + " " + strconv.FormatInt(m.Seq, 10) + " " + delay.String()
}

// flawless fails the test unless all is as promised, on time, and nothing came twice.
func (a *audit) flawless(t *testing.T) {
	t.Helper()
	a.promised(t)
	complain(t, "late", a.late)
	if len(a.repeats) > 0 {
		t.Errorf("got %d twins again, want none", len(a.repeats))
	}
}

// promised fails the test unless all is as promised, be it late or more than once.
func (a *audit) promised(t *testing.T) {
	t.Helper()
	complain(t, "early", a.early)
	complain(t, "lost", a.broken)
	complain(t, "wrong", a.odd)
}

func complain(t *testing.T, what string, found []string) {
	t.Helper()
	if len(found) > 0 {
		t.Errorf("got %d twins %s, want none; the first: %s", len(found), what, found[0])
	}
}

func TestTheAuditSeesWhatIsWrong(t *testing.T) {
	const delay = time.Minute
	tests := []struct {
		name   string
		twins  func(w *world, msgs []kafkasync.Message)
		flaws  func(a *audit) []string
		repeat int
	}{
		{name: "a twin that is missing", twins: func(*world, []kafkasync.Message) {}, flaws: func(a *audit) []string { return a.broken }},
		{name: "a twin that comes early", twins: func(w *world, msgs []kafkasync.Message) {
			w.sleep(delay - time.Millisecond)
			w.publish(msgs...)
		}, flaws: func(a *audit) []string { return a.early }},
		{name: "a twin that comes late", twins: func(w *world, msgs []kafkasync.Message) {
			w.sleep(delay + 2*time.Second)
			w.publish(msgs...)
		}, flaws: func(a *audit) []string { return a.late }},
		{name: "twins in another order", twins: func(w *world, msgs []kafkasync.Message) {
			w.sleep(delay)
			w.publish(msgs[1], msgs[0])
		}, flaws: func(a *audit) []string { return a.odd }},
		{name: "a twin with another header", twins: func(w *world, msgs []kafkasync.Message) {
			w.sleep(delay)
			msgs[1].Pos = "0/1"
			w.publish(msgs...)
		}, flaws: func(a *audit) []string { return a.odd }},
		{name: "a twin that comes again", twins: func(w *world, msgs []kafkasync.Message) {
			w.sleep(delay)
			w.publish(msgs[0], msgs[1], msgs[0])
		}, flaws: func(*audit) []string { return nil }, repeat: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				w.topic("products", 1, delay)
				msgs := []kafkasync.Message{w.message("products", 1, delay), w.message("products", 2, delay)}
				w.publish(msgs...)
				for i := range msgs {
					msgs[i].Delay, msgs[i].Delayed = 0, delay
				}
				tt.twins(w, msgs)
				w.sleep(2 * delay)
				a := w.audit()
				if got := len(tt.flaws(a)); tt.repeat == 0 && got == 0 {
					t.Errorf("got nothing wrong, want that it is seen")
				}
				if len(a.repeats) != tt.repeat {
					t.Errorf("got %d repeats, want %d", len(a.repeats), tt.repeat)
				}
			})
		})
	}
}
