package delayer

import (
	"context"
	"time"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// Group is a membership in the consumer group of one delay. All but Wake is for one
// goroutine. Who opened it leaves the group, once all its partitions have been closed.
type Group interface {
	Membership
	Holder
	// Wake makes the Poll that is under way, or else the next one, return. Any goroutine may call it.
	Wake()
}

// Membership is what happens to a member.
type Membership interface {
	// Subscribe names the topics, in the place of those before.
	Subscribe(topics []string) error
	// Poll waits for what happens next, as long as limit says: an rdkafka.Assigned or
	// rdkafka.Revoked, which want an answer, an rdkafka.Committed, or an error that is worth
	// showing; nil if there was nothing. The second result is an error that ends the membership.
	Poll(limit time.Duration) (event any, err error)
}

// Holder is what a member does with its partitions.
type Holder interface {
	// Assign answers an Assigned: the partitions in the order of places, read from their offsets on.
	Assign(places []rdkafka.Place) ([]Feed, error)
	// Unassign answers a Revoked, once the partitions' feeds have been closed.
	Unassign(places []rdkafka.Place) error
	// Commit stores offsets with their texts, and fails if the group has gone on without
	// this member. Without wait it returns at once, and Poll tells later.
	Commit(places []rdkafka.Place, wait bool) error
}

// Feed is the records of one partition, in order.
type Feed interface {
	// Take adds what has arrived to the chunk, which is empty, without waiting: at most
	// most records in about size bytes. It returns how many it took, and what could not be read as strange.
	// An error comes alone: an isOutOfRange once, and nothing after it; an isPassing, and more later.
	Take(c *chunk, d *decoder, most, size int) (taken int, strange, err error)
	Close()
}

// Offsets knows what the brokers know of partitions.
type Offsets interface {
	// Survey returns every partition of the topics that exist.
	Survey(ctx context.Context, topics []string) ([]Partition, error)
	// At returns the offset of the first record of a partition whose timestamp is not before t, or the partition's end.
	At(ctx context.Context, topic string, partition int32, t time.Time) (int64, error)
}

// Partition is what the brokers know of a partition and of the group's place in it.
type Partition = rdkafka.Standing
