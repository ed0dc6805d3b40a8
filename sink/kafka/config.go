package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a Topics leaves out.
const (
	DefaultPartitions  = 12
	DefaultReplication = -1
)

// Config is what the file says under kafka.
type Config struct {
	Brokers    []string
	Properties map[string]string // any librdkafka property that does not carry our guarantees
	Topics     Topics
}

// Topics says how topics come to be.
type Topics struct {
	Create      bool              // create what is missing; else a missing topic stops the pipeline
	Partitions  int               // of topics that we create; 0: DefaultPartitions
	Replication int               // of topics that we create; -1 and 0: the broker's default
	Config      map[string]string // further topic settings of topics that we create
	Delay       time.Duration     // the longest of the file: topics that we create keep their messages so much longer; 0: none
}

// Refused returns why a librdkafka property cannot be set, or "" if it can.
func Refused(property string) string {
	switch property {
	case "bootstrap.servers", "metadata.broker.list":
		return "the brokers are listed under kafka.brokers"
	case "acks", "request.required.acks", "enable.idempotence", "enable.gapless.guarantee",
		"max.in.flight", "max.in.flight.requests.per.connection", "queuing.strategy":
		return "nothing is lost and order is kept only with acks=all and an idempotent producer"
	case "message.timeout.ms", "delivery.timeout.ms", "retries", "message.send.max.retries":
		return "a message is never given up: it waits until Kafka takes it"
	case "partitioner":
		return "every client must find a key on the same partition: murmur2_random"
	case "transactional.id":
		return "transactions are not used"
	case "allow.auto.create.topics":
		return "topics are created as kafka.topics says, never by a broker's default"
	case "queue.buffering.max.messages", "queue.buffering.max.kbytes":
		return "what is in flight is bounded by the program"
	case "delivery.report.only.error", "dr_cb", "dr_msg_cb", "log.queue", "log_level":
		return "the program needs every delivery report and every log line"
	case "auto.offset.reset":
		return "an offset out of range is reported, never jumped over"
	}
	for _, prefix := range []string{"go.", "group.", "enable.auto."} {
		if strings.HasPrefix(property, prefix) {
			return "the program sets " + prefix + "* itself"
		}
	}
	return ""
}

// Validate returns everything that is wrong with the settings, joined.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka.brokers: got none, want at least one host:port"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Properties)) {
		if why := Refused(name); why != "" {
			errs = append(errs, fmt.Errorf("kafka.config.%s: cannot be set: %s", name, why))
		}
	}
	if c.Topics.Partitions < 0 {
		errs = append(errs, fmt.Errorf("kafka.topics.partitions: got %d, want at least 1", c.Topics.Partitions))
	}
	if c.Topics.Replication < -1 {
		errs = append(errs, fmt.Errorf("kafka.topics.replication: got %d, want -1 (the broker's default) or more", c.Topics.Replication))
	}
	return errors.Join(errs...)
}

func (c Config) brokers() string { return strings.Join(c.Brokers, ",") }

func (c Config) partitions() int {
	if c.Topics.Partitions == 0 {
		return DefaultPartitions
	}
	return c.Topics.Partitions
}

func (c Config) replication() int {
	if c.Topics.Replication == 0 {
		return DefaultReplication
	}
	return c.Topics.Replication
}

// producer returns librdkafka's settings for a sink that holds at most inFlight bytes.
func (c Config) producer(inFlight int64) map[string]string {
	m := map[string]string{
		"client.id": "kafkasync",
		// Publish flushes when it has handed all of a batch over, so nothing waits for so long. Without it the
		// batch's first records go out in requests of their own, and a broker pays by the request.
		"linger.ms": "5",
		// Its default, 10 s, would be added to every outage of Kafka.
		"reconnect.backoff.max.ms": "1000",
		// A connection that a broker closes because it was idle is no news.
		"log.connection.close": "false",
		// Telemetry for brokers that ask for it: nobody here needs it, and librdkafka logs a line about it at each start.
		"enable.metrics.push": "false",
	}
	maps.Copy(m, c.Properties)
	maps.Copy(m, map[string]string{
		"bootstrap.servers":        c.brokers(),
		"acks":                     "all",
		"enable.idempotence":       "true",
		"message.timeout.ms":       "0", // never give up
		"allow.auto.create.topics": "false",
		// A net under our own accounting, which counts overhead as well and so stops earlier.
		"queue.buffering.max.kbytes":   strconv.FormatInt(max(1, 2*inFlight/1024), 10),
		"queue.buffering.max.messages": strconv.FormatInt(max(1, inFlight/512), 10),
	})
	return m
}
