package kafka_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

// find returns the finding with an id, and whether there is one.
func find(findings []kafkasync.Finding, id string) (kafkasync.Finding, bool) {
	i := slices.IndexFunc(findings, func(f kafkasync.Finding) bool { return f.ID == id })
	if i < 0 {
		return kafkasync.Finding{}, false
	}
	return findings[i], true
}

func TestCheckLooksAtTopicsThatExist(t *testing.T) {
	const minute = time.Minute
	tests := []struct {
		name     string
		settings map[string]string
		delay    time.Duration
		id       string
		severity kafkasync.Severity // "": no such finding
		text     string
	}{
		{"one broker", nil, 5 * minute, "K03", kafkasync.SeverityWarning, "only broker"},
		{"compacted, with a delay", map[string]string{"cleanup.policy": "compact"}, 5 * minute, "K04", kafkasync.SeverityError, "cleanup.policy=delete"},
		{"compacted and deleted, with a delay", map[string]string{"cleanup.policy": "compact,delete"}, 5 * minute, "K04", kafkasync.SeverityError, "delay: 0"},
		{"compacted, without a delay", map[string]string{"cleanup.policy": "compact"}, 0, "K04", "", ""},
		{"kept for a week", map[string]string{"retention.ms": "604800000"}, 5 * minute, "K05", "", ""},
		{"kept for ever", map[string]string{"retention.ms": "-1"}, 5 * minute, "K05", "", ""},
		{"kept for less than a day", map[string]string{"retention.ms": "3600000"}, 5 * minute, "K05", kafkasync.SeverityWarning, "down for more than 55m0s"},
		{"kept for less than the delay", map[string]string{"retention.ms": "60000"}, 5 * minute, "K05", kafkasync.SeverityError, "retention.ms=86700000"},
		{"kept for less, without a delay", map[string]string{"retention.ms": "60000"}, 0, "K05", "", ""},
		{"cut by size", map[string]string{"retention.bytes": "1000000"}, 5 * minute, "K05", kafkasync.SeverityWarning, "retention.bytes=-1"},
		{"small records only", map[string]string{"max.message.bytes": "100000"}, 5 * minute, "K08", kafkasync.SeverityError, "batch.size: 100000"},
		{"records as large as ours", nil, 5 * minute, "K08", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			topic := devtest.Topic(t)
			createTopic(t, topic, 2, test.settings)
			findings := kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: topic, Delay: test.delay}})
			if got, _ := find(findings, "K01"); !strings.HasSuffix(got.What, " answers: 1 broker") {
				t.Errorf("K01: got %q, want the number of brokers", got.What)
			}
			for _, id := range []string{"K01", "K02"} {
				if got, _ := find(findings, id); got.Severity != kafkasync.SeverityOK {
					t.Errorf("%s: got %+v, want ok", id, got)
				}
			}
			got, found := find(findings, test.id)
			if !found && test.severity != "" || got.Severity != test.severity {
				t.Errorf("%s: got %+v, want severity %q", test.id, got, test.severity)
			}
			if text := got.What + got.Why + got.Fix; !strings.Contains(text, test.text) {
				t.Errorf("%s: got %q, want %q in it", test.id, text, test.text)
			}
		})
	}
}

func TestCheckOfAMissingTopicDoesNotCreateIt(t *testing.T) {
	topic := devtest.Topic(t)
	cfg := settings(t)
	got, _ := find(kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: topic}}), "K02")
	if got.Severity != kafkasync.SeverityOK || !strings.Contains(got.What, "will be created with 4 partitions") {
		t.Errorf("create: true: got %+v, want that it will be created", got)
	}
	cfg.Topics.Replication = 7
	got, _ = find(kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: topic}}), "K02")
	if got.Severity != kafkasync.SeverityError || !strings.Contains(got.What, "7 replicas") {
		t.Errorf("more replicas than brokers: got %+v, want an error", got)
	}
	cfg.Topics.Create = false
	got, _ = find(kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: topic}}), "K02")
	if got.Severity != kafkasync.SeverityError || !strings.Contains(got.Fix, "--create --topic "+topic) {
		t.Errorf("create: false: got %+v, want an error with the command", got)
	}
	if exists(t, admin(t), topic) {
		t.Error("the check has created the topic")
	}
}

func TestCheckOfAnUnreachableKafkaSaysSoOnce(t *testing.T) {
	cfg := kafka.Config{Brokers: []string{silent(t)}}
	findings := kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: "a"}, {Name: "b"}})
	if len(findings) != 1 || findings[0].ID != "K01" || findings[0].Severity != kafkasync.SeverityError ||
		!strings.Contains(findings[0].What, cfg.Brokers[0]) || !strings.Contains(findings[0].Fix, "kafka.brokers") {
		t.Errorf("got %+v, want one error K01 that names the address, and what to look at", findings)
	}
}

func TestCheckOfManyTopicsAsksForEach(t *testing.T) {
	a, b := devtest.Topic(t), devtest.Topic(t)
	createTopic(t, a, 1, map[string]string{"cleanup.policy": "compact"})
	createTopic(t, b, 1, nil)
	findings := kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: a, Delay: time.Minute}, {Name: b, Delay: time.Minute}})
	var compacted int
	for _, f := range findings {
		if f.ID == "K04" {
			compacted++
		}
	}
	if compacted != 1 {
		t.Errorf("got %d findings K04, want 1", compacted)
	}
	if _, err := admin(t).DeleteTopics(t.Context(), []string{a, b}, ck.SetAdminOperationTimeout(time.Second)); err != nil {
		t.Error(err)
	}
}
