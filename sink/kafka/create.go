package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// outage is how long the delayer may be away and still find what it is to
// re-send, on topics that we create.
const outage = 7 * 24 * time.Hour

// Settings of topics.
const (
	cleanupPolicy  = "cleanup.policy"
	retentionBytes = "retention.bytes"
	retentionTime  = "retention.ms"
	timestampType  = "message.timestamp.type"
)

// own returns the settings that we give a new topic and the file does not:
// the brokers' time in its records, so that the delayer has one clock, and
// messages that outlive the longest delay, however many follow them.
func (c Config) own() map[string]string {
	own := map[string]string{timestampType: "LogAppendTime"}
	// Of a compacted topic retention is another matter: it would be ours that deletes, or keeps, rows.
	if c.Topics.Delay > 0 && !strings.Contains(c.Topics.Config[cleanupPolicy], "compact") {
		own[retentionTime] = strconv.FormatInt((c.Topics.Delay + outage).Milliseconds(), 10)
		own[retentionBytes] = "-1"
	}
	for name := range c.Topics.Config {
		delete(own, name)
	}
	return own
}

// leftOut is what each attempt to create a topic does without, because hosted
// Kafkas refuse settings, and do not say which: as few as possible, and first
// those that are missed least. Without the brokers' time the delayer takes the
// later of two clocks, without a bound of its own a topic has the brokers',
// which as a rule is a week and no bytes.
func leftOut() [][]string {
	return [][]string{
		nil,
		{timestampType},
		{retentionBytes},
		{retentionTime},
		{timestampType, retentionBytes},
		{timestampType, retentionTime},
		{retentionBytes, retentionTime},
		{timestampType, retentionBytes, retentionTime},
	}
}

// create makes the topic. Another node may create it at the same time. What the
// file asks for is never left out.
func (s *Sink) create(ctx context.Context, name string) error {
	var refused error
	for _, names := range leftOut() {
		given, left := s.cfg.own(), make(map[string]string)
		for _, setting := range names {
			if value, ok := given[setting]; ok {
				left[setting] = value
				delete(given, setting)
			}
		}
		if len(left) < len(names) {
			continue // that was an earlier attempt
		}
		err := s.tryCreate(ctx, s.specification(name, given), false)
		if isCode(err, ck.ErrInvalidConfig) || isCode(err, ck.ErrPolicyViolation) {
			refused = err
			continue
		}
		if err == nil && len(left) > 0 {
			s.log.Warn("topic created without settings of ours, which were refused",
				"topic", name, "left_out", strings.Join(assignments(left), " "), "error", refused)
		}
		return err
	}
	return refused
}

// specification is the topic as we create it, with those of our own settings that are given.
func (s *Sink) specification(name string, given map[string]string) ck.TopicSpecification {
	settings := make(map[string]string)
	maps.Copy(settings, given)
	maps.Copy(settings, s.cfg.Topics.Config)
	return ck.TopicSpecification{
		Topic: name, NumPartitions: s.cfg.partitions(), ReplicationFactor: s.cfg.replication(), Config: settings,
	}
}

func (s *Sink) tryCreate(ctx context.Context, spec ck.TopicSpecification, dryRun bool) error {
	results, err := s.admin.CreateTopics(ctx, []ck.TopicSpecification{spec}, ck.SetAdminValidateOnly(dryRun), patience(ctx))
	if err != nil {
		return err
	}
	for _, r := range results {
		if code := r.Error.Code(); code != ck.ErrNoError && code != ck.ErrTopicAlreadyExists {
			return r.Error
		}
	}
	return nil
}

// createCommand is what a person runs for a topic as we would create it.
func (s *Sink) createCommand(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d", s.cfg.brokers(), name, s.cfg.partitions())
	if r := s.cfg.replication(); r > 0 {
		fmt.Fprintf(&b, " --replication-factor %d", r)
	}
	for _, setting := range assignments(s.specification(name, s.cfg.own()).Config) {
		b.WriteString(" --config " + setting)
	}
	return b.String()
}

// assignments returns settings as name=value, in order of their names.
func assignments(settings map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		list = append(list, name+"="+settings[name])
	}
	return list
}
