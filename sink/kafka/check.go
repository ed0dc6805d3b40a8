package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

const (
	checkReach = 10 * time.Second
	// spare is how much longer than a delay a topic should keep its records: the outage that the delayer survives.
	spare = 24 * time.Hour
	// defaultBatch is librdkafka's batch.size.
	defaultBatch = 1000000
)

// Topic is what the rules want of a topic.
type Topic struct {
	Name       string
	Delay      time.Duration // the longest of its rules; 0: none
	Tombstones bool
}

// Check looks Kafka and the topics over and changes nothing. Its findings are K01
// (reachable), K02 (topics exist, or can be created, and written to), K03
// (replicas), K04 (compaction), K05 (retention) and K08 (record size).
func Check(ctx context.Context, cfg Config, topics []Topic) []kafkasync.Finding {
	s, err := Open(ctx, cfg, Options{})
	if err != nil {
		return []kafkasync.Finding{finding("K01", err)}
	}
	brokers, findings := s.checkReach(ctx)
	if brokers > 0 {
		for _, t := range topics {
			findings = append(findings, s.checkTopic(ctx, t, brokers)...)
		}
	}
	if err := s.Close(); err != nil {
		findings = append(findings, finding("K01", err))
	}
	return findings
}

// checkReach returns how many brokers there are; 0 if none could be asked.
func (s *Sink) checkReach(ctx context.Context) (int, []kafkasync.Finding) {
	ctx, cancel := context.WithTimeout(ctx, checkReach)
	defer cancel()
	cluster, err := s.admin.DescribeCluster(ctx)
	if err == nil && len(cluster.Nodes) > 0 {
		return len(cluster.Nodes), []kafkasync.Finding{{
			ID: "K01", Severity: kafkasync.SeverityOK,
			What: fmt.Sprintf("Kafka at %s answers: %s", s.cfg.brokers(), counted(len(cluster.Nodes), "broker")),
		}}
	}
	if s.window.troubled() == nil {
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			err = ck.NewError(ck.ErrTimedOut, "no answer", false)
		}
		s.window.setTrouble(err)
	}
	return 0, []kafkasync.Finding{finding("K01", s.silenceFault(checkReach))}
}

func (s *Sink) checkTopic(ctx context.Context, t Topic, brokers int) []kafkasync.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkReach)
	defer cancel()
	described, err := s.describe(ctx, t.Name)
	switch {
	case isUnknownTopic(err):
		return []kafkasync.Finding{s.checkMissing(ctx, t, err)}
	case err != nil:
		return []kafkasync.Finding{finding("K02", s.topicFault(t.Name, err))}
	}
	// Brokers without an authorizer, and old ones, do not list operations.
	if ops := described.AuthorizedOperations; len(ops) > 0 &&
		!slices.Contains(ops, ck.ACLOperationWrite) && !slices.Contains(ops, ck.ACLOperationAll) {
		return []kafkasync.Finding{{
			ID: "K02", Severity: kafkasync.SeverityError, What: fmt.Sprintf("we may not write to the topic %s", t.Name),
			Why: "the pipeline would wait for the grant", Fix: s.grantCommand(t.Name),
		}}
	}
	findings := []kafkasync.Finding{{
		ID: "K02", Severity: kafkasync.SeverityOK,
		What: fmt.Sprintf("the topic %s exists with %s", t.Name, counted(len(described.Partitions), "partition")),
	}}
	settings, err := s.settings(ctx, t.Name)
	if err != nil {
		return append(findings, kafkasync.Finding{
			ID: "K03", Severity: kafkasync.SeverityWarning,
			What: fmt.Sprintf("the settings of the topic %s cannot be read: %s", t.Name, err),
			Why:  "whether it keeps messages safely and long enough is not known",
			Fix: fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal 'User:%s' --topic %s --operation DescribeConfigs",
				s.cfg.brokers(), s.principal(), t.Name),
		})
	}
	findings = append(findings, s.checkReplicas(t, described, settings, brokers)...)
	findings = append(findings, s.checkCompaction(t, settings)...)
	findings = append(findings, s.checkRetention(t, settings)...)
	return append(findings, s.checkSize(t, settings)...)
}

func (s *Sink) checkMissing(ctx context.Context, t Topic, missing error) kafkasync.Finding {
	if !s.cfg.Topics.Create {
		return finding("K02", s.missingFault(t.Name, missing))
	}
	if err := s.tryCreate(ctx, s.specification(t.Name, ""), true); err != nil {
		return finding("K02", s.topicFault(t.Name, err))
	}
	return kafkasync.Finding{
		ID: "K02", Severity: kafkasync.SeverityOK,
		What: fmt.Sprintf("the topic %s does not exist yet and will be created with %s", t.Name, counted(s.cfg.partitions(), "partition")),
	}
}

// settings are those of one topic as they are in force, whoever set them.
func (s *Sink) settings(ctx context.Context, name string) (map[string]string, error) {
	results, err := s.admin.DescribeConfigs(ctx, []ck.ConfigResource{{Type: ck.ResourceTopic, Name: name}})
	if err != nil {
		return nil, err
	}
	settings := make(map[string]string)
	for _, r := range results {
		if r.Error.Code() != ck.ErrNoError {
			return nil, r.Error
		}
		for key, entry := range r.Config {
			settings[key] = entry.Value
		}
	}
	return settings, nil
}

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
	case inSync >= replicas:
		return warn(fmt.Sprintf("the topic %s has min.insync.replicas=%d with %s", t.Name, inSync, counted(replicas, "replica")),
			"publishing waits whenever one broker is down", s.alterCommand(t.Name, fmt.Sprintf("min.insync.replicas=%d", replicas-1)))
	}
	return nil
}

func (s *Sink) checkCompaction(t Topic, settings map[string]string) []kafkasync.Finding {
	if t.Delay == 0 || !strings.Contains(settings["cleanup.policy"], "compact") {
		return nil
	}
	return []kafkasync.Finding{{
		ID: "K04", Severity: kafkasync.SeverityError,
		What: fmt.Sprintf("the topic %s is compacted (cleanup.policy=%s), and its rule has a delay", t.Name, settings["cleanup.policy"]),
		Why:  "compaction removes messages before their delay has passed, and a delay message revives a deleted key",
		Fix:  "set delay: 0 in the rule, or " + s.alterCommand(t.Name, "cleanup.policy=delete"),
	}}
}

func (s *Sink) checkRetention(t Topic, settings map[string]string) []kafkasync.Finding {
	if t.Delay == 0 {
		return nil
	}
	found := kafkasync.Finding{ID: "K05", Severity: kafkasync.SeverityWarning, Fix: s.alterCommand(t.Name,
		fmt.Sprintf("retention.ms=%d", (t.Delay+spare).Milliseconds()))}
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	keeps := time.Duration(ms) * time.Millisecond
	switch {
	case err != nil || ms < 0: // for ever
	case keeps <= t.Delay:
		found.Severity = kafkasync.SeverityError
		found.What = fmt.Sprintf("the topic %s keeps messages for %s, and their delay is %s", t.Name, keeps, t.Delay)
		found.Why = "messages are deleted before their delay messages are sent"
		return []kafkasync.Finding{found}
	case keeps < t.Delay+spare:
		found.What = fmt.Sprintf("the topic %s keeps messages for %s, and their delay is %s", t.Name, keeps, t.Delay)
		found.Why = fmt.Sprintf("delay messages are lost when the delayer is down for more than %s", keeps-t.Delay)
		return []kafkasync.Finding{found}
	}
	if bytes := settings["retention.bytes"]; bytes != "-1" && bytes != "" {
		found.What = fmt.Sprintf("the topic %s is cut at retention.bytes=%s", t.Name, bytes)
		found.Why = "a bulk change may push messages out before their delay messages are sent"
		found.Fix = s.alterCommand(t.Name, "retention.bytes=-1")
		return []kafkasync.Finding{found}
	}
	return nil
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

// finding makes an error that was met while looking into a finding.
func finding(id string, err error) kafkasync.Finding {
	found := kafkasync.Finding{ID: id, Severity: kafkasync.SeverityError, What: err.Error()}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		found.What, found.Why, found.Fix = fault.What, fault.Risk, fault.Fix
		if fault.Err != nil {
			found.What += ": " + fault.Err.Error()
		}
	}
	return found
}

// counted is "1 broker" or "3 brokers".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
