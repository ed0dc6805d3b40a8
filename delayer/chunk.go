package delayer

import (
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// held is a message that waits until its delay has passed.
type held struct {
	kafkasync.Message

	written  int64 // the record's timestamp, milliseconds since 1970, at most never
	appended bool  // which the broker set
	walled   bool  // a truncate lies between it and the one before: nothing collapses across
}

// never is the timestamp of a record that has none: only when it was seen counts then. A
// delay can be added to it.
const never = 1 << 60

// chunk is what was taken from a partition at once: the messages that carry our
// delay, in order, and where the taking ended. Their bytes are the chunk's.
type chunk struct {
	records rdkafka.Records
	held    []held
	seen    int64 // when it had been taken, by this node's clock in milliseconds since 1970
	next    int64 // offset behind the last record
	newest  int64 // timestamp of the last record that has one; 0: none has

	headers []kafkasync.Header // of all messages' Extra
	walled  bool               // the next message follows a truncate
}

// reset empties the chunk. What it takes next follows a truncate, or does not.
func (c *chunk) reset(walled bool) {
	clear(c.held) // they keep the texts of positions alive
	clear(c.headers)
	c.held, c.headers = c.held[:0], c.headers[:0]
	c.newest, c.walled = 0, walled
}

// record is a record of a topic as it was read. Its bytes are those of the chunk that it is taken into.
type record struct {
	offset   int64
	written  time.Time // zero: it has none
	appended bool
	key      []byte
	value    []byte
	headers  []header
}

type header struct{ name, value []byte }
