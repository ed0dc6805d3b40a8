package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// DeadLetter is a record of a dead-letter topic.
type DeadLetter struct {
	Partition int32 // where the letter itself is
	Offset    int64

	Key, Value []byte
	Headers    []kafkasync.Header // those that the message had

	Consumer string // whose handler failed
	// Of the message: where it was, how often it was handed over (0: it could not be read), when it was given up, and why.
	Topic           string
	SourcePartition int32
	SourceOffset    int64
	Attempts        int
	At              time.Time
	Error           string
}

// DeadLetters calls each with the letters of a topic up to its end, those of a partition in order, until one call fails. Of cfg it needs
// Brokers and Kafka. What else lies in the topic is passed over, and counted.
func DeadLetters(ctx context.Context, cfg Config, topic string, each func(*DeadLetter) error) (others int, err error) {
	cfg.Name, cfg.Topics = "kafkasync-dead-letters", []string{topic}
	o, found, err := cfg.standing(ctx, map[string]string{"enable.partition.eof": "true"})
	if err != nil {
		return 0, err
	}
	defer o.close()
	if len(found) == 0 {
		return 0, &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("Kafka at %s has no topic %s", strings.Join(cfg.Brokers, ","), topic),
			Fix: "give the name that the application sets in consumer.Config.DeadLetters",
		}
	}
	places := make([]rdkafka.Place, len(found))
	for i := range found {
		places[i] = rdkafka.Place{Topic: topic, Partition: found[i].Number, Offset: found[i].Begin}
	}
	others, err = o.readAll(ctx, places, each)
	if err != nil {
		return others, cfg.explain(err)
	}
	return others, nil
}

// readAll reads partitions to their ends.
func (o *onlooker) readAll(ctx context.Context, places []rdkafka.Place, each func(*DeadLetter) error) (others int, err error) {
	partitions, err := o.Consumer.Assign(places)
	if err != nil {
		return 0, err
	}
	for i, p := range partitions {
		n, err := o.readOne(ctx, places[i], p, each)
		others += n
		if err != nil {
			return others, err
		}
	}
	return others, nil
}

func (o *onlooker) readOne(ctx context.Context, place rdkafka.Place, p *rdkafka.Partition, each func(*DeadLetter) error) (others int, err error) {
	defer p.Close()
	var records rdkafka.Records
	for {
		err := p.Take(&records, 100, mostBatch)
		switch {
		case isCode(err, ck.ErrPartitionEOF):
			return others, nil
		case err != nil:
			return others, fmt.Errorf("reading partition %d of topic %s: %w", place.Partition, place.Topic, err)
		}
		for i := range records.Len() {
			letter, ok := letterOf(place.Partition, &records, i)
			if !ok {
				others++
				continue
			}
			if err := each(letter); err != nil {
				return others, err
			}
		}
		if records.Len() > 0 {
			continue
		}
		if ctx.Err() != nil {
			return others, fmt.Errorf("reading topic %s: %w", place.Topic, context.Cause(ctx))
		}
		if problem, is := o.Consumer.Poll(20 * time.Millisecond).(ck.Error); is && problem.IsFatal() {
			return others, problem
		}
	}
}

// letterOf reads a record, and reports whether it is a dead letter.
func letterOf(partition int32, records *rdkafka.Records, i int) (*DeadLetter, bool) {
	l := &DeadLetter{Partition: partition, Offset: records.Offset(i), Key: slices.Clone(records.Key(i)), Value: slices.Clone(records.Value(i))}
	for name, value := range records.Headers(i) {
		text := string(value)
		number := func() int64 {
			n, _ := strconv.ParseInt(text, 10, 64) // 0: it is for a person to read
			return n
		}
		switch string(name) {
		case deadConsumer:
			l.Consumer = text
		case deadTopic:
			l.Topic = text
		case deadPartition:
			l.SourcePartition = int32(number())
		case deadOffset:
			l.SourceOffset = number()
		case deadAttempts:
			l.Attempts = int(number())
		case deadAt:
			l.At = time.UnixMilli(number())
		case deadError:
			l.Error = text
		default:
			l.Headers = append(l.Headers, kafkasync.Header{Key: string(name), Value: slices.Clone(value)})
		}
	}
	return l, l.Topic != ""
}

// Redrive sends letters back to the topics that they came from, byte for byte, and returns once all are acknowledged. Every consumer of a topic
// gets them. The letters stay where they are: who redrives them twice has sent them twice, which does no harm but work. Of
// cfg it needs Brokers and Kafka.
func Redrive(ctx context.Context, cfg Config, letters []DeadLetter) error {
	byTopic := map[string][]broker.Letter{}
	var topics []string
	for i := range letters {
		l := &letters[i]
		if _, known := byTopic[l.Topic]; !known {
			topics = append(topics, l.Topic)
		}
		byTopic[l.Topic] = append(byTopic[l.Topic], broker.Letter{Key: l.Key, Value: l.Value, Headers: l.Headers})
	}
	for _, topic := range topics {
		if err := cfg.redriveTo(ctx, topic, byTopic[topic]); err != nil {
			return fmt.Errorf("sending %d messages back to topic %s: %w", len(byTopic[topic]), topic, err)
		}
	}
	return nil
}

// redrivenAtOnce bounds what is in memory twice.
const redrivenAtOnce = 1000

func (c Config) redriveTo(ctx context.Context, topic string, letters []broker.Letter) error {
	c.Name, c.Topics = "kafkasync-dead-letters", []string{topic}
	c = c.withDefaults()
	if err := errors.Join(c.validate(), c.reachable()); err != nil {
		return err
	}
	sender, err := (&kafka{c}).OpenSender(ctx, topic)
	if err != nil {
		return c.explain(err)
	}
	defer sender.Close()
	for chunk := range slices.Chunk(letters, redrivenAtOnce) {
		if err := sender.Send(ctx, chunk); err != nil {
			return c.explain(err)
		}
	}
	return nil
}
