package kafka

import (
	"log/slog"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// cacheTag is the facility of the lines about what brokers say of partitions that librdkafka cannot place yet, as while
	// they have no leader: several a second then, and what waits for a leader says so itself.
	cacheTag = "METADATAUPDATE"
	// pidTag is the facility of the lines about the id of an idempotent producer.
	pidTag = "GETPID"
	// pidPatience is how long these lines may go on before they are news, and how
	// long they must have been away to begin anew.
	pidPatience = 10 * time.Second
)

// journal passes librdkafka's lines on to our log. The watcher owns it.
type journal struct {
	log                 *slog.Logger
	pidFirst, pidLatest time.Time
}

// add passes one line on. librdkafka's errors are our warnings: what needs a
// person is returned as an error, so nothing of it is logged as one.
func (j *journal) add(line ck.LogEvent) {
	const said = "librdkafka"
	args := []any{"tag", line.Tag, "text", line.Message}
	switch {
	case line.Tag == cacheTag, line.Tag == pidTag && j.passing(line.Timestamp):
		j.log.Debug(said, args...)
	case line.Level <= 4: // syslog's warning, error, ...
		j.log.Warn(said, args...)
	case line.Level <= 6:
		j.log.Info(said, args...)
	default:
		j.log.Debug(said, args...)
	}
}

// passing reports whether a line about the producer's id may still be about
// nothing. At a healthy start librdkafka asks for the id over the connection to a
// bootstrap address, drops that connection once it knows the broker by its number,
// and warns "Broker handle destroyed without termination: retrying"; or the broker
// has just started as well, and it warns "Coordinator load in progress". It tries
// twice a second, so what is wrong keeps on warning.
func (j *journal) passing(at time.Time) bool {
	if at.Sub(j.pidLatest) > pidPatience {
		j.pidFirst = at
	}
	j.pidLatest = at
	return at.Sub(j.pidFirst) < pidPatience
}
