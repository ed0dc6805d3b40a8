package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// adminTry bounds the first request, so that a broker that is gone is soon
	// reported; each further one may take twice as long, up to adminTryMax.
	adminTry    = time.Second
	adminTryMax = 16 * time.Second
	// metadataTry is short because librdkafka's call cannot be cancelled.
	metadataTry = 2 * time.Second
	// settle is how long a topic that exists may be unknown to some broker.
	settle = 30 * time.Second
)

// topic returns the topic's name as librdkafka wants it. At the first sight of
// a topic it makes sure that it exists.
func (s *Sink) topic(ctx context.Context, name string) (*string, error) {
	if s.last != nil && *s.last == name {
		return s.last, nil
	}
	known, ok := s.topics[name]
	if !ok {
		if err := s.ensure(ctx, name); err != nil {
			return nil, err
		}
		known = &name
		s.topics[name] = known
	}
	s.last = known
	return known, nil
}

// ensure returns once the topic exists and librdkafka knows its partitions:
// from then on it places records while they are handed over, so records for
// one partition and records by key keep their order.
func (s *Sink) ensure(ctx context.Context, name string) error {
	err := s.insist(ctx, func(ctx context.Context) error {
		_, err := s.describe(ctx, name)
		return err
	})
	if isUnknownTopic(err) {
		if !s.cfg.Topics.Create {
			return s.missingFault(name, err)
		}
		err = s.insist(ctx, func(ctx context.Context) error { return s.create(ctx, name) })
	}
	if err != nil {
		return s.topicFault(name, err)
	}
	_, err = s.partitions(ctx, name)
	return err
}

// describe asks for the topic without letting a broker create it.
func (s *Sink) describe(ctx context.Context, name string) (ck.TopicDescription, error) {
	result, err := s.admin.DescribeTopics(ctx, ck.NewTopicCollectionOfTopicNames([]string{name}),
		ck.SetAdminOptionIncludeAuthorizedOperations(true))
	if err != nil {
		return ck.TopicDescription{}, err
	}
	if len(result.TopicDescriptions) != 1 {
		return ck.TopicDescription{}, fmt.Errorf("describing topic %s: got %d answers, want 1", name, len(result.TopicDescriptions))
	}
	topic := result.TopicDescriptions[0]
	if topic.Error.Code() != ck.ErrNoError {
		return topic, topic.Error
	}
	return topic, nil
}

// create makes the topic with the broker's own time in its records: the
// delayer then has one clock. Another node may create it at the same time.
func (s *Sink) create(ctx context.Context, name string) error {
	const timestamps = "message.timestamp.type"
	err := s.tryCreate(ctx, s.specification(name, timestamps), false)
	_, ours := s.cfg.Topics.Config[timestamps]
	if !ours && (isCode(err, ck.ErrInvalidConfig) || isCode(err, ck.ErrPolicyViolation)) {
		// Hosted Kafkas refuse settings; without it the delayer takes the later of two clocks.
		refused := err
		if err = s.tryCreate(ctx, s.specification(name, ""), false); err == nil {
			s.log.Warn("topic created without message.timestamp.type=LogAppendTime, which was refused",
				"topic", name, "error", refused)
		}
	}
	return err
}

// specification is the topic as we create it; LogAppendTime is set under timestamps, if that is not "".
func (s *Sink) specification(name, timestamps string) ck.TopicSpecification {
	settings := maps.Clone(s.cfg.Topics.Config)
	if timestamps != "" {
		settings = map[string]string{timestamps: "LogAppendTime"}
		maps.Copy(settings, s.cfg.Topics.Config)
	}
	return ck.TopicSpecification{
		Topic: name, NumPartitions: s.cfg.partitions(), ReplicationFactor: s.cfg.replication(), Config: settings,
	}
}

func (s *Sink) tryCreate(ctx context.Context, spec ck.TopicSpecification, dryRun bool) error {
	results, err := s.admin.CreateTopics(ctx, []ck.TopicSpecification{spec}, ck.SetAdminValidateOnly(dryRun))
	if err != nil {
		return err
	}
	for _, r := range results {
		if code := r.Error.Code(); code != ck.ErrNoError && code != ck.ErrTopicAlreadyExists {
			return r.Error
		}
	}
	return nil
}

// partitions returns how many partitions the topic has, once each has a leader
// and librdkafka knows it.
func (s *Sink) partitions(ctx context.Context, name string) (int32, error) {
	var count int32
	started := time.Now()
	err := s.insist(ctx, func(context.Context) error {
		metadata, err := s.producer.GetMetadata(&name, false, int(metadataTry.Milliseconds()))
		if err != nil {
			return err
		}
		topic := metadata.Topics[name]
		if code := topic.Error.Code(); code != ck.ErrNoError {
			if isUnknownTopic(topic.Error) && time.Since(started) < settle {
				return transientError{topic.Error} // a new topic is not known everywhere at once
			}
			return topic.Error
		}
		for _, p := range topic.Partitions {
			if p.Leader < 0 {
				return transientError{fmt.Errorf("partition %d of topic %s has no leader", p.ID, name)}
			}
		}
		count = int32(len(topic.Partitions))
		if count == 0 {
			return transientError{fmt.Errorf("topic %s has no partitions yet", name)}
		}
		return nil
	})
	if err != nil {
		return 0, s.topicFault(name, err)
	}
	return count, nil
}

// transientError is a state that passes by itself.
type transientError struct{ err error }

func (e transientError) Error() string { return e.err.Error() }
func (e transientError) Unwrap() error { return e.err }

// insist repeats try until it succeeds, fails for good, or ctx ends. Like
// Publish, it waits while Kafka is away, and says so.
func (s *Sink) insist(ctx context.Context, try func(context.Context) error) error {
	pause := 20 * time.Millisecond
	for limit := adminTry; ; limit = min(2*limit, adminTryMax) {
		bounded, cancel := context.WithTimeout(ctx, limit)
		err := try(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("asking Kafka for a topic: %w", context.Cause(ctx))
		case err == nil:
			s.window.setTrouble(nil)
			s.stall.since = time.Now()
			s.moving()
			return nil
		case !isTransient(err):
			return err
		}
		if failed := s.window.failure(); failed != nil {
			return failed
		}
		if s.window.troubled() == nil {
			s.window.setTrouble(err)
		}
		s.look(time.Now())
		select {
		case <-time.After(pause):
			pause = min(2*pause, stallAfter)
		case <-ctx.Done():
		}
	}
}

// isTransient reports whether asking again may help.
func isTransient(err error) bool {
	var wait transientError
	if errors.As(err, &wait) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var e ck.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case ck.ErrTransport, ck.ErrResolve, ck.ErrAllBrokersDown, ck.ErrTimedOut, ck.ErrTimedOutQueue,
		ck.ErrAuthentication, ck.ErrSsl, // librdkafka goes on trying: a broker may be half-way through a change
		ck.ErrRequestTimedOut, ck.ErrLeaderNotAvailable, ck.ErrNotController, ck.ErrNetworkException,
		ck.ErrBrokerNotAvailable, ck.ErrCoordinatorNotAvailable, ck.ErrThrottlingQuotaExceeded:
		return true
	default:
		return false
	}
}

func isUnknownTopic(err error) bool {
	return isCode(err, ck.ErrUnknownTopicOrPart) || isCode(err, ck.ErrUnknownTopic) || isCode(err, ck.ErrUnknownPartition)
}

func isCode(err error, code ck.ErrorCode) bool {
	var e ck.Error
	return errors.As(err, &e) && e.Code() == code
}
