package delayer

import (
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// sessionTimeout is how long a member that is silent keeps its partitions.
	sessionTimeout = 6 * time.Second
	// fetchedRecords is how many records librdkafka fetches ahead in all, and then as many as one fetch of each
	// partition brings: enough to keep a node busy, and some 25 MB.
	fetchedRecords = 16_000
	fetchedBytes   = 8 << 20
	leastFetch     = 16 << 10
	mostFetch      = 256 << 10
)

// kafkaGroup is a Group of Kafka.
type kafkaGroup struct {
	*rdkafka.Consumer

	log *slog.Logger
}

// openKafka makes a membership that is to have about so many partitions, and the questions about them.
func (c Config) openKafka(partitions int) (Group, Offsets, func(), error) {
	consumer, err := rdkafka.NewConsumer(c.consumer(partitions))
	if err != nil {
		return nil, nil, nil, &kafkasync.Fault{
			Class: kafkasync.Stop, What: "librdkafka does not take the settings under kafka.config for a consumer",
			Fix: "correct them in the file", Err: err,
		}
	}
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync-delayer", c.Brokers, c.Properties))
	if err != nil {
		consumer.Close()
		return nil, nil, nil, fmt.Errorf("opening Kafka's admin client: %w", err)
	}
	return &kafkaGroup{Consumer: consumer, log: c.Logger}, &rdkafka.Offsets{Admin: admin, Consumer: consumer}, func() {
		rdkafka.Release(func() {
			admin.Close()
			consumer.Close()
		})
	}, nil
}

// consumer returns librdkafka's settings.
func (c Config) consumer(partitions int) map[string]string {
	partitions = max(1, partitions)
	m := map[string]string{
		"client.id":                "kafkasync-delayer",
		"reconnect.backoff.max.ms": "1000",
		"log.connection.close":     "false",
		"enable.metrics.push":      "false",
		"socket.timeout.ms":        "10000", // a connection that is silent is opened again
	}
	maps.Copy(m, c.Properties)
	maps.Copy(m, map[string]string{
		"bootstrap.servers":                  strings.Join(c.Brokers, ","),
		"group.id":                           GroupOf(c.Name, c.Delay),
		"partition.assignment.strategy":      "cooperative-sticky",
		"session.timeout.ms":                 strconv.FormatInt(sessionTimeout.Milliseconds(), 10),
		"heartbeat.interval.ms":              "500", // a member learns by it that partitions are to move
		"topic.metadata.refresh.interval.ms": "10000",
		"allow.auto.create.topics":           "false",
		"enable.auto.commit":                 "false",
		"enable.auto.offset.store":           "false",
		"auto.offset.reset":                  "error", // we say where to go on
		"enable.partition.eof":               "false", // the end of a partition is no error
		// Ours are in no transaction, and must not wait behind somebody else's.
		"isolation.level": "read_uncommitted",
		// What is fetched ahead of a partition stays in memory until its delay has passed.
		"queued.min.messages":        strconv.Itoa(max(fetchedRecords/partitions, 50)),
		"queued.max.messages.kbytes": strconv.Itoa(max(fetchedBytes/partitions, leastFetch) / 1024),
		"fetch.message.max.bytes":    strconv.Itoa(min(max(fetchedBytes/partitions, leastFetch), mostFetch)),
		"fetch.max.bytes":            strconv.Itoa(4 << 20),
		// How long librdkafka looks away from a partition that has enough; its default is a second.
		"fetch.queue.backoff.ms": "20",
		// There is one fetch at a time: if the partitions that it asks for have nothing more, the others wait for its end.
		"fetch.wait.max.ms": "20",
	})
	delete(m, "group.instance.id") // a member that ends gives its partitions to the others at once
	return m
}

// Poll is described at Membership.
func (g *kafkaGroup) Poll(limit time.Duration) (event any, err error) {
	return g.judge(g.Consumer.Poll(limit))
}

// judge passes on what concerns a member.
func (g *kafkaGroup) judge(event any) (any, error) {
	switch e := event.(type) {
	case ck.Error:
		if e.IsFatal() {
			return nil, fmt.Errorf("the consumer gave up: %w", e)
		}
		if e.Code() == ck.ErrUnknownTopicOrPart || e.Code() == ck.ErrUnknownTopic {
			g.log.Debug("a topic with a delay is not there", "err", e)
			return nil, nil //nolint:nilnil // there was nothing to tell
		}
		return e, nil
	case ck.LogEvent:
		g.log.Debug("librdkafka says", "text", e.Message)
		return nil, nil //nolint:nilnil // as above
	case ck.OAuthBearerTokenRefresh, rdkafka.Statistics:
		return nil, nil //nolint:nilnil // as above
	case nil:
		return nil, nil //nolint:nilnil // as above
	default:
		return e, nil
	}
}

// Wake is described at Group.
func (g *kafkaGroup) Wake() { g.Interrupt() }

// Assign is described at Holder.
func (g *kafkaGroup) Assign(places []rdkafka.Place) ([]Feed, error) {
	partitions, err := g.Consumer.Assign(places)
	if err != nil {
		return nil, err
	}
	feeds := make([]Feed, len(partitions))
	for i, p := range partitions {
		feeds[i] = &kafkaFeed{Partition: p, topic: places[i].Topic, number: places[i].Partition}
	}
	return feeds, nil
}

// kafkaFeed is a Feed of Kafka.
type kafkaFeed struct {
	*rdkafka.Partition

	topic  string
	number int32
}

// Take is described at Feed.
func (f *kafkaFeed) Take(c *chunk, d *decoder, most, size int) (taken int, strange, err error) {
	if err := f.Partition.Take(&c.records, most, size); err != nil {
		return 0, nil, err
	}
	r := &c.records
	for i := range r.Len() {
		d.headers = d.headers[:0]
		for name, value := range r.Headers(i) {
			d.headers = append(d.headers, header{name, value})
		}
		one := record{offset: r.Offset(i), key: r.Key(i), value: r.Value(i), headers: d.headers}
		one.written, one.appended = r.Timestamp(i)
		if problem := d.add(c, f.topic, f.number, &one); problem != nil {
			strange = fmt.Errorf("offset %d: %w", one.offset, problem)
		}
	}
	return r.Len(), strange, nil
}
