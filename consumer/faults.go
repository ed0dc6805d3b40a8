package consumer

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
	return isCode(err, ck.ErrIllegalGeneration, ck.ErrUnknownMemberID)
}

// isUsurped reports that another process is in the group under the same instance.
func isUsurped(err error) bool { return isCode(err, ck.ErrFencedInstanceID) }

// isPassing reports what passes by itself: a broker that restarts, a topic that is not there yet.
func isPassing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || isUnreachable(err) || isMissing(err) || isCode(err,
		ck.ErrTimedOutQueue, ck.ErrWaitCoord, ck.ErrState, ck.ErrInProgress, ck.ErrPrevInProgress, ck.ErrRequestTimedOut,
		ck.ErrNetworkException, ck.ErrRebalanceInProgress, ck.ErrCoordinatorLoadInProgress, ck.ErrCoordinatorNotAvailable,
		ck.ErrNotCoordinator, ck.ErrLeaderNotAvailable, ck.ErrNotLeaderForPartition, ck.ErrBrokerNotAvailable,
		ck.ErrReplicaNotAvailable, ck.ErrUnknownPartition, ck.ErrFencedLeaderEpoch, ck.ErrUnknownLeaderEpoch,
		ck.ErrOffsetNotAvailable, ck.ErrKafkaStorageError)
}

// isMissing reports that a topic is not there.
func isMissing(err error) bool {
	return isCode(err, ck.ErrUnknownTopicOrPart, ck.ErrUnknownTopic, ck.ErrUnknownTopicID)
}

// isUnreachable reports that no broker has answered.
func isUnreachable(err error) bool {
	return isCode(err, ck.ErrTransport, ck.ErrAllBrokersDown, ck.ErrResolve, ck.ErrTimedOut)
}

// explain turns what Kafka says into what a person reads. What it does not know stays as it is.
func (c Config) explain(err error) error {
	brokers, user := strings.Join(c.Brokers, ","), c.Kafka["sasl.username"]
	if user == "" {
		user = "<our principal>"
	}
	acl := "kafka-acls.sh --bootstrap-server " + brokers + " --add --allow-principal 'User:" + user + "' "
	fault := &kafkasync.Fault{Class: kafkasync.Wait, Err: err}
	switch {
	case isCode(err, ck.ErrGroupAuthorizationFailed):
		fault.What, fault.Fix = "Kafka does not allow us the consumer group "+c.Name, acl+"--group "+c.Name+" --operation Read"
	case isCode(err, ck.ErrTopicAuthorizationFailed):
		fault.What = "Kafka does not allow us to read one of the topics " + strings.Join(c.Topics, ", ")
		fault.Fix = acl + "--topic TOPIC --operation Describe --operation Read"
	case isUsurped(err):
		fault.Class = kafkasync.Stop
		fault.What = fmt.Sprintf("another process is in the group %s as instance %s", c.Name, c.Instance)
		fault.Fix = "give each process its own Config.Instance, and start it again only when it has ended"
	case isMissing(err):
		fault.What = "one of the topics " + strings.Join(c.Topics, ", ") + " is not there"
		fault.Fix = "nothing, if kafkasync is about to create it; else correct Config.Topics"
	case isUnreachable(err):
		fault.What = fmt.Sprintf("Kafka at %s is unreachable", brokers)
		fault.Fix = "start Kafka, or correct Config.Brokers, or let the connection through the firewall"
	default:
		return err
	}
	return fault
}
