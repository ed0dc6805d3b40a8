package consumer

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Status is what a consumer knows about itself.
type Status struct {
	// Partitions are those that this process has now.
	Partitions []PartitionStatus
	// Buried is how many messages this process has sent to the dead-letter topic.
	Buried int64
	// Err is what is wrong beside them, such as Kafka being away; nil: nothing.
	Err error
}

// PartitionStatus is how far a partition is.
type PartitionStatus struct {
	Topic     string
	Partition int32
	Done      int64 // offset before which nothing is left to do
	// Of the batch that fails again and again; zero if none does.
	Failing  error
	Attempts int
	Since    time.Time
	// Stuck says that a handler of an earlier assignment still runs: the partition waits for it.
	Stuck bool
}

// Status can be asked at any time, by any goroutine.
func (c *Consumer) Status() Status { return c.status.snapshot() }

type status struct {
	mu         sync.Mutex
	partitions map[*partition]*PartitionStatus
	burials    int64
	err        error
}

func newStatus() *status { return &status{partitions: map[*partition]*PartitionStatus{}} }

func (s *status) snapshot() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Status{Buried: s.burials, Err: s.err}
	for p, one := range s.partitions {
		one := *one
		one.Done = p.done.Load()
		all.Partitions = append(all.Partitions, one)
	}
	slices.SortFunc(all.Partitions, func(a, b PartitionStatus) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

func (s *status) setError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *status) add(p *partition, stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions[p] = &PartitionStatus{Topic: p.place.topic, Partition: p.place.number, Stuck: stuck}
}

func (s *status) remove(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.partitions, p)
}

// freed says that the handler of an earlier assignment has ended.
func (s *status) freed(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, one := range s.partitions {
		if p.place == at {
			one.Stuck = false
		}
	}
}

func (s *status) failed(of *partition, attempts int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partitions[of]
	if p == nil {
		return // it was taken away meanwhile
	}
	if p.Attempts == 0 {
		p.Since = time.Now()
	}
	p.Failing, p.Attempts = err, attempts
}

func (s *status) succeeded(of *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.partitions[of]; p != nil && p.Attempts > 0 {
		p.Failing, p.Attempts, p.Since = nil, 0, time.Time{}
	}
}

func (s *status) buried(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.burials += int64(n)
}
