package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// kafkaSender is a Sender of Kafka.
type kafkaSender struct {
	producer *ck.Producer
	topic    string

	// A handler that did not end in time may have something to send when the membership is over.
	mu      sync.RWMutex
	closed  bool
	drained chan struct{}
}

// OpenSender is described at broker.Broker.
func (k *kafka) OpenSender(ctx context.Context, topic string) (broker.Sender, error) {
	if err := k.cfg.exists(ctx, topic); err != nil {
		return nil, err
	}
	m := ck.ConfigMap{"client.id": "kafkasync-consumer", "reconnect.backoff.max.ms": "1000", "enable.metrics.push": "false"}
	for name, value := range k.cfg.Kafka {
		m[name] = value
	}
	maps.Copy(m, ck.ConfigMap{
		"bootstrap.servers":        strings.Join(k.cfg.Brokers, ","),
		"allow.auto.create.topics": "false",
		"log_level":                "0", // what matters comes as an error
		"acks":                     "all",
		"enable.idempotence":       "true",
		// With more of them, a leader that is new may lose the first one: KAFKA-15591, explained in internal/rdkafka/topic.h.
		"max.in.flight.requests.per.connection": "1",
		"partitioner":                           "murmur2_random",
		"message.timeout.ms":                    "20000", // then the message is tried again, by us
		"linger.ms":                             "5",
	})
	producer, err := ck.NewProducer(&m)
	if err != nil {
		return nil, k.cfg.refused(err)
	}
	s := &kafkaSender{producer: producer, topic: topic, drained: make(chan struct{})}
	go func() { // errors that pass; what comes of a message is told to its sender
		defer close(s.drained)
		for range producer.Events() {
		}
	}()
	return s, nil
}

// exists fails if there is no such topic: we create none in the application's name.
func (c Config) exists(ctx context.Context, topic string) error {
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync-consumer", c.Brokers, c.Kafka))
	if err != nil {
		return c.refused(err)
	}
	defer admin.Close()
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	found, err := (&rdkafka.Offsets{Admin: admin}).Partitions(asking, []string{topic})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the topic %s, to send messages to, is not there", topic),
			Fix: fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s", strings.Join(c.Brokers, ","), topic),
		}
	}
	return nil
}

// Send is described at broker.Sender.
func (s *kafkaSender) Send(ctx context.Context, letters []broker.Letter) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errors.New("the consumer has ended")
	}
	reports := make(chan ck.Event, len(letters))
	sent := 0
	var errs []error
	for i := range letters {
		message := &ck.Message{TopicPartition: ck.TopicPartition{Topic: &s.topic, Partition: ck.PartitionAny}, Key: letters[i].Key, Value: letters[i].Value}
		for _, h := range letters[i].Headers {
			message.Headers = append(message.Headers, ck.Header{Key: h.Key, Value: h.Value})
		}
		if err := s.producer.Produce(message, reports); err != nil {
			errs = append(errs, err)
			break
		}
		sent++
	}
	for range sent {
		select {
		case event := <-reports:
			if m, ok := event.(*ck.Message); ok && m.TopicPartition.Error != nil {
				errs = append(errs, m.TopicPartition.Error)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return errors.Join(errs...)
}

// Close is described at broker.Sender.
func (s *kafkaSender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	rdkafka.Release(func() {
		s.producer.Close()
		<-s.drained
	})
}
