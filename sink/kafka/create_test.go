package kafka_test

import (
	"bytes"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

// inForce returns a topic's settings that are its own.
func inForce(t *testing.T, topic string) map[string]string {
	t.Helper()
	results, err := admin(t).DescribeConfigs(t.Context(), []ck.ConfigResource{{Type: ck.ResourceTopic, Name: topic}})
	if err != nil || results[0].Error.Code() != ck.ErrNoError {
		t.Fatalf("got %v, %v", results, err)
	}
	settings := make(map[string]string)
	for name, entry := range results[0].Config {
		if entry.Source == ck.ConfigSourceDynamicTopic {
			settings[name] = entry.Value
		}
	}
	return settings
}

func TestATopicIsCreatedAsTheFileSays(t *testing.T) {
	const delay = 5 * time.Minute
	tests := []struct {
		name  string
		file  map[string]string
		delay time.Duration
		want  map[string]string
	}{
		{"without a delay", nil, 0, map[string]string{"message.timestamp.type": "LogAppendTime"}},
		{"with a delay", nil, delay, map[string]string{
			"message.timestamp.type": "LogAppendTime", "retention.ms": "605100000", "retention.bytes": "-1",
		}},
		{"with settings of the file's", map[string]string{"retention.ms": "1234567", "max.message.bytes": "2000000"}, delay, map[string]string{
			"message.timestamp.type": "LogAppendTime", "retention.ms": "1234567", "retention.bytes": "-1", "max.message.bytes": "2000000",
		}},
		{"with all settings of ours", map[string]string{
			"message.timestamp.type": "CreateTime", "retention.ms": "1234567", "retention.bytes": "1000000000",
		}, delay, map[string]string{
			"message.timestamp.type": "CreateTime", "retention.ms": "1234567", "retention.bytes": "1000000000",
		}},
		{"compacted", map[string]string{"cleanup.policy": "compact,delete"}, delay, map[string]string{
			"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact,delete",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			topic := devtest.Topic(t)
			cfg := settings(t)
			cfg.Topics.Partitions, cfg.Topics.Config, cfg.Topics.Delay = 5, test.file, test.delay
			if err := open(t, cfg, kafka.Options{}).Prepare(t.Context(), []string{topic}); err != nil {
				t.Fatal(err)
			}
			if got := inForce(t, topic); !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			metadata, err := admin(t).GetMetadata(&topic, false, 10000)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(metadata.Topics[topic].Partitions); got != 5 {
				t.Errorf("got %d partitions, want 5", got)
			}
			// A person who creates it makes the same.
			cfg.Topics.Create = false
			findings := kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: topic + "-by-hand"}})
			missing, _ := find(findings, "K02")
			_, options, _ := strings.Cut(missing.Fix, " --partitions 5 --replication-factor 1 ")
			got := make(map[string]string)
			for option := range strings.SplitSeq(strings.TrimPrefix(options, "--config "), " --config ") {
				name, value, _ := strings.Cut(option, "=")
				got[name] = value
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("got the command %q, want settings %v in it", missing.Fix, test.want)
			}
		})
	}
}

// stubborn is a Kafka that refuses settings of new topics. It returns how often it did.
func stubborn(t *testing.T, code int16, settings ...string) (kafka.Config, func() int) {
	t.Helper()
	cluster, cfg := fake(t)
	cfg.Topics.Delay = 5 * time.Minute
	var mu sync.Mutex
	var refused int
	cluster.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.CreateTopicsRequest)
		if !slices.ContainsFunc(request.Topics[0].Configs, func(c kmsg.CreateTopicsRequestTopicConfig) bool {
			return slices.Contains(settings, c.Name)
		}) {
			return nil, nil, false
		}
		mu.Lock()
		defer mu.Unlock()
		refused++
		response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode = request.Topics[0].Topic, code
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	return cfg, func() int {
		mu.Lock()
		defer mu.Unlock()
		return refused
	}
}

func TestATopicIsCreatedWithoutTheSettingsThatAreRefused(t *testing.T) {
	const invalid, policy = 40, 44
	tests := []struct {
		name    string
		code    int16
		refuses []string
		leftOut string // "": none
		refused int
	}{
		{"none", policy, nil, "", 0},
		{"the clock", policy, []string{"message.timestamp.type"}, "message.timestamp.type=LogAppendTime", 1},
		{"the bytes", invalid, []string{"retention.bytes"}, "retention.bytes=-1", 2},
		{"the time", invalid, []string{"retention.ms"}, "retention.ms=605100000", 3},
		{"clock and time", policy, []string{"message.timestamp.type", "retention.ms"}, "message.timestamp.type=LogAppendTime retention.ms=605100000", 5},
		{"all", policy, []string{"message.timestamp.type", "retention.ms", "retention.bytes"}, "message.timestamp.type=LogAppendTime retention.bytes=-1 retention.ms=605100000", 7},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg, refused := stubborn(t, test.code, test.refuses...)
			var log bytes.Buffer
			s := open(t, cfg, kafka.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err := s.Publish(t.Context(), sinktest.Messages("products", 1, 10)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := refused(); got != test.refused {
				t.Errorf("got %d refusals, want %d", got, test.refused)
			}
			var want, got int
			if test.leftOut != "" {
				want = 1
			}
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "level=WARN") && strings.Contains(line, `left_out="`+test.leftOut+`"`) {
					got++
				}
			}
			if got != want || strings.Count(log.String(), "level=WARN") != want {
				t.Errorf("got log %q, want %d warning that names %q", log.String(), want, test.leftOut)
			}
		})
	}
}

func TestASettingOfTheFileIsNeverLeftOut(t *testing.T) {
	const policy = 44
	for _, setting := range []string{"message.timestamp.type=LogAppendTime", "retention.ms=86400000"} {
		t.Run(setting, func(t *testing.T) {
			name, value, _ := strings.Cut(setting, "=")
			cfg, refused := stubborn(t, policy, name)
			cfg.Topics.Config = map[string]string{name: value}
			err := open(t, cfg, kafka.Options{}).Publish(t.Context(), sinktest.Messages("orders", 1, 10))
			if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "policy") {
				t.Errorf("got %v, want a fault of class wait that names the policy", err)
			}
			if got := refused(); got != 4 { // all, and without each or both of the two others
				t.Errorf("got %d attempts, want 4", got)
			}
		})
	}
}
