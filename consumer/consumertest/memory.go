package consumertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

type place struct {
	topic  string
	number int32
}

// memory is topics, a group and a dead-letter topic.
type memory struct {
	mu      sync.Mutex
	topics  []string
	logs    map[place]*records
	events  []any          // for the member
	wake    chan struct{}  // there are events, or it is to look
	holds   map[place]bool // the member has it
	offsets map[place]rdkafka.Place
	refuse  error // of commits
	letters []broker.Letter
	lost    error // of letters
}

// records are those of a partition.
type records struct {
	begin int64
	all   []stored // from begin on
}

type stored struct {
	at      time.Time
	key     []byte
	value   []byte
	headers []kafkasync.Header
}

func newMemory(topics []string) *memory {
	m := &memory{topics: topics, logs: map[place]*records{}, wake: make(chan struct{}, 1), holds: map[place]bool{}, offsets: map[place]rdkafka.Place{}}
	for _, t := range topics {
		for p := range int32(Partitions) {
			m.logs[place{t, p}] = &records{}
		}
	}
	return m
}

func (m *memory) append(topic string, partition int32, key, value []byte, headers []kafkasync.Header) (offset int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[place{topic, partition}]
	if log == nil {
		return 0, false
	}
	log.all = append(log.all, stored{time.Now(), slices.Clone(key), slices.Clone(value), slices.Clone(headers)})
	return log.end() - 1, true
}

func (r *records) end() int64 { return r.begin + int64(len(r.all)) }

func (m *memory) happen(event any) {
	m.events = append(m.events, event)
	m.Wake()
}

func (m *memory) revoke(at place, lost bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holds[at] {
		m.happen(rdkafka.Revoked{Places: []rdkafka.Place{{Topic: at.topic, Partition: at.number}}, Lost: lost})
	}
}

func (m *memory) assign(at place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.holds[at] {
		m.happen(rdkafka.Assigned{Places: []rdkafka.Place{{Topic: at.topic, Partition: at.number}}})
	}
}

func (m *memory) commit(at place, offset int64, note string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offsets[at] = rdkafka.Place{Topic: at.topic, Partition: at.number, Offset: offset, Metadata: note}
}

func (m *memory) committed(at place) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, is := m.offsets[at]; is {
		return p.Offset
	}
	return -1
}

func (m *memory) failCommits(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = err
}

func (m *memory) failLetters(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = err
}

func (m *memory) lettersSent() []broker.Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.letters)
}

func (m *memory) deleteBefore(at place, offset int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if log := m.logs[at]; log != nil && offset > log.begin && offset <= log.end() {
		log.all = slices.Clone(log.all[offset-log.begin:])
		log.begin = offset
	}
}

// Join gives the member all partitions.
func (m *memory) Join(context.Context) (broker.Group, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events, m.holds = nil, map[place]bool{}
	var places []rdkafka.Place
	for _, t := range m.topics {
		for p := range int32(Partitions) {
			places = append(places, rdkafka.Place{Topic: t, Partition: p})
		}
	}
	m.happen(rdkafka.Assigned{Places: places})
	return &group{m}, nil
}

// OpenSender is described at broker.Broker.
func (m *memory) OpenSender(context.Context, string) (broker.Sender, error) { return &sender{m}, nil }

// Wake is described at broker.Group.
func (m *memory) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// sender is a broker.Sender.
type sender struct{ *memory }

func (s *sender) Send(_ context.Context, letters []broker.Letter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == nil {
		s.letters = append(s.letters, letters...)
	}
	return s.lost
}

func (s *sender) Close() {}

// errNotOurs is what a member hears that commits what it does not have.
func errNotOurs() error {
	return ck.NewError(ck.ErrUnknownMemberID, "the partition is somebody else's", false)
}

var errNoPartition = errors.New("there is no such partition")
