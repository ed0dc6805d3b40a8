// Package consumertest runs a consumer's handler on messages without a broker, in virtual time: backoffs, delays and
// drains of any length take no time. It is the consumer itself that runs, on a broker in memory: batches,
// retries, commits, dead letters, revocation and loss are as on Kafka.
//
//	func TestTheIndexSurvivesAnOutage(t *testing.T) {
//		consumertest.Run(t, consumer.Config{Topics: []string{"products"}}, handler, func(k *consumertest.Kafka) {
//			k.Publish(consumertest.Change("products", "public.products", 42))
//			k.Pass(time.Minute)
//			k.WantCommitted("products", 0, 1)
//		})
//	}
//
// Everything in the test's function happens in a bubble of testing/synctest, and so must everything that the handler
// waits for: a real server outside of it makes time stand still.
package consumertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// Run runs h as the consumer that cfg describes, and script beside it. What cfg does not say is filled in: a name, and
// brokers, which are not asked. Then the consumer ends in order; that it does not, or ended before, fails the test.
func Run(t *testing.T, cfg consumer.Config, h consumer.Handler, script func(k *Kafka)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		if cfg.Name == "" {
			cfg.Name = "test"
		}
		k := newKafka(t, cfg)
		k.start(h)
		script(k)
		k.Stop()
	})
}

// start lets the consumer run.
func (k *Kafka) start(h consumer.Handler) {
	k.t.Helper()
	c, err := consumer.NewOn(k.cfg, k.log)
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	k.handler, k.consumer, k.cancel, k.done = h, c, cancel, make(chan struct{})
	go func() {
		defer close(k.done)
		k.err = c.Run(ctx, &fenced{h, &k.fence})
	}()
	synctest.Wait()
}

// fenced is a handler between whose calls the test's function may look at what it did, and change what it does: the race
// detector knows that they are not at the same time.
type fenced struct {
	consumer.Handler

	fence *sync.Mutex
}

// Handle is described at consumer.Handler.
func (f *fenced) Handle(ctx context.Context, batch []kafkasync.Message) error {
	pass(f.fence)
	defer pass(f.fence)
	return f.Handler.Handle(ctx, batch)
}

// Validate passes on the question.
func (f *fenced) Validate() error {
	if v, ok := f.Handler.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

func pass(fence *sync.Mutex) {
	fence.Lock()
	defer fence.Unlock()
}

// Stop ends the consumer, as SIGTERM would: handlers are waited for. It fails the test if Run returns anything but
// the context's error.
func (k *Kafka) Stop() {
	k.t.Helper()
	if k.stopped {
		return
	}
	if err := k.end(); !errors.Is(err, context.Canceled) || errors.Is(err, consumer.ErrDrain) {
		k.t.Errorf("the consumer ended with %v, want it to end in order", err)
	}
}

// WantError ends the consumer, unless it has ended by itself, and returns why. It fails the test if it was nothing but the end of the context.
func (k *Kafka) WantError() error {
	k.t.Helper()
	err := k.end()
	if errors.Is(err, context.Canceled) && !errors.Is(err, consumer.ErrDrain) {
		k.t.Errorf("the consumer ended in order, want an error")
	}
	return err
}

func (k *Kafka) end() error {
	pass(&k.fence)
	defer pass(&k.fence)
	k.cancel()
	<-k.done
	k.stopped = true
	return k.err
}

// Restart ends the consumer and begins again with the same handler, where it had committed.
func (k *Kafka) Restart() {
	k.t.Helper()
	k.Stop()
	k.stopped = false
	k.start(k.handler)
}

// Status is the consumer's.
func (k *Kafka) Status() consumer.Status { return k.consumer.Status() }

// Pass lets time go by, and returns when everything that was to happen has.
func (k *Kafka) Pass(d time.Duration) {
	pass(&k.fence)
	defer pass(&k.fence)
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	synctest.Wait()
}

// WantCommitted fails the test unless the consumer has committed this offset of a partition: all before it is done. -1: nothing yet.
func (k *Kafka) WantCommitted(topic string, partition int32, offset int64) {
	k.t.Helper()
	if got := k.Committed(topic, partition); got != offset {
		k.t.Errorf("partition %d of topic %s: got offset %d committed, want %d", partition, topic, got, offset)
	}
}

// WantFailing fails the test unless a batch of the partition fails at the moment, with an error that is want.
func (k *Kafka) WantFailing(topic string, partition int32, want error) {
	k.t.Helper()
	for _, p := range k.Status().Partitions {
		if p.Topic == topic && p.Partition == partition {
			if !errors.Is(p.Failing, want) || want == nil {
				k.t.Errorf("partition %d of topic %s: got failure %v, want %v", partition, topic, p.Failing, want)
			}
			return
		}
	}
	k.t.Errorf("partition %d of topic %s is not the consumer's", partition, topic)
}

// Change is the message of an update of a row whose primary key is id. Publish fills in what it leaves out.
func Change(topic, table string, id any) kafkasync.Message {
	value := fmt.Sprintf(`{"id":%v}`, id)
	if s, ok := id.(string); ok {
		value = fmt.Sprintf(`{"id":%q}`, s)
	}
	return kafkasync.Message{Topic: topic, Table: table, Op: kafkasync.Updated, Key: fmt.Append(nil, id), Value: []byte(value)}
}

// Twin is the delay message of a message that was published.
func Twin(m kafkasync.Message) kafkasync.Message {
	m.Delayed = m.Delay
	if m.Delayed == 0 {
		m.Delayed = 5 * time.Minute
	}
	m.Delay = 0
	return m
}
