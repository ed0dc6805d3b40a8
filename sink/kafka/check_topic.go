package kafka

import (
	"fmt"
	"strconv"
	"strings"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// defaultBatch is librdkafka's batch.size.
const defaultBatch = 1000000

func (s *Sink) checkReplicas(t Topic, described ck.TopicDescription, settings map[string]string, brokers int) []kafkasync.Finding {
	replicas := brokers
	for _, p := range described.Partitions {
		replicas = min(replicas, len(p.Replicas))
	}
	inSync, _ := strconv.Atoi(settings["min.insync.replicas"]) // not a number: 0, which is said as it is
	warn := func(what, why, fix string) []kafkasync.Finding {
		return []kafkasync.Finding{{ID: "K03", Severity: kafkasync.SeverityWarning, What: what, Why: why, Fix: fix}}
	}
	switch {
	case inSync > replicas:
		return []kafkasync.Finding{{
			ID: "K03", Severity: kafkasync.SeverityError,
			What: fmt.Sprintf("the topic %s has min.insync.replicas=%d with %s", t.Name, inSync, counted(replicas, "replica")),
			Why:  "Kafka takes no message for it, and the pipeline would wait",
			Fix:  s.alterCommand(t.Name, fmt.Sprintf("min.insync.replicas=%d", max(1, replicas-1))),
		}}
	case replicas == 1 && brokers == 1:
		return warn(fmt.Sprintf("the topic %s is on the only broker", t.Name),
			"what it holds is lost with that broker's disk", "run three brokers in production")
	case replicas < min(3, brokers):
		return warn(fmt.Sprintf("the topic %s has %s, on %d brokers", t.Name, counted(replicas, "replica"), brokers),
			"messages may be lost with the disks of that many brokers",
			"raise its replication with kafka-reassign-partitions.sh, and set kafka.topics.replication: 3 for new ones")
	case inSync < 2:
		return warn(fmt.Sprintf("the topic %s has min.insync.replicas=%d", t.Name, inSync),
			"a message may be acknowledged by one broker alone, and be lost with it", s.alterCommand(t.Name, "min.insync.replicas=2"))
	case inSync == replicas:
		return warn(fmt.Sprintf("the topic %s has min.insync.replicas=%d with %s", t.Name, inSync, counted(replicas, "replica")),
			"publishing waits whenever one broker is down", s.alterCommand(t.Name, fmt.Sprintf("min.insync.replicas=%d", replicas-1)))
	}
	return nil
}

// checkCompaction looks at what compaction does to delay messages and to rows
// that are deleted.
func (s *Sink) checkCompaction(t Topic, settings map[string]string) []kafkasync.Finding {
	policy := settings[cleanupPolicy]
	compacted := strings.Contains(policy, "compact")
	found := kafkasync.Finding{ID: "K04", Severity: kafkasync.SeverityWarning}
	switch {
	case t.Delay > 0 && t.Tombstones:
		found.Severity = kafkasync.SeverityError
		found.What = fmt.Sprintf("one rule sends tombstones to the topic %s, and another has a delay", t.Name)
		found.Why = "a delay message that follows the tombstone brings the deleted key back"
		found.Fix = "give one of the rules another topic"
	case t.Delay > 0 && compacted:
		found.Severity = kafkasync.SeverityError
		found.What = fmt.Sprintf("the topic %s is compacted (cleanup.policy=%s), and its rule has a delay", t.Name, policy)
		found.Why = "compaction removes messages before their delay has passed, and a delay message revives a deleted key"
		found.Fix = "set delay: 0 in the rule, or " + s.alterCommand(t.Name, "cleanup.policy=delete")
	case t.Tombstones && !compacted:
		found.What = fmt.Sprintf("a rule sends tombstones to the topic %s, which is not compacted (cleanup.policy=%s)", t.Name, policy)
		found.Why = "only compaction removes what a tombstone is about; here it is one more record for each delete"
		found.Fix = "set tombstones: false in the rule, or " + s.alterCommand(t.Name, "cleanup.policy=compact")
	case policy == "compact" && !t.Tombstones:
		found.What = fmt.Sprintf("the topic %s is compacted, and no rule sends tombstones to it", t.Name)
		found.Why = "the last message of each deleted row stays for ever"
		found.Fix = "set tombstones: true in the rule, or " + s.alterCommand(t.Name, "cleanup.policy=delete")
	default:
		return nil
	}
	return []kafkasync.Finding{found}
}

// checkClock looks at whose clock a delay is counted by.
func (s *Sink) checkClock(t Topic, settings map[string]string) []kafkasync.Finding {
	if t.Delay == 0 || settings[timestampType] == "LogAppendTime" {
		return nil
	}
	return []kafkasync.Finding{{
		ID: "K06", Severity: kafkasync.SeverityWarning,
		What: fmt.Sprintf("the topic %s has %s=%s", t.Name, timestampType, settings[timestampType]),
		Why: "its records carry the clock of the node that wrote them: where that is behind, a delay message is re-sent too early, and where it is " +
			"ahead, too late; the delayer can only take the later of its own and the brokers' clock",
		Fix: s.alterCommand(t.Name, timestampType+"=LogAppendTime"),
	}}
}

// checkPartitions compares the topic with what the file says of new ones. That
// they differ is no problem, only not what one may expect.
func (s *Sink) checkPartitions(t Topic, partitions int) []kafkasync.Finding {
	wanted := s.cfg.Topics.Partitions
	if wanted == 0 || wanted == partitions {
		return nil
	}
	found := kafkasync.Finding{
		ID: "K07", Severity: kafkasync.SeverityOK,
		What: fmt.Sprintf("the topic %s has %s; kafka.topics.partitions: %d is for topics that are created",
			t.Name, counted(partitions, "partition"), wanted),
	}
	if partitions < wanted {
		found.Why = "more partitions let more consumers share the work; adding them moves keys, so messages of a row may come out of order once (seq tells)"
		found.Fix = fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --alter --topic %s --partitions %d", s.cfg.brokers(), t.Name, wanted)
	}
	return []kafkasync.Finding{found}
}

func (s *Sink) checkSize(t Topic, settings map[string]string) []kafkasync.Finding {
	batch := int64(defaultBatch)
	if set, err := strconv.ParseInt(s.cfg.Properties["batch.size"], 10, 64); err == nil {
		batch = set
	}
	limit, err := strconv.ParseInt(settings["max.message.bytes"], 10, 64)
	if err != nil || limit >= batch {
		return nil
	}
	return []kafkasync.Finding{{
		ID: "K08", Severity: kafkasync.SeverityError,
		What: fmt.Sprintf("the topic %s takes batches up to %d bytes, and ours have up to %d", t.Name, limit, batch),
		Why:  "the pipeline would stop at the first bulk change",
		Fix:  fmt.Sprintf("set batch.size: %d under kafka.config, or %s", limit, s.alterCommand(t.Name, "max.message.bytes=1048588")),
	}}
}

func (s *Sink) alterCommand(name, setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --topic %s --add-config %s", s.cfg.brokers(), name, setting)
}
