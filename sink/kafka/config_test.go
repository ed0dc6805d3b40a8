package kafka_test

import (
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/sink/kafka"
)

func TestPropertiesThatCarryOurGuaranteesAreRefused(t *testing.T) {
	for _, name := range []string{
		"acks", "request.required.acks", "enable.idempotence", "message.timeout.ms", "delivery.timeout.ms", "partitioner",
		"transactional.id", "group.id", "group.instance.id", "enable.auto.commit", "enable.auto.offset.store",
		"bootstrap.servers", "metadata.broker.list", "allow.auto.create.topics", "max.in.flight", "retries",
		"queue.buffering.max.kbytes", "go.delivery.reports", "delivery.report.only.error", "auto.offset.reset",
	} {
		cfg := kafka.Config{Brokers: []string{"127.0.0.1:9092"}, Properties: map[string]string{name: "1"}}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "kafka.config."+name) {
			t.Errorf("%s: got %v, want an error that names it", name, err)
		}
	}
}

func TestPropertiesThatAreTheOperatorsPass(t *testing.T) {
	for _, name := range []string{
		"linger.ms", "compression.type", "batch.size", "security.protocol", "ssl.ca.location", "sasl.username", "client.id",
	} {
		if why := kafka.Refused(name); why != "" {
			t.Errorf("%s: got refused because %q, want it to pass", name, why)
		}
	}
}

func TestValidateNamesEverythingAtOnce(t *testing.T) {
	cfg := kafka.Config{
		Properties: map[string]string{"acks": "1", "partitioner": "random"},
		Topics:     kafka.Topics{Partitions: -3, Replication: -2},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("got nil, want an error")
	}
	for _, want := range []string{"kafka.brokers", "kafka.config.acks", "kafka.config.partitioner", "partitions: got -3", "replication: got -2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestMetricsAreNotPushedUnlessTheFileSaysSo(t *testing.T) {
	cfg := kafka.Config{Brokers: []string{"127.0.0.1:9092"}}
	if got := cfg.Producer()["enable.metrics.push"]; got != "false" {
		t.Errorf("by default: got %v, want false", got)
	}
	cfg.Properties = map[string]string{"enable.metrics.push": "true"}
	if got := cfg.Producer()["enable.metrics.push"]; got != "true" {
		t.Errorf("with the property: got %v, want it as it was set", got)
	}
}
