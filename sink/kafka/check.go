package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

const (
	checkReach = 10 * time.Second
	// refusedReach is enough for librdkafka to say in its own words that nobody is there.
	refusedReach = time.Second
)

// Topic is what the rules want of a topic.
type Topic struct {
	Name       string
	Delay      time.Duration // the longest of its rules; 0: none
	Tombstones bool
}

// Check looks Kafka and the topics over and changes nothing. Its findings are K01
// (reachable), K02 (topics exist, or can be created, and written to), K03
// (replicas), K04 (compaction), K05 (retention), K06 (whose clock), K07
// (partitions) and K08 (record size).
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
	reach := checkReach
	if refused(ctx, s.cfg.Brokers) {
		reach = refusedReach
	}
	ctx, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	cluster, err := s.admin.DescribeCluster(ctx, patience(ctx))
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
	return 0, []kafkasync.Finding{finding("K01", s.silenceFault(reach))}
}

// refused reports whether each of the addresses says at once that nobody is
// there. One that does not answer yet may only be slow.
func refused(ctx context.Context, brokers []string) bool {
	ctx, cancel := context.WithTimeout(ctx, refusedReach)
	defer cancel()
	answers := make(chan error, len(brokers))
	for _, address := range brokers {
		go func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				_ = conn.Close() // nothing was said
			}
			answers <- err
		}()
	}
	all := true
	for range brokers {
		err := <-answers
		var unknown *net.DNSError
		nobody := errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &unknown) && unknown.IsNotFound
		all = all && nobody
	}
	return all
}

func (s *Sink) checkTopic(ctx context.Context, t Topic, brokers int) []kafkasync.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkReach)
	defer cancel()
	described, err := s.describe(ctx, t.Name)
	switch {
	case isUnknownTopic(err):
		return s.checkMissing(ctx, t, err)
	case err != nil:
		return []kafkasync.Finding{finding("K02", s.topicFault(t.Name, err))}
	}
	if what, why := forbidden(described.AuthorizedOperations, t); what != "" {
		return []kafkasync.Finding{{
			ID: "K02", Severity: kafkasync.SeverityError, What: fmt.Sprintf("we may not %s the topic %s", what, t.Name),
			Why: why, Fix: s.grantCommand(t.Name),
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
	findings = append(findings, s.checkRetention(ctx, t, described, settings)...)
	findings = append(findings, s.checkClock(t, settings)...)
	findings = append(findings, s.checkPartitions(t, len(described.Partitions))...)
	return append(findings, s.checkSize(t, settings)...)
}

// forbidden says what we may not do with a topic, and what would happen; "" if nothing is known to be in the way.
func forbidden(allowed []ck.ACLOperation, t Topic) (what, why string) {
	// Brokers without an authorizer, and old ones, do not list operations.
	may := func(operation ck.ACLOperation) bool {
		return len(allowed) == 0 || slices.Contains(allowed, operation) || slices.Contains(allowed, ck.ACLOperationAll)
	}
	switch {
	case !may(ck.ACLOperationWrite):
		return "write to", "the pipeline would wait for the grant"
	case t.Delay > 0 && !may(ck.ACLOperationRead):
		return "read", "its delay messages would not be sent: they are read from the topic itself"
	}
	return "", ""
}

func (s *Sink) checkMissing(ctx context.Context, t Topic, missing error) []kafkasync.Finding {
	if !s.cfg.Topics.Create {
		return []kafkasync.Finding{finding("K02", s.missingFault(t.Name, missing))}
	}
	if err := s.tryCreate(ctx, s.specification(t.Name, nil), true); err != nil {
		return []kafkasync.Finding{finding("K02", s.topicFault(t.Name, err))}
	}
	findings := []kafkasync.Finding{{
		ID: "K02", Severity: kafkasync.SeverityOK,
		What: fmt.Sprintf("the topic %s does not exist yet and will be created with %s", t.Name, counted(s.cfg.partitions(), "partition")),
	}}
	if short := s.checkTime(t, s.specification(t.Name, s.cfg.own()).Config); t.Delay > 0 && short != nil {
		short.What = fmt.Sprintf("the topic %s would be created with the %s of kafka.topics.config, and its delay is %s", t.Name, retentionTime, t.Delay)
		short.Fix = fmt.Sprintf("take %s out of kafka.topics.config, or set it to %d or more", retentionTime, (t.Delay + spare).Milliseconds())
		findings = append(findings, *short)
	}
	return findings
}

// settings are those of one topic as they are in force, whoever set them.
func (s *Sink) settings(ctx context.Context, name string) (map[string]string, error) {
	results, err := s.admin.DescribeConfigs(ctx, []ck.ConfigResource{{Type: ck.ResourceTopic, Name: name}}, patience(ctx))
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
