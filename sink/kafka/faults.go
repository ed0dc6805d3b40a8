package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// explain turns what the watcher found into what an operator reads.
func (s *Sink) explain(err error, msgs []kafkasync.Message) error {
	var refused *deliveryError
	if errors.As(err, &refused) {
		return s.deliveryFault(refused, msgs)
	}
	var e ck.Error
	if errors.As(err, &e) && e.IsFatal() {
		return s.fatalFault(err)
	}
	return err
}

// fatalFault is librdkafka's idempotent producer having lost its place: a new
// one, which sends again from the last acknowledged position, is all it needs.
func (s *Sink) fatalFault(err error) error {
	if cause := s.producer.FatalError(); cause != nil {
		err = cause // a record says only that there is a fatal error
	}
	if isCode(err, ck.ErrClusterAuthorizationFailed) || isCode(err, ck.ErrTopicAuthorizationFailed) {
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "Kafka does not allow us an idempotent producer", Err: err,
			Fix: fmt.Sprintf("grant us Write on the topics, and with brokers before 2.8 also: kafka-acls.sh --bootstrap-server %s --add "+
				"--allow-principal 'User:%s' --cluster --operation IdempotentWrite", s.cfg.brokers(), s.principal()),
		}
	}
	return &kafkasync.Fault{Class: kafkasync.Retry, What: "the idempotent producer gave up and is replaced", Err: err}
}

// produceFault is a record that librdkafka did not take.
func (s *Sink) produceFault(err error, m *kafkasync.Message) error {
	switch {
	case isCode(err, ck.ErrMsgSizeTooLarge), isCode(err, ck.ErrQueueFull):
		return s.tooLargeFault(err, m)
	case isCode(err, ck.ErrFatal):
		return s.fatalFault(err)
	case isUnknownTopic(err):
		return s.vanishedFault(m.Topic, err)
	default:
		// What a broker has refused to tell of the topic, librdkafka remembers, and answers at once.
		return s.topicFault(m.Topic, err)
	}
}

// deliveryFault is a record that a broker did not take.
func (s *Sink) deliveryFault(refused *deliveryError, msgs []kafkasync.Message) error {
	err := refused.err
	switch {
	case isCode(err, ck.ErrMsgSizeTooLarge), isCode(err, ck.ErrRecordListTooLarge):
		return s.tooLargeFault(err, largest(msgs, refused.topic))
	case isCode(err, ck.ErrFatal):
		return s.fatalFault(err)
	case isUnknownTopic(err), isCode(err, ck.ErrUnknownTopicID):
		return s.vanishedFault(refused.topic, err)
	default:
		return s.topicFault(refused.topic, err)
	}
}

// largest returns the largest message of a topic: a report does not say which
// message it is about, but a broker that finds one too large means this one.
func largest(msgs []kafkasync.Message, topic string) *kafkasync.Message {
	found := &kafkasync.Message{Topic: topic}
	for i := range msgs {
		if m := &msgs[i]; m.Topic == topic && cost(m) >= cost(found) {
			found = m
		}
	}
	return found
}

// tooLargeFault names the table and sizes, never the content.
func (s *Sink) tooLargeFault(err error, m *kafkasync.Message) error {
	limit := 2 * (len(m.Key) + len(m.Value) + 1024)
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What: fmt.Sprintf("a message of table %s for topic %s is too large for Kafka (key %d bytes, value %d bytes)",
			m.Table, m.Topic, len(m.Key), len(m.Value)),
		Risk: "the pipeline cannot pass it; nothing is lost while the database keeps its log",
		Fix: fmt.Sprintf("take the large column out of the rule's payload, or raise message.max.bytes under kafka.config and "+
			"the topic's limit: kafka-configs.sh --bootstrap-server %s --alter --topic %s --add-config max.message.bytes=%d "+
			"(it must not be below batch.size, by default 1000000)",
			s.cfg.brokers(), m.Topic, max(limit, 1048588)),
		Err: err,
	}
}

// vanishedFault is a topic that was there and is not any more. The next run creates it, or waits for it.
func (s *Sink) vanishedFault(name string, err error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Wait,
		What:  fmt.Sprintf("the topic %s has been deleted while it was in use", name),
		Risk:  "what consumers had not yet read of it, and its delay messages",
		Fix:   s.createCommand(name),
		Err:   err,
	}
}

// missingFault is a topic that we are not to create.
func (s *Sink) missingFault(name string, err error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Wait,
		What:  fmt.Sprintf("the topic %s does not exist, and kafka.topics.create is false", name),
		Fix:   s.createCommand(name),
		Err:   err,
	}
}

// topicFault explains what Kafka said about a topic. What it does not know stays as it is.
func (s *Sink) topicFault(name string, err error) error {
	fault := &kafkasync.Fault{Class: kafkasync.Wait, Err: err}
	var known *kafkasync.Fault
	var e ck.Error
	if errors.As(err, &known) || !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case ck.ErrTopicAuthorizationFailed, ck.ErrClusterAuthorizationFailed, ck.ErrPolicyViolation:
		fault.What = fmt.Sprintf("Kafka does not allow us to use the topic %s", name)
		fault.Fix = s.grantCommand(name)
		if e.Code() == ck.ErrPolicyViolation {
			fault.What = fmt.Sprintf("a policy of the brokers forbids the topic %s as we would create it", name)
			fault.Fix = s.createCommand(name)
		}
	case ck.ErrInvalidReplicationFactor:
		fault.What = fmt.Sprintf("the topic %s cannot be created with %s", name, counted(s.cfg.replication(), "replica"))
		fault.Fix = "start the missing brokers, or lower kafka.topics.replication"
	case ck.ErrInvalidPartitions, ck.ErrInvalidConfig:
		fault.Class = kafkasync.Stop
		fault.What = fmt.Sprintf("the topic %s cannot be created as the file says", name)
		fault.Fix = "correct kafka.topics"
	case ck.ErrTopicException, ck.ErrInvalidArg:
		fault.Class = kafkasync.Stop
		fault.What = fmt.Sprintf("%q cannot be the name of a topic", name)
		fault.Fix = "give the table's rule another topic"
	default:
		if isUnknownTopic(err) {
			return s.vanishedFault(name, err)
		}
		return fmt.Errorf("using topic %s: %w", name, err)
	}
	return fault
}

// silenceFault says why Publish waits.
func (s *Sink) silenceFault(silent time.Duration) error {
	fault := &kafkasync.Fault{Class: kafkasync.Wait, Err: s.window.troubled()}
	var e ck.Error
	_ = errors.As(fault.Err, &e) // else its code is 0, which is none of these
	switch code := e.Code(); {
	case code == ck.ErrAuthentication, code == ck.ErrSaslAuthenticationFailed,
		// A broker that hangs up instead of refusing is a transport failure to librdkafka.
		code == ck.ErrTransport && strings.Contains(e.Error(), "SASL authentication error"):
		fault.What = fmt.Sprintf("Kafka at %s refuses the login", s.cfg.brokers())
		fault.Fix = "correct sasl.* under kafka.config"
	case code == ck.ErrTransport, code == ck.ErrAllBrokersDown, code == ck.ErrResolve, code == ck.ErrTimedOut, code == ck.ErrTimedOutQueue,
		errors.Is(fault.Err, context.DeadlineExceeded):
		fault.What = fmt.Sprintf("Kafka at %s is unreachable", s.cfg.brokers())
		fault.Fix = "start Kafka, or correct kafka.brokers, or let the connection through the firewall"
		fault.Unreachable = true
	case code == ck.ErrSsl:
		fault.What = fmt.Sprintf("TLS with Kafka at %s fails", s.cfg.brokers())
		fault.Fix = "correct ssl.* and security.protocol under kafka.config"
	default:
		fault.What = fmt.Sprintf("Kafka at %s has acknowledged nothing for %s", s.cfg.brokers(), silent.Round(time.Second))
		fault.Fix = "see whether each partition has a leader and min.insync.replicas replicas in sync: " +
			"kafka-topics.sh --bootstrap-server " + s.cfg.brokers() + " --describe --under-min-isr-partitions"
	}
	return fault
}

func (s *Sink) grantCommand(name string) string {
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal 'User:%s' --topic %s "+
		"--operation Describe --operation Write --operation Create --operation Read", s.cfg.brokers(), s.principal(), name)
}

func (s *Sink) principal() string {
	if user := s.cfg.Properties["sasl.username"]; user != "" {
		return user
	}
	return "<our principal>"
}
