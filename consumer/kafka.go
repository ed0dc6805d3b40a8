package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// What one fetch brings of a partition, as it is on the wire: less makes librdkafka ask for every few records, more brings nothing.
	leastFetch = 16 << 10
	mostFetch  = 256 << 10
	// unpacked is how many times more a fetch takes in memory: it is compressed, and librdkafka keeps a
	// structure for each record.
	unpacked = 8
	// sizeOfFetched is what a small record takes that is fetched ahead. librdkafka itself counts the bytes of values alone, of which
	// ours have ten, so a limit in bytes would let it take the whole topic.
	sizeOfFetched = 500
	leastFetched  = 50
)

// surveyLimit bounds the questions about partitions.
const surveyLimit = 10 * time.Second

// kafka is the Broker that is Kafka.
type kafka struct{ cfg Config }

// Join is described at broker.Broker. It counts the partitions first, of which each has its share of the memory.
func (k *kafka) Join(ctx context.Context) (broker.Group, error) {
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync-consumer", k.cfg.Brokers, k.cfg.Kafka))
	if err != nil {
		return nil, k.cfg.refused(err)
	}
	offsets := &rdkafka.Offsets{Admin: admin}
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	found, err := offsets.Partitions(asking, k.cfg.Topics)
	cancel()
	if err != nil {
		admin.Close()
		return nil, err
	}
	size := max(1, len(found))
	consumer, err := rdkafka.NewConsumer(k.cfg.properties(size))
	if err != nil {
		admin.Close()
		return nil, k.cfg.refused(err)
	}
	offsets.Consumer = consumer
	return &kafkaGroup{Consumer: consumer, Offsets: offsets, log: k.cfg.Logger, size: size}, nil
}

func (c Config) refused(err error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: "librdkafka does not take the properties of Config.Kafka",
		Fix: "correct them: the names are those of librdkafka's CONFIGURATION.md", Err: err,
	}
}

// properties are librdkafka's, for a consumer of so many partitions.
func (c Config) properties(partitions int) map[string]string {
	// What waits of a partition may take half of the memory's share of it, and what one fetch adds to that a quarter.
	share := c.Memory / partitions
	fetch := min(max(share/4/unpacked, leastFetch), mostFetch)
	m := map[string]string{
		"client.id":                          "kafkasync-consumer",
		"reconnect.backoff.max.ms":           "1000",
		"log.connection.close":               "false",
		"enable.metrics.push":                "false",
		"socket.timeout.ms":                  "10000", // a commit that waits is over by then
		"topic.metadata.refresh.interval.ms": "10000", // how soon a partition that was added is read
		"session.timeout.ms":                 "10000",
		"heartbeat.interval.ms":              "1000", // a member learns by it that partitions are to move
		"isolation.level":                    "read_uncommitted",
		"fetch.queue.backoff.ms":             "20", // how long it looks away from a partition that has enough
		// A fetch asks for the partitions that have too little, and there is one at a time: if those have nothing more, the others wait for its end.
		"fetch.wait.max.ms": "50",
	}
	if c.Instance != "" {
		m["session.timeout.ms"] = "45000" // a restart takes less, and nobody else is to notice it
	}
	maps.Copy(m, c.Kafka)
	maps.Copy(m, map[string]string{
		"bootstrap.servers":             strings.Join(c.Brokers, ","),
		"group.id":                      c.Name,
		"partition.assignment.strategy": "cooperative-sticky",
		"allow.auto.create.topics":      "false",
		"enable.auto.commit":            "false",
		"enable.auto.offset.store":      "false",
		"auto.offset.reset":             "error", // we say where to go on
		"enable.partition.eof":          "false",
		"queued.min.messages":           strconv.Itoa(max(share/2/sizeOfFetched, leastFetched)),
		"queued.max.messages.kbytes":    strconv.Itoa(max(share/2, leastFetch) / 1024), // for large values
		"fetch.message.max.bytes":       strconv.Itoa(fetch),
		"fetch.max.bytes":               strconv.Itoa(min(max(c.Memory/4/unpacked, 1<<20), 8<<20)), // at least what message.max.bytes is by itself
	})
	delete(m, "message.max.bytes") // is for what we write
	if c.Instance != "" {
		m["group.instance.id"] = c.Instance
	}
	return m
}

// kafkaGroup is a Group of Kafka.
type kafkaGroup struct {
	*rdkafka.Consumer
	*rdkafka.Offsets

	log     *slog.Logger
	size    int
	buffers sync.Pool // of *rdkafka.Records: as many as are taken into at the same time
}

// Poll is described at broker.Membership.
func (g *kafkaGroup) Poll(limit time.Duration) (event any, err error) {
	switch e := g.Consumer.Poll(limit).(type) {
	case ck.Error:
		if e.IsFatal() {
			return nil, e
		}
		return e, nil
	case ck.LogEvent:
		g.log.Debug("librdkafka says", "text", e.Message)
		return nil, nil //nolint:nilnil // there was nothing to tell
	case rdkafka.Assigned, rdkafka.Revoked, rdkafka.Committed:
		return e, nil
	default:
		return nil, nil //nolint:nilnil // as above
	}
}

// Size is described at broker.Membership.
func (g *kafkaGroup) Size() int { return g.size }

// Wake is described at broker.Group.
func (g *kafkaGroup) Wake() { g.Interrupt() }

// Close is described at broker.Group.
func (g *kafkaGroup) Close() {
	rdkafka.Release(func() {
		g.Admin.Close()
		g.Consumer.Close()
	})
}

// Assign is described at broker.Holder.
func (g *kafkaGroup) Assign(places []rdkafka.Place) ([]broker.Feed, error) {
	partitions, err := g.Consumer.Assign(places)
	if err != nil {
		return nil, err
	}
	feeds := make([]broker.Feed, len(partitions))
	for i, p := range partitions {
		feeds[i] = &kafkaFeed{partition: p, buffers: &g.buffers}
	}
	return feeds, nil
}

// kafkaFeed is a Feed of Kafka.
type kafkaFeed struct {
	partition *rdkafka.Partition
	buffers   *sync.Pool
	record    broker.Record
}

// Take is described at broker.Feed.
func (f *kafkaFeed) Take(most, size int, each func(*broker.Record)) error {
	records, ok := f.buffers.Get().(*rdkafka.Records)
	if !ok {
		records = &rdkafka.Records{}
	}
	defer func() {
		if records.Size() <= mostBatch { // one large record does not keep its room
			f.buffers.Put(records)
		}
	}()
	if err := f.partition.Take(records, most, size); err != nil {
		return fmt.Errorf("taking records: %w", err)
	}
	for i := range records.Len() {
		r := &f.record
		r.Offset, r.Key, r.Value, r.Headers = records.Offset(i), records.Key(i), records.Value(i), r.Headers[:0]
		for name, value := range records.Headers(i) {
			r.Headers = append(r.Headers, broker.Header{Name: name, Value: value})
		}
		each(r)
	}
	return nil
}

// Close is described at broker.Feed.
func (f *kafkaFeed) Close() { f.partition.Close() }
