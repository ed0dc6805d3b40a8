package consumertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/consumer/consumertest"
)

func config() consumer.Config { return consumer.Config{Topics: []string{"products"}} }

func change(id int) kafkasync.Message { return consumertest.Change("products", "public.products", id) }

// inOne is a change that goes to partition 1.
func inOne(id int) kafkasync.Message {
	m := change(id)
	m.Partition = 1
	return m
}

var errAway = errors.New("the index is away")

func TestPausesGrowAndEndAndNothingIsHandedOverTwice(t *testing.T) {
	var times []time.Time
	healthy := false
	h := consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
		if times = append(times, time.Now()); !healthy {
			return errAway
		}
		if len(batch) != 1 {
			t.Errorf("got %v", batch)
		}
		return nil
	})
	consumertest.Run(t, config(), h, func(k *consumertest.Kafka) {
		k.Publish(inOne(1))
		k.WantFailing("products", 1, errAway)
		k.Pass(10 * time.Minute)
		k.WantCommitted("products", 1, 0)
		want := 100 * time.Millisecond
		for i := 1; i < len(times); i++ {
			// At random in the upper half, and a look every 5 ms.
			if d := times[i].Sub(times[i-1]); d < want/2 || d > want+10*time.Millisecond {
				t.Errorf("pause %d: got %s, want %s to %s", i, d, want/2, want)
			}
			want = min(2*want, 30*time.Second)
		}
		if n := len(times); n < 20 || n > 60 {
			t.Errorf("it was tried %d times in ten minutes", n)
		}
		healthy = true
		k.Pass(time.Minute)
		tried := len(times)
		k.WantCommitted("products", 1, 1)
		k.Pass(time.Minute)
		k.Restart()
		k.Pass(time.Minute)
		if len(times) != tried {
			t.Error("what is done was handed over again")
		}
	})
}

func TestARevocationWaitsAndALossDoesNot(t *testing.T) {
	type call struct {
		ended time.Duration
		cause error
	}
	var calls []call
	h := consumer.HandlerFunc(func(ctx context.Context, _ []kafkasync.Message) error {
		began := time.Now()
		timer := time.NewTimer(20 * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		calls = append(calls, call{time.Since(began), context.Cause(ctx)})
		return context.Cause(ctx)
	})
	t.Run("a revocation", func(t *testing.T) {
		calls = nil
		consumertest.Run(t, config(), h, func(k *consumertest.Kafka) {
			k.Publish(inOne(1))
			k.Revoke("products", 1)
			k.Pass(10 * time.Second)
			k.WantCommitted("products", 1, 0)
			k.Pass(20 * time.Second)
			k.WantCommitted("products", 1, 1)
			if n := len(k.Status().Partitions); n != consumertest.Partitions-1 {
				t.Errorf("got %d partitions, want one less", n)
			}
		})
		if len(calls) != 1 || calls[0].cause != nil {
			t.Errorf("got %v, want one call that was not disturbed", calls)
		}
	})
	t.Run("a revocation whose time is over", func(t *testing.T) {
		calls = nil
		cfg := config()
		cfg.Drain = 5 * time.Second
		consumertest.Run(t, cfg, h, func(k *consumertest.Kafka) {
			k.Publish(inOne(1))
			k.Revoke("products", 1)
			k.Pass(15 * time.Second)
			k.WantCommitted("products", 1, 0)
		})
		if len(calls) != 1 || !errors.Is(calls[0].cause, consumer.ErrRevoked) || calls[0].ended < 5*time.Second || calls[0].ended > 6*time.Second {
			t.Errorf("got %v, want one call that ended after 5 s", calls)
		}
	})
	t.Run("a loss", func(t *testing.T) {
		calls = nil
		consumertest.Run(t, config(), h, func(k *consumertest.Kafka) {
			k.Publish(inOne(1))
			k.Lose("products", 1)
			k.Pass(time.Second)
			k.WantCommitted("products", 1, 0)
			k.Assign("products", 1) // nobody has done it
			k.Pass(time.Minute)
			k.WantCommitted("products", 1, 1)
		})
		if len(calls) != 2 || !errors.Is(calls[0].cause, consumer.ErrRevoked) || calls[0].ended > time.Second || calls[1].cause != nil {
			t.Errorf("got %v, want one call that ended at once, and another one", calls)
		}
	})
}

// A handler that does not listen may run while its partition comes back: then it has to end first.
func TestOneHandlerAtATimeWorksOnAPartition(t *testing.T) {
	at, most, calls := 0, 0, 0
	h := consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error {
		calls++
		at++
		most = max(most, at)
		<-time.After(time.Minute)
		at--
		return nil
	})
	cfg := config()
	cfg.Drain = time.Second
	consumertest.Run(t, cfg, h, func(k *consumertest.Kafka) {
		k.Publish(inOne(1))
		k.Revoke("products", 1)
		k.Pass(2 * time.Second)
		k.Assign("products", 1)
		k.Pass(2 * time.Second)
		if p := k.Status().Partitions; len(p) != 2 || !p[1].Stuck {
			t.Errorf("got %+v, want it to show that partition 1 waits", p)
		}
		k.Pass(5 * time.Minute)
		k.WantCommitted("products", 1, 1)
		if p := k.Status().Partitions; len(p) != 2 || p[1].Stuck {
			t.Errorf("got %+v, want it to wait no more", p)
		}
	})
	if most != 1 || calls != 2 {
		t.Errorf("got %d calls, %d of them at the same time, want 2 and 1", calls, most)
	}
}

func TestCommitsThatFailAreMadeAgain(t *testing.T) {
	n := 0
	h := consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
		n += len(batch)
		return nil
	})
	consumertest.Run(t, config(), h, func(k *consumertest.Kafka) {
		k.FailCommits(ck.NewError(ck.ErrNotCoordinator, "", false))
		k.Publish(inOne(1))
		k.Pass(time.Minute)
		k.WantCommitted("products", 1, 0) // where it began
		if k.Status().Err == nil {
			t.Error("the status does not say that commits fail")
		}
		k.FailCommits(nil)
		k.Pass(time.Second)
		k.WantCommitted("products", 1, 1)
		if err := k.Status().Err; err != nil || n != 1 {
			t.Errorf("got %d messages, error %v, want one and none", n, err)
		}
	})
}

func TestDeadLettersWaitForTheirTopic(t *testing.T) {
	cfg := config()
	cfg.DeadLetters, cfg.Retries = "products-dead", 2
	tries := 0
	h := consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
		i := slices.IndexFunc(batch, func(m kafkasync.Message) bool { return string(m.Key) == "2" })
		if i < 0 {
			return nil
		}
		tries++
		return consumer.Failed(batch[i], errAway)
	})
	consumertest.Run(t, cfg, h, func(k *consumertest.Kafka) {
		k.FailDeadLetters(errors.New("it is full"))
		k.Publish(inOne(1), inOne(2), inOne(3))
		k.PublishRecord("products", 1, nil, []byte("by hand"))
		k.Pass(10 * time.Minute)
		k.WantCommitted("products", 1, 1)
		k.WantFailing("products", 1, errAway)
		k.FailDeadLetters(nil)
		k.Pass(time.Minute)
		k.WantCommitted("products", 1, 4)
		dead := k.DeadLetters()
		if len(dead) != 2 || string(dead[0].Key) != "2" || dead[0].Headers["dead-offset"] != "1" || string(dead[1].Value) != "by hand" {
			t.Fatalf("got %v, want the failed message and the record that cannot be read", dead)
		}
		if got := dead[0].Headers["dead-attempts"]; got != fmt.Sprint(tries) || tries < 4 {
			t.Errorf("got %s attempts in the letter, want %d, more than 3", got, tries)
		}
	})
}

func TestWhatIsGoneEndsTheConsumer(t *testing.T) {
	consumertest.Run(t, config(), consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error { return nil }), func(k *consumertest.Kafka) {
		k.Publish(inOne(1), inOne(2), inOne(3))
		k.Pass(time.Second)
		k.Commit("products", 1, 1) // as if the others had not been read
		k.DeleteBefore("products", 1, 3)
		k.Lose("products", 1)
		k.Assign("products", 1)
		if err := k.WantError(); !strings.Contains(err.Error(), "2 messages") {
			t.Errorf("got %v, want an error that says that 2 messages are lost", err)
		}
	})
}

func TestAStoreIsSyncedThroughTwins(t *testing.T) {
	var mu sync.Mutex // partitions are handled at the same time
	primary, store := map[int64]string{1: "old"}, map[int64]string{}
	h := consumer.Sync[int64, string]{
		Table: "public.products",
		Load: func(_ context.Context, ids []int64) (map[int64]string, error) {
			mu.Lock()
			defer mu.Unlock()
			found := map[int64]string{}
			for _, id := range ids {
				if row, is := primary[id]; is {
					found[id] = row
				}
			}
			return found, nil
		},
		Upsert: func(_ context.Context, found []consumer.Item[int64, string]) error {
			mu.Lock()
			defer mu.Unlock()
			for _, f := range found {
				store[f.ID] = f.Row
			}
			return nil
		},
		Delete: func(_ context.Context, missing []consumer.Ref[int64]) error {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range missing {
				delete(store, m.ID)
			}
			return nil
		},
	}
	consumertest.Run(t, config(), h, func(k *consumertest.Kafka) {
		sent := k.Publish(change(1), change(2))
		k.Pass(time.Second)
		primary[1] = "new" // which the first look did not see
		k.Pass(5 * time.Minute)
		k.Publish(consumertest.Twin(sent[0]), consumertest.Twin(sent[1]))
		k.Pass(time.Second)
		if len(store) != 1 || store[1] != "new" {
			t.Errorf("got %v stored, want what the primary has", store)
		}
	})
}
