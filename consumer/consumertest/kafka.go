package consumertest

import (
	"context"
	"hash/fnv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// Kafka is the broker in memory, and the consumer that runs on it. Each topic of the consumer's has Partitions.
type Kafka struct {
	t   *testing.T
	cfg consumer.Config
	log *memory
	seq int64

	fence    sync.Mutex // see fenced
	handler  consumer.Handler
	consumer *consumer.Consumer
	cancel   context.CancelFunc
	done     chan struct{}
	err      error
	stopped  bool
}

// Partitions is how many partitions each topic has. All of them are the consumer's at first.
const Partitions = 2

func newKafka(t *testing.T, cfg consumer.Config) *Kafka {
	return &Kafka{t: t, cfg: cfg, log: newMemory(cfg.Topics)}
}

// Publish writes messages, each to the partition that Message.Partition says, or, if it has a key and says 0, to the one
// of its key. A Seq, Pipeline and Committed that are missing are filled in. It returns them as they were
// written, when everything that follows from it at once has happened.
func (k *Kafka) Publish(messages ...kafkasync.Message) []kafkasync.Message {
	k.t.Helper()
	for i := range messages {
		m := &messages[i]
		if m.Seq == 0 {
			m.Seq = k.seq + 1
		}
		k.seq = max(k.seq, m.Seq)
		if m.Pipeline == "" {
			m.Pipeline = "test"
		}
		if m.Committed.IsZero() {
			m.Committed = time.Now().UTC()
		}
		if m.Partition == 0 && m.Key != nil {
			m.Partition = PartitionOf(m.Key)
		}
		headers, _ := m.AppendHeaders(nil, nil)
		offset, ok := k.log.append(m.Topic, m.Partition, m.Key, m.Value, headers)
		if !ok {
			k.t.Fatalf("there is no partition %d of topic %s: topics are those of Config.Topics, with %d partitions", m.Partition, m.Topic, Partitions)
		}
		m.Offset = offset
	}
	k.Pass(arrival)
	return messages
}

// arrival is how long what was published may take to be handed over.
const arrival = 10 * time.Millisecond

// PartitionOf is the partition of a key here. On Kafka it is another one.
func PartitionOf(key []byte) int32 {
	h := fnv.New32a()
	_, _ = h.Write(key) // never fails
	return int32(h.Sum32() % Partitions)
}

// PublishRecord writes a record as it is, such as one that is no message of kafkasync.
func (k *Kafka) PublishRecord(topic string, partition int32, key, value []byte, headers ...kafkasync.Header) {
	k.t.Helper()
	if _, ok := k.log.append(topic, partition, key, value, headers); !ok {
		k.t.Fatalf("there is no partition %d of topic %s", partition, topic)
	}
	k.Pass(arrival)
}

// Revoke takes a partition away in order: the handler that is at work on it is waited for, and what it did is committed.
// It returns at once; Pass lets it happen.
func (k *Kafka) Revoke(topic string, partition int32) {
	k.log.revoke(place{topic, partition}, false)
	synctest.Wait()
}

// Lose takes a partition away as a session that has ended does: it is somebody else's already.
func (k *Kafka) Lose(topic string, partition int32) {
	k.log.revoke(place{topic, partition}, true)
	synctest.Wait()
}

// Assign gives a partition back to the consumer, which goes on where it, or somebody else, has committed.
func (k *Kafka) Assign(topic string, partition int32) {
	k.log.assign(place{topic, partition})
	synctest.Wait()
}

// Commit commits an offset in the place of another process that has the partition.
func (k *Kafka) Commit(topic string, partition int32, offset int64) {
	k.log.commit(place{topic, partition}, offset, "")
}

// Committed is what is committed of a partition; -1: nothing.
func (k *Kafka) Committed(topic string, partition int32) int64 {
	return k.log.committed(place{topic, partition})
}

// FailCommits lets commits fail with err, as those of a broker that is restarted; nil ends it.
func (k *Kafka) FailCommits(err error) { k.log.failCommits(err) }

// DeleteBefore deletes what lies before an offset, as a topic's retention does.
func (k *Kafka) DeleteBefore(topic string, partition int32, offset int64) {
	k.log.deleteBefore(place{topic, partition}, offset)
	synctest.Wait()
}

// FailDeadLetters lets the dead-letter topic refuse messages with err; nil ends it.
func (k *Kafka) FailDeadLetters(err error) { k.log.failLetters(err) }

// DeadLetter is a record of the dead-letter topic.
type DeadLetter struct {
	Key, Value []byte
	Headers    map[string]string
}

// DeadLetters are those that were sent, in order.
func (k *Kafka) DeadLetters() []DeadLetter {
	var all []DeadLetter
	for _, l := range k.log.lettersSent() {
		one := DeadLetter{Key: l.Key, Value: l.Value, Headers: map[string]string{}}
		for _, h := range l.Headers {
			one.Headers[h.Key] = string(h.Value)
		}
		all = append(all, one)
	}
	return all
}
