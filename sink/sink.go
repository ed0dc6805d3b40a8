// Package sink defines where messages become durable.
//
// It promises that what Publish returned nil for is on disk as Kafka's acks=all
// means it. It never drops, skips or reorders a message to keep going. What a
// Sink must do is defined by the suite in sink/sinktest.
package sink

import (
	"context"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Sink is where messages become durable.
type Sink interface {
	// Publish returns nil once every message is durable. On an error some of
	// them may be durable all the same, and the Sink is of no further use: the caller closes it,
	// and publishes all of them again through a new one. Messages with the same
	// topic and key keep their order. A message with Op Truncated goes to every
	// partition of its topic. One call at a time. The messages are the caller's
	// again once Publish has returned.
	Publish(ctx context.Context, msgs []kafkasync.Message) error
	// Close gives up what is not yet durable and frees the connection.
	Close() error
}

// Preparer is a Sink that can be made ready before the first message.
type Preparer interface {
	// Prepare returns once Kafka answers and the topics exist, creating them
	// where that is wanted. It waits while Kafka is away. Publish does the same for topics that were not named.
	Prepare(ctx context.Context, topics []string) error
}

// Locator is a Sink that can say which topic its messages reach, and where that ends now.
type Locator interface {
	// Locate makes sure that the topic exists, as Publish does, and returns it as
	// a pair with the delay. What is published after it has returned lies at or behind
	// the pair's Ends. It waits while Kafka is away. Not for use beside Publish; after an
	// error the Sink is of no further use.
	Locate(ctx context.Context, topic string, delay time.Duration) (kafkasync.Pair, error)
}
