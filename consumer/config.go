package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Config says what a consumer reads, and how. Brokers, Topics and Name must be set.
type Config struct {
	Brokers []string
	Topics  []string
	// Name is the consumer group. Processes with the same name share the partitions; each name
	// reads everything.
	Name string
	// Instance names this process among those of the group, for static membership: a process that comes back under the same one
	// within session.timeout.ms (45 s) finds its partitions waiting. Without it they move at once.
	Instance string
	// Kafka are further properties of librdkafka, such as those for TLS and SASL.
	Kafka map[string]string

	// Start is where a new name begins; by default at the earliest message that is there.
	Start Start
	// OnGap is asked when messages are gone that were not read. nil lets it go on at the earliest message that is
	// there; an error ends Run. Without OnGap the gap itself is that error.
	OnGap func(context.Context, Gap) error

	BatchSize int           // most messages in a batch; 1000
	Memory    int           // about how many bytes all that is read and not done may take; 64 MiB
	RetryMin  time.Duration // pause after the first failure, which doubles with each further one; 100 ms
	RetryMax  time.Duration // and never is longer; 30 s
	// Retries is how often a message that Failed marks is tried again before it goes to the topic DeadLetters; 10. Without such a
	// topic it is tried again for ever. A batch that fails as a whole is tried again for ever.
	Retries     int
	DeadLetters string
	// Drain is how long a handler may go on when its partition is to move, or Run to end; 30 s.
	Drain time.Duration

	Logger *slog.Logger // by default nothing is logged
}

// Start is where a name begins that has read nothing yet.
type Start struct {
	latest bool
	at     time.Time
}

// Earliest begins with the oldest message that is there.
func Earliest() Start { return Start{} }

// Latest begins with what is published after the start.
func Latest() Start { return Start{latest: true} }

// At begins with the first message that was published at t or later.
func At(t time.Time) Start { return Start{at: t} }

// Gap is messages that are gone and were not read.
type Gap struct {
	Topic     string
	Partition int32
	From, To  int64  // offsets: From is the first one, To is behind the last; equal if nobody knows how many
	Cause     string // what happened
}

// sizeOfMessage is what a message takes beside its own bytes.
const sizeOfMessage = 320

// How many bytes of a partition are taken at once: less than leastBatch is not worth a call, more than mostBatch
// brings nothing.
const (
	leastBatch = 16 << 10
	mostBatch  = 1 << 20
)

const (
	leastMemory   = 1 << 20
	defaultMemory = 64 << 20
)

func (c Config) withDefaults() Config {
	if c.BatchSize == 0 {
		c.BatchSize = 1000
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.RetryMin == 0 {
		c.RetryMin = 100 * time.Millisecond
	}
	if c.RetryMax == 0 {
		c.RetryMax = max(30*time.Second, c.RetryMin)
	}
	if c.Retries == 0 {
		c.Retries = 10
	}
	if c.Drain == 0 {
		c.Drain = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// ours are the properties that carry what we promise, and the field that says the same, if there is one.
func ours() map[string]string {
	return map[string]string{
		"bootstrap.servers":             "Brokers",
		"metadata.broker.list":          "Brokers",
		"group.id":                      "Name",
		"group.instance.id":             "Instance",
		"auto.offset.reset":             "Start",
		"queued.min.messages":           "Memory",
		"queued.max.messages.kbytes":    "Memory",
		"fetch.message.max.bytes":       "Memory",
		"fetch.max.bytes":               "Memory",
		"enable.auto.commit":            "",
		"auto.commit.interval.ms":       "",
		"enable.auto.offset.store":      "",
		"enable.partition.eof":          "",
		"partition.assignment.strategy": "",
		"group.protocol":                "",
	}
}

// validate reports all that is wrong at once.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("consumer: "+format, args...)) }
	if c.Name == "" {
		wrong("Name is empty, want the name of the consumer group")
	}
	if len(c.Topics) == 0 || slices.Contains(c.Topics, "") {
		wrong("Topics is %q, want the names of topics", c.Topics)
	}
	for _, t := range c.Topics {
		if strings.HasPrefix(t, "^") {
			wrong("topic %q is a pattern, want a name", t)
		}
	}
	if c.BatchSize < 1 {
		wrong("BatchSize is %d, want at least 1", c.BatchSize)
	}
	if c.Memory < leastMemory {
		wrong("Memory is %d bytes, want at least %d", c.Memory, leastMemory)
	}
	if c.RetryMin < 0 || c.RetryMax < c.RetryMin {
		wrong("RetryMin is %s and RetryMax %s, want 0 < RetryMin <= RetryMax", c.RetryMin, c.RetryMax)
	}
	if c.Retries < 0 {
		wrong("Retries is %d, want at least 1", c.Retries)
	}
	if c.DeadLetters != "" && slices.Contains(c.Topics, c.DeadLetters) {
		wrong("DeadLetters is %s, which is one of Topics: want another topic", c.DeadLetters)
	}
	if c.Drain < 0 {
		wrong("Drain is %s, want a duration above 0", c.Drain)
	}
	reserved := ours()
	for _, name := range slices.Sorted(maps.Keys(c.Kafka)) {
		switch field, is := reserved[name]; {
		case field != "":
			wrong("Kafka sets %s, want it in Config.%s", name, field)
		case is:
			wrong("Kafka sets %s, which carries what this package promises: leave it out", name)
		}
	}
	return errors.Join(errs...)
}
