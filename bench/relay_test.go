package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// A declaration that is wrong would compile, and then read the wrong memory.
func TestOurDeclarationsAreThoseOfLibrdkafka(t *testing.T) {
	bundled := output(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/confluentinc/confluent-kafka-go/v2")
	real := filepath.Join(bundled, "kafka", "librdkafka_vendor", "rdkafka.h")
	cc := strings.Fields(output(t, "go", "env", "CC"))
	others, err := filepath.Abs("../internal/rdkafka")
	if err != nil {
		t.Fatal(err)
	}
	compile := func(dir string) ([]byte, error) {
		args := append(cc[1:], "-fsyntax-only", "-Wall", "-Werror", "-I", others, "-include", real, filepath.Join(dir, "relay.c"))
		return exec.CommandContext(t.Context(), cc[0], args...).CombinedOutput()
	}
	if out, err := compile("."); err != nil {
		t.Errorf("with %s in front: %v\n%s", real, err, out)
	}
	tests := map[string]string{ // what is planted: old, new
		"an argument": "int32_t partition, int64_t offset\x00int64_t partition, int64_t offset",
		"a result":    "const char *rd_kafka_err2str\x00char *rd_kafka_err2str",
		"a number":    "RELAY_QUEUE_FULL = -184\x00RELAY_QUEUE_FULL = -185",
	}
	for name, plant := range tests {
		t.Run("a mistake is seen in "+name, func(t *testing.T) {
			dir := t.TempDir()
			was, is, _ := strings.Cut(plant, "\x00")
			for _, file := range []string{"relay.c", "relay.h"} {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				planted := strings.Replace(string(text), was, is, 1)
				if err := os.WriteFile(filepath.Join(dir, file), []byte(planted), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := compile(dir); err == nil {
				t.Errorf("got no error, want one\n%s", out)
			}
		})
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// relayBench is as much of a bench as the bare loop needs: a Kafka, and a topic with
// a message of each row, of which every tenth carries no delay.
func relayBench(t *testing.T, rows int) (*bench, backlog, offsets) {
	t.Helper()
	b := &bench{o: options{rows: rows}, progress: t.Output(), dir: t.TempDir(), kafka: devtest.Kafka(t)}
	o, err := b.openOffsets()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	q := backlog{topic: devtest.Topic(t)}
	if err := o.create(t.Context(), q.topic); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.Brokers()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for id := 1; id <= rows; id++ {
		r := &kgo.Record{Topic: q.topic, Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, `{"id":%d}`, id)}
		r.Headers = []kgo.RecordHeader{{Key: "op", Value: []byte("u")}, {Key: "seq", Value: fmt.Append(nil, 1000+id)}}
		if id%10 != 0 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "delay", Value: []byte("60000")})
		}
		records = append(records, r)
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if q.ends, err = o.ends(t.Context(), q.topic); err != nil {
		t.Fatal(err)
	}
	if q.due, err = b.scan(t.Context(), q.topic, "delay", make([]int64, partitions), q.ends); err != nil {
		t.Fatal(err)
	}
	if q.log, err = b.logSize(q.topic); err != nil {
		t.Fatal(err)
	}
	return b, q, o
}

func TestTheBareLoopSendsWhatCarriesADelay(t *testing.T) {
	const rows = 5000
	b, q, o := relayBench(t, rows)
	if want := rows * 9 / 10; q.due.records != want || q.due.rows != want {
		t.Fatalf("got %+v, want %d records of as many rows", q.due, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := b.relay(ctx, q, o, bare{bareLoop, 5, 10})
	if err != nil {
		t.Fatal(err)
	}
	if s.rows != q.due.records || s.took <= 0 || s.peak <= 0 || *s.outage.linger != 5 {
		t.Errorf("got %+v, want %d rows, and a time and a peak", s, q.due.records)
	}
	// Each of its connections is asked for the versions that the broker speaks, too.
	if s.outage.received < q.log || s.outage.received > 2*q.log {
		t.Errorf("got %d bytes received, want those of the topic, %d, and a little more", s.outage.received, q.log)
	}

	// What came out is what went in, but for the one header.
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.Brokers()), kgo.ConsumeTopics(q.topic+"-bare-5-10"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for left := q.due.records; left > 0; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			want := fmt.Sprintf(`{"id":%s} op=u seq=%d delayed=60000`, r.Key, 1000+idOf(t, r.Key))
			var got strings.Builder
			got.Write(r.Value)
			for _, h := range r.Headers {
				fmt.Fprintf(&got, " %s=%s", h.Key, h.Value)
			}
			if got.String() != want {
				t.Fatalf("got %s, want %s", got.String(), want)
			}
		})
	}
}

func idOf(t *testing.T, key []byte) (id int) {
	t.Helper()
	if _, err := fmt.Sscan(string(key), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestABareLoopThatFailsSaysWhy(t *testing.T) {
	b, q, o := relayBench(t, 100)
	if err := o.create(t.Context(), q.topic+"-bare-0-0"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.relay(t.Context(), q, o, bare{bareDefaults, 0, 0}); err == nil || !strings.Contains(err.Error(), "TOPIC_ALREADY_EXISTS") {
		t.Errorf("got %v, want that the topic exists", err)
	}
	if _, err := b.relay(t.Context(), q, o, bare{bareDefaults, -1, 0}); err == nil || !strings.Contains(err.Error(), "setting linger.ms") {
		t.Errorf("got %v, want what the loop itself said", err)
	}
}
