package kafka_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

// find returns the finding with an id, and whether there is one.
func find(findings []kafkasync.Finding, id string) (kafkasync.Finding, bool) {
	i := slices.IndexFunc(findings, func(f kafkasync.Finding) bool { return f.ID == id })
	if i < 0 {
		return kafkasync.Finding{}, false
	}
	return findings[i], true
}

func TestEachProblemOfATopicIsCuredByTheCommandThatItPrints(t *testing.T) {
	const minute = time.Minute
	const fails, warns = kafkasync.SeverityError, kafkasync.SeverityWarning
	broker := map[string]string{"message.timestamp.type": "LogAppendTime"}
	with := func(key, value string) map[string]string {
		set := maps.Clone(broker)
		set[key] = value
		return set
	}
	tests := []struct {
		name     string
		settings map[string]string
		wanted   kafka.Topic
		id       string
		severity kafkasync.Severity // "": no such finding
		text     string
	}{
		{"more replicas in sync than there are", with("min.insync.replicas", "2"), kafka.Topic{}, "K03", fails, "takes no message"},
		{"compacted, with a delay", with("cleanup.policy", "compact"), kafka.Topic{Delay: 5 * minute}, "K04", fails, "delay: 0"},
		{"compacted and deleted, with a delay", with("cleanup.policy", "compact,delete"), kafka.Topic{Delay: 5 * minute}, "K04", fails, "delay: 0"},
		{"compacted, without tombstones", with("cleanup.policy", "compact"), kafka.Topic{}, "K04", warns, "tombstones: true"},
		{"compacted and deleted, without tombstones", with("cleanup.policy", "compact,delete"), kafka.Topic{}, "K04", "", ""},
		{"compacted, with tombstones", with("cleanup.policy", "compact"), kafka.Topic{Tombstones: true}, "K04", "", ""},
		{"tombstones, not compacted", broker, kafka.Topic{Tombstones: true}, "K04", warns, "tombstones: false"},
		{"kept for a week", with("retention.ms", "604800000"), kafka.Topic{Delay: 5 * minute}, "K05", "", ""},
		{"kept for ever", with("retention.ms", "-1"), kafka.Topic{Delay: 5 * minute}, "K05", "", ""},
		{"kept for less than a day", with("retention.ms", "3600000"), kafka.Topic{Delay: 5 * minute}, "K05", warns, "down for more than 55m0s"},
		{"kept for less than the delay", with("retention.ms", "60000"), kafka.Topic{Delay: 5 * minute}, "K05", fails, "retention.ms=86700000"},
		{"kept for less, without a delay", with("retention.ms", "60000"), kafka.Topic{}, "K05", "", ""},
		{"cut by size", with("retention.bytes", "1000000000"), kafka.Topic{Delay: 5 * minute}, "K05", warns, "may push messages out"},
		{"cut by size, without a delay", with("retention.bytes", "1000000"), kafka.Topic{}, "K05", "", ""},
		{"cut at what a bulk change fills at once", with("retention.bytes", "16777215"), kafka.Topic{Delay: 5 * minute}, "K05", fails, "16777216 bytes"},
		{"the writers' clocks, with a delay", with("message.timestamp.type", "CreateTime"), kafka.Topic{Delay: 5 * minute}, "K06", warns, "re-sent too early"},
		{"the writers' clocks, without a delay", with("message.timestamp.type", "CreateTime"), kafka.Topic{}, "K06", "", ""},
		{"the broker's clock, with a delay", broker, kafka.Topic{Delay: 5 * minute}, "K06", "", ""},
		{"fewer partitions than the file says", broker, kafka.Topic{}, "K07", kafkasync.SeverityOK, "has 2 partitions"},
		{"small records only", with("max.message.bytes", "100000"), kafka.Topic{}, "K08", fails, "batch.size: 100000"},
		{"records as large as ours", broker, kafka.Topic{}, "K08", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.wanted.Name = devtest.Topic(t)
			createTopic(t, test.wanted.Name, 2, test.settings)
			check := func() []kafkasync.Finding { return kafka.Check(t.Context(), settings(t), []kafka.Topic{test.wanted}) }
			findings := check()
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
				t.Fatalf("%s: got %+v, want severity %q", test.id, got, test.severity)
			}
			if text := got.What + got.Why + got.Fix; !strings.Contains(text, test.text) {
				t.Errorf("%s: got %q, want %q in it", test.id, text, test.text)
			}
			if found {
				obey(t, got.Fix)
				eventually(t, "the finding is gone", func() bool {
					left, still := find(check(), test.id)
					return !still || left.What != got.What && strings.Contains(left.What, "only broker")
				})
			}
		})
	}
}

func TestALogThatWasCutBeforeTheDelayHadPassedIsAnError(t *testing.T) {
	const minute = time.Minute
	limited := map[string]string{"retention.bytes": "16777216", "message.timestamp.type": "LogAppendTime"} // 16 of the largest batches
	brief := maps.Clone(limited)
	brief["retention.ms"] = "60000"
	short := maps.Clone(limited)
	short["retention.ms"] = "3600000"
	unlimited := map[string]string{"retention.bytes": "-1"}
	tests := []struct {
		name     string
		settings map[string]string
		cut      int64 // so many of 40 records are gone
		delay    time.Duration
		want     []string // of each finding K05, its severity and a part of it
	}{
		{"and all that is left is younger", limited, 20, 5 * minute, []string{"error 1 of 2 partitions no longer go back as far as the delay of 5m0s"}},
		{"and time alone would take it soon after", short, 20, 5 * minute, []string{"warning keeps messages for 1h0m0s", "error 1 of 2 partitions"}},
		{"but it still holds older records", limited, 20, time.Millisecond, []string{"warning may push messages out"}},
		{"but it was never cut, and is new", limited, 0, 5 * minute, []string{"warning may push messages out"}},
		{"but what is left could not fill it", limited, 30, 5 * minute, []string{"warning may push messages out"}},
		{"but nothing is left", limited, 40, 5 * minute, []string{"warning may push messages out"}},
		{"but by time, which says so itself", brief, 20, 5 * minute, []string{"error keeps messages for 1m0s"}},
		{"but by a person: it has no limit", unlimited, 20, 5 * minute, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			topic := devtest.Topic(t)
			createTopic(t, topic, 2, test.settings)
			msgs := sinktest.Messages(topic, 1, 40)
			for i := range msgs {
				msgs[i].Key = msgs[0].Key
			}
			if err := open(t, settings(t), kafka.Options{}).Publish(t.Context(), msgs); err != nil {
				t.Fatal(err)
			}
			if test.cut > 0 {
				at := ck.TopicPartition{Topic: &topic, Partition: read(t, topic, 1)[0].Partition, Offset: ck.Offset(test.cut)}
				deleted, err := admin(t).DeleteRecords(t.Context(), []ck.TopicPartition{at})
				if err != nil || deleted.DeleteRecordsResults[0].TopicPartition.Error != nil {
					t.Fatalf("got %+v, %v", deleted, err)
				}
			}
			var got []kafkasync.Finding
			for _, f := range kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: topic, Delay: test.delay}}) {
				if f.ID == "K05" {
					got = append(got, f)
				}
			}
			if len(got) != len(test.want) {
				t.Fatalf("got %+v, want %d findings", got, len(test.want))
			}
			for i, f := range got {
				severity, part, _ := strings.Cut(test.want[i], " ")
				if string(f.Severity) != severity || !strings.Contains(f.What+f.Why, part) {
					t.Errorf("got %+v, want severity %s and %q", f, severity, part)
				}
			}
		})
	}
}

// obey does what a command line of Kafka's own tools in a fix does: that of one
// such program costs a Java machine.
func obey(t *testing.T, fix string) {
	t.Helper()
	words := strings.Fields(fix[strings.Index(fix, "kafka-"):])
	if words[1] != "--bootstrap-server" || words[2] != brokers(t)[0] || words[3] != "--alter" || words[4] != "--topic" {
		t.Fatalf("got %q, want a command that alters a topic", fix)
	}
	topic, option, value := words[5], words[6], words[7]
	switch words[0] + " " + option {
	case "kafka-topics.sh --partitions":
		count, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		results, err := admin(t).CreatePartitions(t.Context(), []ck.PartitionsSpecification{{Topic: topic, IncreaseTo: count}})
		if err != nil || results[0].Error.Code() != ck.ErrNoError {
			t.Fatalf("%q: got %v, %v", fix, results, err)
		}
	case "kafka-configs.sh --add-config":
		key, set, _ := strings.Cut(value, "=")
		results, err := admin(t).IncrementalAlterConfigs(t.Context(), []ck.ConfigResource{{
			Type: ck.ResourceTopic, Name: topic,
			Config: []ck.ConfigEntry{{Name: key, Value: set, IncrementalOperation: ck.AlterConfigOpTypeSet}},
		}})
		if err != nil || results[0].Error.Code() != ck.ErrNoError {
			t.Fatalf("%q: got %v, %v", fix, results, err)
		}
	default:
		t.Fatalf("got %q, want a command that is known", fix)
	}
}

func TestATopicOfTheOnlyBrokerIsWarnedOf(t *testing.T) {
	topic := devtest.Topic(t)
	createTopic(t, topic, 4, nil)
	got, _ := find(kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: topic}}), "K03")
	if got.Severity != kafkasync.SeverityWarning || !strings.Contains(got.What, "only broker") {
		t.Errorf("got %+v, want the warning of a single broker", got)
	}
}

func TestTombstonesAndADelayOfTwoRulesDoNotShareATopic(t *testing.T) {
	topic := devtest.Topic(t)
	createTopic(t, topic, 4, map[string]string{"cleanup.policy": "compact"})
	got, _ := find(kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: topic, Delay: time.Minute, Tombstones: true}}), "K04")
	if got.Severity != kafkasync.SeverityError || !strings.Contains(got.Fix, "another topic") {
		t.Errorf("got %+v, want an error that names the way out", got)
	}
	left, still := find(kafka.Check(t.Context(), settings(t), []kafka.Topic{{Name: topic, Tombstones: true}}), "K04")
	if still {
		t.Errorf("got %+v without the delay, want nothing", left)
	}
}

func TestARefusalIsKnownAtOnce(t *testing.T) {
	for name, brokers := range map[string][]string{"nobody listens": {free(t), free(t)}, "no such host": {"kafka.invalid:9092"}} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			findings := kafka.Check(t.Context(), kafka.Config{Brokers: brokers}, []kafka.Topic{{Name: "a"}})
			if len(findings) != 1 || findings[0].ID != "K01" || !strings.Contains(findings[0].What, "unreachable") {
				t.Errorf("got %+v, want one error K01 that says unreachable", findings)
			}
			if took := time.Since(started); took > 3*time.Second {
				t.Errorf("took %s, want at most 3 s", took)
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
	cfg := kafka.Config{Brokers: []string{silent(t), free(t)}} // the first may only be slow
	started := time.Now()
	findings := kafka.Check(t.Context(), cfg, []kafka.Topic{{Name: "a"}, {Name: "b"}})
	if len(findings) != 1 || findings[0].ID != "K01" || findings[0].Severity != kafkasync.SeverityError ||
		!strings.Contains(findings[0].What, cfg.Brokers[0]) || !strings.Contains(findings[0].Fix, "kafka.brokers") {
		t.Errorf("got %+v, want one error K01 that names the address, and what to look at", findings)
	}
	if took := time.Since(started); took < 5*time.Second {
		t.Errorf("gave a broker up that may be slow after %s", took)
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

func TestWhatAnAuthorizerForbidsIsFound(t *testing.T) {
	delayed := kafka.Topic{Name: "products", Delay: time.Minute}
	tests := []struct {
		name    string
		allowed []ck.ACLOperation
		topic   kafka.Topic
		want    string
	}{
		{"no authorizer", nil, delayed, ""},
		{"everything", []ck.ACLOperation{ck.ACLOperationAll}, delayed, ""},
		{"reading alone", []ck.ACLOperation{ck.ACLOperationDescribe, ck.ACLOperationRead}, delayed, "write to"},
		{"writing alone", []ck.ACLOperation{ck.ACLOperationDescribe, ck.ACLOperationWrite}, delayed, "read"},
		{"writing alone, without a delay", []ck.ACLOperation{ck.ACLOperationWrite}, kafka.Topic{Name: "products"}, ""},
		{"both", []ck.ACLOperation{ck.ACLOperationWrite, ck.ACLOperationRead}, delayed, ""},
	}
	for _, tt := range tests {
		if got, why := kafka.Forbidden(tt.allowed, tt.topic); got != tt.want || (why == "") != (got == "") {
			t.Errorf("%s: got that we may not %q, because %q, want %q", tt.name, got, why, tt.want)
		}
	}
}
