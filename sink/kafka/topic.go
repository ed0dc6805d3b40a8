package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
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

// topic returns librdkafka's handle of a topic. At the first sight of a topic
// it makes sure that it exists.
func (s *Sink) topic(ctx context.Context, name string) (*rdkafka.Topic, error) {
	if s.last != nil && s.last.Name() == name {
		return s.last, nil
	}
	known, ok := s.topics[name]
	if !ok {
		var err error
		if known, err = s.ensure(ctx, name); err != nil {
			return nil, err
		}
		s.topics[name] = known
	}
	s.last = known
	return known, nil
}

// ensure returns once the topic exists and librdkafka knows its partitions:
// from then on it places records while they are handed over, so records for
// one partition and records by key keep their order.
func (s *Sink) ensure(ctx context.Context, name string) (*rdkafka.Topic, error) {
	err := s.insist(ctx, func(ctx context.Context) error {
		_, err := s.describe(ctx, name)
		return err
	})
	if isUnknownTopic(err) {
		if !s.cfg.Topics.Create {
			return nil, s.missingFault(name, err)
		}
		err = s.insist(ctx, func(ctx context.Context) error { return s.create(ctx, name) })
	}
	if err != nil {
		return nil, s.topicFault(name, err)
	}
	// Not earlier: librdkafka would begin to look for a topic that is not there.
	topic, err := s.producer.Topic(name)
	if err != nil {
		return nil, s.topicFault(name, err)
	}
	_, err = s.partitions(ctx, topic)
	return topic, err
}

// describe asks for the topic without letting a broker create it.
func (s *Sink) describe(ctx context.Context, name string) (ck.TopicDescription, error) {
	result, err := s.admin.DescribeTopics(ctx, ck.NewTopicCollectionOfTopicNames([]string{name}),
		ck.SetAdminOptionIncludeAuthorizedOperations(true), patience(ctx))
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

// patience ends a question with ctx in librdkafka as well, which would go on for a minute beside those that follow.
func patience(ctx context.Context) ck.AdminOptionRequestTimeout {
	limit := adminTryMax
	if until, ok := ctx.Deadline(); ok {
		limit = max(time.Millisecond, time.Until(until))
	}
	return ck.SetAdminRequestTimeout(limit)
}

// partitions returns how many partitions the topic has, once each has a leader
// and librdkafka knows it.
func (s *Sink) partitions(ctx context.Context, topic *rdkafka.Topic) (int32, error) {
	var count int32
	started := time.Now()
	err := s.insist(ctx, func(context.Context) error {
		found, leaderless, err := s.producer.Partitions(topic, metadataTry)
		switch {
		case isUnknownTopic(err) && time.Since(started) < settle:
			return transientError{err} // a new topic is not known everywhere at once
		case err != nil:
			return err
		case leaderless > 0:
			return transientError{fmt.Errorf("%s of topic %s without a leader", counted(int(leaderless), "partition"), topic.Name())}
		case found == 0:
			return transientError{fmt.Errorf("topic %s has no partitions yet", topic.Name())}
		}
		count = found
		return nil
	})
	if err != nil {
		return 0, s.topicFault(topic.Name(), err)
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
	limit, pause := adminTry, 20*time.Millisecond
	for {
		bounded, cancel := context.WithTimeout(ctx, limit)
		err := try(bounded)
		cancel()
		limit = min(2*limit, adminTryMax)
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
		ck.ErrBrokerNotAvailable, ck.ErrCoordinatorNotAvailable, ck.ErrThrottlingQuotaExceeded,
		ck.ErrNotLeaderForPartition, ck.ErrUnknownLeaderEpoch, ck.ErrFencedLeaderEpoch, ck.ErrOffsetNotAvailable: // a partition's leader moves
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
