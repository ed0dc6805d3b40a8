package rdkafka_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

func open(t *testing.T, properties map[string]string) *rdkafka.Producer {
	t.Helper()
	p, err := rdkafka.NewProducer(properties)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func topic(t *testing.T, p *rdkafka.Producer) *rdkafka.Topic {
	t.Helper()
	products, err := p.Topic("products")
	if err != nil {
		t.Fatal(err)
	}
	return products
}

// A declaration that is wrong would compile, and then read the wrong memory.
func TestOurDeclarationsAreThoseOfLibrdkafka(t *testing.T) {
	bundled := output(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/confluentinc/confluent-kafka-go/v2")
	real := filepath.Join(bundled, "kafka", "librdkafka_vendor", "rdkafka.h")
	cc := strings.Fields(output(t, "go", "env", "CC"))
	compile := func(dir string) ([]byte, error) {
		args := append(cc[1:], "-fsyntax-only", "-Wall", "-Werror", "-include", real, filepath.Join(dir, "bulk.c"), filepath.Join(dir, "topic.c"), filepath.Join(dir, "headers.c"), filepath.Join(dir, "consume.c"))
		return exec.CommandContext(t.Context(), cc[0], args...).CombinedOutput()
	}
	if out, err := compile("."); err != nil {
		t.Errorf("with %s in front: %v\n%s", real, err, out)
	}
	tests := map[string]string{ // what is planted: old, new
		"an argument":      "int purge_flags\x00long purge_flags",
		"a result":         "void rd_kafka_event_destroy\x00int rd_kafka_event_destroy",
		"a number":         "RD_KAFKA_VTYPE_HEADERS == 10\x00RD_KAFKA_VTYPE_HEADERS == 9",
		"a field's offset": "_private, 64\x00_private, 56",
	}
	for name, plant := range tests {
		t.Run("a mistake is seen in "+name, func(t *testing.T) {
			dir := t.TempDir()
			was, is, _ := strings.Cut(plant, "\x00")
			for _, file := range []string{"bulk.c", "bulk.h", "topic.c", "topic.h", "headers.c", "headers.h", "consume.c", "consume.h", "librdkafka.h"} {
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

// broker is one, with the topic products of so many partitions; it can be closed before the test ends.
func broker(t *testing.T, partitions int32) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "products"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func TestCostsComeBackWithTheAcknowledgements(t *testing.T) {
	cluster := broker(t, 3)
	p := open(t, map[string]string{"bootstrap.servers": strings.Join(cluster.ListenAddrs(), ",")})
	products := topic(t, p)
	if count, leaderless, err := p.Partitions(products, 10*time.Second); count != 3 || leaderless != 0 || err != nil {
		t.Fatalf("got %d partitions, %d without a leader, error %v, want 3, 0, nil", count, leaderless, err)
	}
	const records = 1000
	var batch rdkafka.Batch
	var want int64
	for i := range int64(records) {
		batch.Add(products, rdkafka.PartitionByKey, i<<22, []byte{byte(i)}, nil, []kafkasync.Header{{Key: "op", Value: []byte("c")}})
		want += i << 22
	}
	stops, got, costs := produceAll(t, p, &batch)
	if stops == 0 {
		t.Error("got no stop behind the first record of a partition, want some")
	}
	batch.Reset() // librdkafka has copies
	for got < records {
		r := acknowledged(t, p)
		got, costs = got+r.Records, costs+r.Bytes
	}
	if got != records || costs != want {
		t.Errorf("got %d records of cost %d back, want %d of %d", got, costs, records, want)
	}
}

// produceAll hands over all of a batch. It returns how often that had to wait, and what was acknowledged meanwhile.
func produceAll(t *testing.T, p *rdkafka.Producer, batch *rdkafka.Batch) (stops int, records, costs int64) {
	t.Helper()
	for taken := 0; ; stops++ {
		n, err := p.Produce(batch, taken)
		taken += n
		if err == nil && taken == batch.Len() {
			return stops, records, costs
		}
		if !errors.Is(err, rdkafka.ErrAlone) {
			t.Fatalf("got %d records taken, error %v, want all %d", taken, err, batch.Len())
		}
		r := acknowledged(t, p)
		records, costs = records+r.Records, costs+r.Bytes
	}
}

func acknowledged(t *testing.T, p *rdkafka.Producer) rdkafka.Report {
	t.Helper()
	r := p.Poll()
	if r.Refused != nil {
		t.Fatalf("topic %s: got %v, want it acknowledged", r.Topic, r.Refused)
	}
	return r
}

func TestProduceStopsAtTheRecordThatIsNotTaken(t *testing.T) {
	p := open(t, map[string]string{"queue.buffering.max.messages": "10", "message.max.bytes": "10000"}) // and no broker
	products := topic(t, p)
	var batch rdkafka.Batch
	add := func(n, size int) {
		for range n {
			// Each on another partition, so that none has to wait for one before it.
			batch.Add(products, int32(batch.Len()), 7, []byte("key"), make([]byte, size), nil)
		}
	}
	produce := func(from, want int, code ck.ErrorCode) {
		t.Helper()
		n, err := p.Produce(&batch, from)
		var e ck.Error
		if n != want || !errors.As(err, &e) || e.Code() != code {
			t.Errorf("from record %d: got %d taken and %v, want %d and %v", from, n, err, want, code)
		}
	}
	add(4, 100)
	add(1, 20_000)
	add(10, 100)
	produce(0, 4, ck.ErrMsgSizeTooLarge)
	produce(5, 6, ck.ErrQueueFull)
	produce(11, 0, ck.ErrQueueFull)
	if got := batch.Cost(11); got != 4*7 {
		t.Errorf("cost of what was not taken: got %d, want %d", got, 4*7)
	}
	if n, err := p.Produce(&batch, batch.Len()); n != 0 || err != nil {
		t.Errorf("of nothing: got %d taken and %v, want 0 and nil", n, err)
	}
}

func TestInterruptEndsThePollThatIsUnderWayOrTheNext(t *testing.T) {
	p := open(t, nil)
	p.Interrupt()
	p.Poll()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Poll()
	}()
	p.Interrupt()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the poll goes on")
	}
}

func TestNewSaysWhichPropertyIsWrong(t *testing.T) {
	for name, value := range map[string]string{"no.such.property": "1", "batch.size": "large"} {
		_, err := rdkafka.NewProducer(map[string]string{"client.id": "test", name: value})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: got %v, want an error that names it", name, value, err)
		}
	}
	// What only becomes wrong together is seen when the client starts.
	_, err := rdkafka.NewProducer(map[string]string{"enable.idempotence": "true", "acks": "1"})
	if err == nil || !strings.Contains(err.Error(), "acks") {
		t.Errorf("idempotence with acks=1: got %v, want an error that names acks", err)
	}
}
