package delayer

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// memory is Kafka as a delayer sees it: topics, the group of each delay, and a clock of its own.
// It outlives the processes that use it. What it must be able to do is conform_test.go's to say.
type memory struct {
	session time.Duration // how long a silent member stays in its group
	refresh time.Duration // how soon groups notice that a topic has come, gone or grown
	trip    time.Duration // of a question and its answer
	latency time.Duration // until what is published arrives
	atOnce  int           // how many records one taking gets; 0: what fits

	mu      sync.Mutex
	skew    time.Duration // its clock minus everybody else's
	topics  map[string]*memTopic
	groups  map[string]*memGroup
	serial  int
	stalled chan struct{} // not nil: nothing is acknowledged until it is closed
	wrong   []string      // what users did that they must not
}

// memTopic is a topic. The broker stamps its records, unless it is one of CreateTime.
type memTopic struct {
	id         string
	createTime bool
	partitions []*memPartition
}

type memPartition struct {
	begin   int64
	records []memRecord // the first is at begin
}

// memRecord is a record, with when it was really written, and by whom.
type memRecord struct {
	offset   int64
	written  time.Time
	appended bool
	key      []byte
	value    []byte
	headers  []kafkasync.Header
	real     time.Time
	by       *process
}

func newMemory() *memory {
	return &memory{
		session: sessionTimeout, refresh: 10 * time.Second, trip: time.Millisecond,
		topics: map[string]*memTopic{}, groups: map[string]*memGroup{},
	}
}

// create makes a topic.
func (m *memory) create(topic string, partitions int, createTime bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serial++
	made := &memTopic{id: fmt.Sprintf("id-%d", m.serial), createTime: createTime}
	for range partitions {
		made.partitions = append(made.partitions, &memPartition{})
	}
	m.topics[topic] = made
	m.changed()
}

// pair is a topic as a node would record it now.
func (m *memory) pair(topic string, delay time.Duration) kafkasync.Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	pair := kafkasync.Pair{Topic: topic, Delay: delay, ID: m.topics[topic].id}
	for _, p := range m.topics[topic].partitions {
		pair.Ends = append(pair.Ends, p.end())
	}
	return pair
}

// grow adds a partition to a topic.
func (m *memory) grow(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.topics[topic].partitions = append(m.topics[topic].partitions, &memPartition{})
	m.changed()
}

// drop deletes a topic, and with it what groups have committed.
func (m *memory) drop(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.topics, topic)
	for _, g := range m.groups {
		maps.DeleteFunc(g.committed, func(p place, _ memOffset) bool { return p.topic == topic })
	}
	m.changed()
}

// changed lets the groups notice later. m.mu is held.
func (m *memory) changed() {
	time.AfterFunc(m.refresh, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, g := range m.groups {
			g.balance()
		}
	})
}

// purge deletes a partition's records before an offset.
func (m *memory) purge(topic string, partition int32, before int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.topics[topic].partitions[partition]
	p.records = slices.Clone(p.records[before-p.begin:])
	p.begin = before
}

// cut takes the last records from a partition, as an unclean leader election does.
func (m *memory) cut(topic string, partition int32, end int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.topics[topic].partitions[partition]
	p.records = p.records[:end-p.begin]
}

// forget lets a group's offsets expire.
func (m *memory) forget(group string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.groups[group].committed)
}

// stall lets what is written stay without acknowledgement until resume.
func (m *memory) stall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalled = make(chan struct{})
}

func (m *memory) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.stalled)
	m.stalled = nil
}

// set sets the brokers' clock.
func (m *memory) set(skew time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew = skew
}

// broken returns what users did that they must not.
func (m *memory) broken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wrong)
}

// log returns a copy of a partition's records.
func (m *memory) log(topic string, partition int32) []memRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.topics[topic].partitions[partition].records)
}

// at returns what a group has committed; -1: nothing.
func (m *memory) at(group, topic string, partition int32) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.groups[group].committed[place{topic, partition}]; ok {
		return c.offset
	}
	return -1
}

func (p *memPartition) end() int64 { return p.begin + int64(len(p.records)) }

// partitionFor is where the key's messages go.
func (t *memTopic) partitionFor(key []byte) int {
	h := fnv.New32a()
	_, _ = h.Write(key) // a hash never fails
	return int(h.Sum32() % uint32(len(t.partitions)))
}

// write appends messages as a node's sink would, and returns the brokers' time of the last one, zero if a
// topic does not show it.
func (m *memory) write(by *process, msgs ...kafkasync.Message) (appended time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range msgs {
		msg := &msgs[i]
		t := m.topics[msg.Topic]
		if t == nil {
			return time.Time{}, ck.NewError(ck.ErrUnknownTopicOrPart, "", false)
		}
		headers, _ := msg.AppendHeaders(nil, nil)
		to := []int{t.partitionFor(msg.Key)}
		if msg.Op == kafkasync.Truncated {
			to = to[:0]
			for p := range t.partitions {
				to = append(to, p)
			}
		}
		for _, p := range to {
			r := memRecord{key: slices.Clone(msg.Key), value: slices.Clone(msg.Value), headers: cloneHeaders(headers), by: by}
			m.append(t, p, &r)
			if r.appended {
				appended = r.written
			}
		}
	}
	return appended, nil
}

// writeRecord appends somebody else's record. Without a timestamp it gets one.
func (m *memory) writeRecord(topic string, partition int, r memRecord) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(m.topics[topic], partition, &r)
}

func (m *memory) append(t *memTopic, partition int, r *memRecord) {
	p := t.partitions[partition]
	r.offset, r.real = p.end(), time.Now()
	if r.appended = !t.createTime; r.appended || r.written.IsZero() {
		r.written = time.UnixMilli(r.real.Add(m.skew).UnixMilli())
		if t.createTime {
			r.written = time.UnixMilli(r.by.wall().UnixMilli())
		}
	}
	p.records = append(p.records, *r)
}

func cloneHeaders(headers []kafkasync.Header) []kafkasync.Header {
	all := make([]kafkasync.Header, len(headers))
	for i, h := range headers {
		all[i] = kafkasync.Header{Key: h.Key, Value: slices.Clone(h.Value)}
	}
	return all
}

var errDead = errors.New("the process is dead")

// process is a node, or a part of one, that can be frozen and killed. While it is frozen whatever it asks of
// Kafka is neither sent nor answered.
type process struct {
	now   func() time.Time   // nil: a right clock
	point func(string) error // nil: nothing happens there

	mu     sync.Mutex
	dead   bool
	frozen chan struct{}
}

func (p *process) wall() time.Time {
	if p == nil || p.now == nil {
		return time.Now()
	}
	return p.now()
}

func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.frozen)
	p.frozen = nil
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// pass is called before and after whatever the process does to the outside.
func (p *process) pass(point string) error {
	if err := p.running(); err != nil || p.point == nil {
		return err
	}
	if err := p.point(point); err != nil {
		return err
	}
	return p.running() // the point may have frozen or killed it
}

// running waits while the process is frozen.
func (p *process) running() error {
	for {
		p.mu.Lock()
		dead, frozen := p.dead, p.frozen
		p.mu.Unlock()
		switch {
		case dead:
			return errDead
		case frozen == nil:
			return nil
		}
		<-frozen
	}
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// memOffsets are Offsets of a memory.
type memOffsets struct {
	m       *memory
	process *process
	group   string
}

// Survey is described at Offsets.
func (o *memOffsets) Survey(ctx context.Context, topics []string) ([]Partition, error) {
	if err := errors.Join(o.process.pass("Survey, before"), wait(ctx, o.m.trip)); err != nil {
		return nil, err
	}
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	var found []Partition
	for _, name := range topics {
		t := o.m.topics[name]
		if t == nil {
			continue
		}
		for i, p := range t.partitions {
			one := Partition{Topic: name, ID: t.id, Number: int32(i), Begin: p.begin, End: p.end(), Committed: -1}
			if c, ok := o.m.groups[o.group].committed[place{name, int32(i)}]; ok {
				one.Committed, one.Note = c.offset, c.note
			}
			found = append(found, one)
		}
	}
	return found, o.process.pass("Survey, after")
}

// At is described at Offsets.
func (o *memOffsets) At(ctx context.Context, topic string, partition int32, t time.Time) (int64, error) {
	if err := errors.Join(o.process.pass("At, before"), wait(ctx, o.m.trip)); err != nil {
		return 0, err
	}
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	p := o.m.topics[topic].partitions[partition]
	for i := range p.records {
		if !p.records[i].written.Before(t) {
			return p.records[i].offset, o.process.pass("At, after")
		}
	}
	return p.end(), o.process.pass("At, after")
}

// memSink is a sink.Sink of a memory.
type memSink struct {
	m       *memory
	process *process
	clock   *Clock
	broken  error
}

// Publish is described at sink.Sink.
func (s *memSink) Publish(ctx context.Context, msgs []kafkasync.Message) (err error) {
	if s.broken != nil {
		return s.broken
	}
	defer func() { s.broken = err }()
	if err := s.process.pass("Publish, before"); err != nil {
		return err
	}
	if err := wait(ctx, s.m.latency); err != nil {
		return err
	}
	half := len(msgs) / 2
	if _, err := s.m.write(s.process, msgs[:half]...); err != nil {
		return err
	}
	if err := s.process.pass("Publish, half"); err != nil {
		return err
	}
	appended, err := s.m.write(s.process, msgs[half:]...)
	if err != nil {
		return err
	}
	if err := s.m.acknowledge(ctx); err != nil {
		return err
	}
	if err := s.process.pass("Publish, after"); err != nil {
		return err
	}
	if !appended.IsZero() {
		s.clock.Appended(appended)
	}
	return nil
}

func (m *memory) acknowledge(ctx context.Context) error {
	if err := wait(ctx, m.trip); err != nil {
		return err
	}
	m.mu.Lock()
	stalled := m.stalled
	m.mu.Unlock()
	if stalled == nil {
		return nil
	}
	select {
	case <-stalled:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close is described at sink.Sink.
func (s *memSink) Close() error {
	s.broken = errors.New("the sink is closed")
	return nil
}

// errRefused is what a coordinator says to a member that its group has gone on without.
var errRefused = ck.NewError(ck.ErrUnknownMemberID, "", false)
