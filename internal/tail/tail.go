// Package tail reads a topic for a person who wants to look.
//
// It promises to show every record from where it started, in the order of each
// partition. Without a group it leaves nothing behind on the brokers: it joins
// no group, commits nothing and creates no topic.
package tail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// poll bounds how long a look for the next record keeps ctx waiting.
const poll = 100 * time.Millisecond

// metadataTimeout bounds the questions asked before reading.
const metadataTimeout = 10 * time.Second

// Options say what is read.
type Options struct {
	Brokers       []string
	Properties    map[string]string // librdkafka's, as in the file under kafka.config
	Topic         string
	FromBeginning bool   // else from the end; a group that has committed goes on where it was
	Group         string // consumer group to join and commit for; "": none
	Limit         int    // records after which Run returns nil; 0: none
}

// Run calls fn with each record until ctx ends, which is its error, Limit
// records were seen, which is nil, or something fails. Records that are not
// kafkasync's are shown as far as they can be read; a header that says
// something impossible is an error. With a group, a record is committed only after fn returned
// nil for it. The message belongs to fn.
func Run(ctx context.Context, opts Options, fn func(kafkasync.Message) error) (err error) {
	consumer, err := ck.NewConsumer(settings(opts))
	if err != nil {
		return fmt.Errorf("opening a consumer: %w", err)
	}
	defer func() {
		if closing := consumer.Close(); closing != nil && err == nil {
			err = fmt.Errorf("closing the consumer: %w", closing)
		}
	}()
	if opts.Group != "" {
		err = consumer.Subscribe(opts.Topic, nil)
	} else {
		err = assign(consumer, opts)
	}
	if err != nil {
		return fmt.Errorf("starting to read topic %s: %w", opts.Topic, err)
	}
	return follow(ctx, consumer, opts, fn)
}

func settings(opts Options) *ck.ConfigMap {
	m := ck.ConfigMap{
		"client.id":                          "kafkasync-consume",
		"group.id":                           "kafkasync-consume", // librdkafka wants one, also where none is joined
		"enable.auto.commit":                 opts.Group != "",
		"enable.auto.offset.store":           false,
		"allow.auto.create.topics":           false,
		"log.connection.close":               false,
		"go.logs.channel.enable":             false,
		"log_level":                          0, // what matters comes as an error
		"topic.metadata.refresh.interval.ms": 10000,
	}
	for name, value := range opts.Properties {
		m[name] = value // one that only a producer knows does no harm here
	}
	maps.Copy(m, ck.ConfigMap{"bootstrap.servers": strings.Join(opts.Brokers, ",")})
	switch {
	case opts.Group == "":
		m["auto.offset.reset"] = "error" // we say where to start; anywhere else would be a silent jump
	case opts.FromBeginning:
		m["group.id"], m["auto.offset.reset"] = opts.Group, "earliest"
	default:
		m["group.id"], m["auto.offset.reset"] = opts.Group, "latest"
	}
	return &m
}

// assign starts at places that are known before Run goes on, so that what is
// published from now on is seen.
func assign(consumer *ck.Consumer, opts Options) error {
	timeout := int(metadataTimeout.Milliseconds())
	metadata, err := consumer.GetMetadata(&opts.Topic, false, timeout)
	if err != nil {
		return fmt.Errorf("asking Kafka at %s for its partitions: %w", strings.Join(opts.Brokers, ","), err)
	}
	topic := metadata.Topics[opts.Topic]
	if topic.Error.Code() != ck.ErrNoError {
		return topic.Error
	}
	var places []ck.TopicPartition
	for _, p := range topic.Partitions {
		low, high, err := consumer.QueryWatermarkOffsets(opts.Topic, p.ID, timeout)
		if err != nil {
			return fmt.Errorf("asking for the end of partition %d: %w", p.ID, err)
		}
		at := high
		if opts.FromBeginning {
			at = low
		}
		places = append(places, ck.TopicPartition{Topic: &opts.Topic, Partition: p.ID, Offset: ck.Offset(at)})
	}
	return consumer.Assign(places)
}

func follow(ctx context.Context, consumer *ck.Consumer, opts Options, fn func(kafkasync.Message) error) error {
	for seen := 0; opts.Limit == 0 || seen < opts.Limit; {
		if ctx.Err() != nil {
			return fmt.Errorf("reading topic %s: %w", opts.Topic, context.Cause(ctx))
		}
		switch e := consumer.Poll(int(poll.Milliseconds())).(type) {
		case *ck.Message:
			if err := show(consumer, opts, e, fn); err != nil {
				return err
			}
			seen++
		case ck.Error:
			if e.IsFatal() || isFinal(e.Code()) {
				return fmt.Errorf("reading topic %s: %w", opts.Topic, e)
			}
		}
	}
	return nil
}

func show(consumer *ck.Consumer, opts Options, record *ck.Message, fn func(kafkasync.Message) error) error {
	if record.TopicPartition.Error != nil {
		return fmt.Errorf("reading topic %s: %w", opts.Topic, record.TopicPartition.Error)
	}
	message, err := decode(record)
	if err != nil {
		return fmt.Errorf("reading %s: %w", record.TopicPartition, err)
	}
	if err := fn(message); err != nil {
		return err
	}
	if opts.Group == "" {
		return nil
	}
	if _, err := consumer.StoreMessage(record); err != nil && !isCode(err, ck.ErrState) {
		// Erroneous state means that the partition has gone to another member meanwhile.
		return fmt.Errorf("remembering %s: %w", record.TopicPartition, err)
	}
	return nil
}

func decode(record *ck.Message) (kafkasync.Message, error) {
	m := kafkasync.Message{
		Topic: *record.TopicPartition.Topic, Partition: record.TopicPartition.Partition,
		Offset: int64(record.TopicPartition.Offset), Key: record.Key, Value: record.Value,
	}
	for _, h := range record.Headers {
		if err := m.SetHeader(h.Key, h.Value); err != nil {
			return m, err
		}
	}
	return m, nil
}

// isFinal reports whether reading can not go on by itself.
func isFinal(code ck.ErrorCode) bool {
	switch code {
	case ck.ErrUnknownTopicOrPart, ck.ErrUnknownTopic, ck.ErrTopicAuthorizationFailed, ck.ErrGroupAuthorizationFailed,
		ck.ErrAuthentication, ck.ErrAllBrokersDown:
		return true
	default:
		return false
	}
}

func isCode(err error, code ck.ErrorCode) bool {
	var e ck.Error
	return errors.As(err, &e) && e.Code() == code
}
