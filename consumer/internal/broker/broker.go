// Package broker is what package consumer needs of Kafka: a membership in a group, the records of each
// partition, and what is known of partitions. Kafka is one, and consumertest has another one in memory: the same
// consumer runs on both.
package broker

import (
	"context"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// Broker opens memberships.
type Broker interface {
	Join(ctx context.Context) (Group, error)
	// OpenSender returns who writes to a topic, which must be there.
	OpenSender(ctx context.Context, topic string) (Sender, error)
}

// Sender writes to one topic. Any goroutine may send, also after Close: then it is an error.
type Sender interface {
	// Send returns nil once all letters are acknowledged. On an error some of them may be.
	Send(ctx context.Context, letters []Letter) error
	Close()
}

// Letter is a record on its way to a topic.
type Letter struct {
	Key, Value []byte
	Headers    []kafkasync.Header
}

// Group is a membership in a consumer group. All but Wake is for one goroutine.
type Group interface {
	Membership
	Holder
	Offsets
	// Wake makes the Poll that is under way, or else the next one, return. Any goroutine may call it.
	Wake()
	// Close leaves the group. All feeds must have been closed.
	Close()
}

// Membership is what happens to a member.
type Membership interface {
	Subscribe(topics []string) error
	// Poll waits for what happens next, as long as limit says: an rdkafka.Assigned or rdkafka.Revoked, which want an
	// answer, an rdkafka.Committed, or an error that is worth showing; nil if there was nothing. The second
	// result is an error that ends the membership.
	Poll(limit time.Duration) (event any, err error)
	// Size is how many partitions the membership is made for: what is fetched ahead of each follows from it.
	Size() int
}

// Holder is what a member does with its partitions.
type Holder interface {
	// Assign answers an Assigned: the partitions in the order of places, read from their offsets on.
	Assign(places []rdkafka.Place) ([]Feed, error)
	// Unassign answers a Revoked, once the partitions' feeds have been closed.
	Unassign(places []rdkafka.Place) error
	// Commit stores offsets with their texts, and fails if the group has gone on without this member. Without wait
	// it returns at once, and Poll tells later.
	Commit(places []rdkafka.Place, wait bool) error
}

// Feed is the records of one partition, in order. One goroutine at a time uses it, beside the one of the group.
type Feed interface {
	// Take calls each with what has arrived, without waiting: at most most records, of which the first always fits and
	// all together take about size bytes. What a record points to is valid during the call.
	Take(most, size int, each func(*Record)) error
	Close()
}

// Record is a record as it lies in a partition.
type Record struct {
	Offset     int64
	Key, Value []byte // nil: there is none
	Headers    []Header
}

// Header is a header of a record.
type Header struct{ Name, Value []byte }

// Offsets knows what the brokers know of partitions.
type Offsets interface {
	// Survey returns every partition of the topics that exist.
	Survey(ctx context.Context, topics []string) ([]Partition, error)
	// At returns the offset of the first record of a partition whose timestamp is not before t, or the partition's end.
	At(ctx context.Context, topic string, partition int32, t time.Time) (int64, error)
}

// Partition is what the brokers know of a partition and of the group's place in it.
type Partition = rdkafka.Standing
