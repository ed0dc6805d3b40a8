package delayer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

func isCode(err error, codes ...ck.ErrorCode) bool {
	var e ck.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code())
}

// isOutOfRange reports that the offset to read from is not there.
func isOutOfRange(err error) bool {
	return isCode(err, ck.ErrAutoOffsetReset, ck.ErrOffsetOutOfRange, ck.ErrNoOffset)
}

// isFenced reports that the group has gone on without this member.
func isFenced(err error) bool {
	return isCode(err, ck.ErrIllegalGeneration, ck.ErrUnknownMemberID, ck.ErrFencedInstanceID, ck.ErrFenced)
}

// isPassing reports what passes by itself, while librdkafka goes on trying.
func isPassing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || isCode(err,
		ck.ErrTransport, ck.ErrResolve, ck.ErrAllBrokersDown, ck.ErrTimedOut, ck.ErrTimedOutQueue, ck.ErrWaitCoord,
		ck.ErrState, ck.ErrInProgress, ck.ErrPrevInProgress, ck.ErrRequestTimedOut, ck.ErrNetworkException,
		ck.ErrRebalanceInProgress, ck.ErrCoordinatorLoadInProgress, ck.ErrCoordinatorNotAvailable, ck.ErrNotCoordinator,
		ck.ErrLeaderNotAvailable, ck.ErrNotLeaderForPartition, ck.ErrBrokerNotAvailable, ck.ErrReplicaNotAvailable,
		ck.ErrUnknownTopicOrPart, ck.ErrUnknownTopic, ck.ErrUnknownTopicID, ck.ErrUnknownPartition,
		ck.ErrFencedLeaderEpoch, ck.ErrUnknownLeaderEpoch, ck.ErrOffsetNotAvailable, ck.ErrKafkaStorageError)
}

// isUnreachable reports that no broker has answered.
func isUnreachable(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) ||
		isCode(err, ck.ErrTransport, ck.ErrAllBrokersDown, ck.ErrResolve, ck.ErrTimedOut)
}

// explain turns what Kafka says into what an operator reads. What it does not know stays as it is.
func (c Config) explain(err error) error {
	brokers, group := strings.Join(c.Brokers, ","), GroupOf(c.Name, c.Delay)
	fault := &kafkasync.Fault{Class: kafkasync.Wait, Err: err}
	switch {
	case isCode(err, ck.ErrGroupAuthorizationFailed):
		fault.What = fmt.Sprintf("Kafka does not allow us the consumer group %s", group)
		fault.Fix = fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal 'User:%s' --group %s-delayer- "+
			"--resource-pattern-type prefixed --operation Read", brokers, c.principal(), c.Name)
	case isCode(err, ck.ErrTopicAuthorizationFailed):
		fault.What = "Kafka does not allow us to read a topic whose messages have the delay " + c.Delay.String()
		fault.Fix = fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal 'User:%s' --topic TOPIC "+
			"--operation Describe --operation Read", brokers, c.principal())
	case isUnreachable(err):
		fault.What = fmt.Sprintf("Kafka at %s is unreachable", brokers)
		fault.Fix = "start Kafka, or correct kafka.brokers, or let the connection through the firewall"
	default:
		return err
	}
	fault.Risk = "delay messages come late; none is lost while the topics keep their messages"
	return fault
}

func (c Config) principal() string {
	if user := c.Properties["sasl.username"]; user != "" {
		return user
	}
	return "<our principal>"
}
