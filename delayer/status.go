package delayer

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/internal/histogram"
)

// Counts is what a delayer knows of one topic.
type Counts struct {
	Topic                   string
	Resent, Collapsed, Lost uint64 // by this process, since it started
	// Late is how long after they were due messages were acknowledged, in seconds.
	Late    histogram.Histogram
	Waiting int64     // of the whole group: the topic's end minus what is committed, an upper bound; -1: not known yet
	NextDue time.Time // of the whole group; zero: nothing is known to wait
	// Settled says that nothing waited twice in a row: what was the topic's end at one look is committed at the
	// next, and nobody holds a message. Waiting is hardly ever 0 where others are written all the time.
	Settled bool
	// Overdue is how late the next message already is: as of the last look, or, since Kafka has not answered, as of now.
	Overdue time.Duration
}

// Status is what a delayer knows about itself, across its runs. Its methods may be called from any goroutine.
type Status struct {
	log *slog.Logger

	mu     sync.Mutex
	topics map[string]*Counts
	err    error
	stall  error                  // why Kafka does not take what is due
	asking error                  // why the last survey found nothing: what is shown to wait is older
	looked time.Time              // when the last one found something
	odd    map[oddPlace]time.Time // when a partition's strange records were last told of
}

type oddPlace struct {
	topic     string
	partition int32
}

func newStatus(log *slog.Logger) *Status {
	return &Status{log: log, topics: map[string]*Counts{}, odd: map[oddPlace]time.Time{}}
}

// Snapshot returns what is known now, by topic, and what is wrong; "" if nothing is.
func (s *Status) Snapshot() (counts []Counts, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		c := *s.topics[name]
		c.Late = c.Late.Clone()
		if s.asking != nil && !c.NextDue.IsZero() { // nobody re-sends either: it becomes later from second to second
			c.Overdue += time.Since(s.looked)
		}
		c.Overdue = max(0, c.Overdue)
		counts = append(counts, c)
	}
	if err := cmp.Or(s.stall, s.err, s.asking); err != nil {
		problem = err.Error()
	}
	return counts, problem
}

// SetError shows what is wrong; nil: nothing is.
func (s *Status) SetError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Stalled shows why publishing waits; nil: it does not.
func (s *Status) Stalled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = err
}

// of returns the topic's counts. s.mu is held.
func (s *Status) of(topic string) *Counts {
	c := s.topics[topic]
	if c == nil {
		c = &Counts{Topic: topic, Late: histogram.New(), Waiting: -1}
		s.topics[topic] = c
	}
	return c
}

// landed counts a batch that was acknowledged just now.
func (s *Status) landed(b *batch, now reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c *Counts
	for i := range b.messages {
		if c == nil || c.Topic != b.messages[i].Topic {
			c = s.of(b.messages[i].Topic)
		}
		c.Resent++
		c.Late.Observe(float64(max(0, now.counts(b.due[i].appended)-b.due[i].at))/1000, 1)
	}
	for topic, n := range b.collapsed {
		s.of(topic).Collapsed += n
	}
}

// lost counts messages that will not be re-sent.
func (s *Status) lost(topic string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(topic).Lost += uint64(n)
}

// unsurveyed shows why the whole group could not be looked at.
func (s *Status) unsurveyed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = err
}

// surveyed shows what was found of the whole group. Topics that are not in it any more are no longer shown.
func (s *Status) surveyed(found map[string]backlog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking, s.looked = nil, time.Now()
	for topic, b := range found {
		c := s.of(topic)
		c.Waiting, c.NextDue, c.Overdue, c.Settled = b.waiting, b.next, b.overdue, b.settled
	}
	maps.DeleteFunc(s.topics, func(topic string, _ *Counts) bool {
		_, ok := found[topic]
		return !ok
	})
}

// oddEvery bounds how often strange records of a partition are told of.
const oddEvery = time.Minute

// tellOdd tells of a record that carries our delay and cannot be read. Nothing is behind it that could be re-sent.
func (s *Status) tellOdd(topic string, partition int32, err error) {
	s.mu.Lock()
	place := oddPlace{topic, partition}
	last, told := s.odd[place]
	tell := !told || time.Since(last) > oddEvery
	if tell {
		s.odd[place] = time.Now()
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("a record carries the header delay and is no message of kafkasync: passed over",
			"topic", topic, "partition", partition, "err", err)
	}
}
