package tail_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/tail"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func options(t *testing.T) tail.Options {
	t.Helper()
	return tail.Options{Brokers: []string{devtest.Kafka(t).Brokers()}, Topic: devtest.Topic(t)}
}

func publish(t *testing.T, opts tail.Options, msgs []kafkasync.Message) {
	t.Helper()
	s, err := kafka.Open(t.Context(), kafka.Config{
		Brokers: opts.Brokers, Topics: kafka.Topics{Create: true, Partitions: 3, Replication: 1},
	}, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Publish(t.Context(), msgs), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// seqs reads until Run ends and returns which messages it saw.
func seqs(t *testing.T, opts tail.Options) map[int64]int {
	t.Helper()
	seen := make(map[int64]int)
	err := tail.Run(t.Context(), opts, func(m kafkasync.Message) error {
		seen[m.Seq]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestFromTheBeginningEveryMessageIsShownAsItWasPublished(t *testing.T) {
	opts := options(t)
	want := sinktest.Messages(opts.Topic, 1, 50)
	publish(t, opts, want)
	opts.FromBeginning, opts.Limit = true, len(want)
	shown := make(map[int64]string)
	err := tail.Run(t.Context(), opts, func(m kafkasync.Message) error {
		m.Partition, m.Offset = 0, 0
		shown[m.Seq] = sinktest.Show(m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range want {
		if shown[m.Seq] != sinktest.Show(m) {
			t.Errorf("got  %s\nwant %s", shown[m.Seq], sinktest.Show(m))
		}
	}
}

func TestFromTheEndOnlyWhatComesLaterIsShown(t *testing.T) {
	opts := options(t)
	publish(t, opts, sinktest.Messages(opts.Topic, 1, 50))
	opts.Limit = 10
	done, shown := make(chan error, 1), make(chan int64, 1000)
	go func() {
		done <- tail.Run(t.Context(), opts, func(m kafkasync.Message) error {
			shown <- m.Seq
			return nil
		})
	}()
	// Where it starts is known only to it: we publish until it has seen its ten.
	for first := int64(51); ; first++ {
		publish(t, opts, sinktest.Messages(opts.Topic, first, 1))
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			close(shown)
			for seq := range shown {
				if seq <= 50 {
					t.Errorf("got seq %d, want only what was published later", seq)
				}
			}
			return
		default:
		}
	}
}

func TestAGroupGoesOnWhereItWas(t *testing.T) {
	opts := options(t)
	opts.FromBeginning, opts.Group = true, opts.Topic+"-group"
	publish(t, opts, sinktest.Messages(opts.Topic, 1, 30))
	opts.Limit = 20
	seen := seqs(t, opts)
	opts.Limit = 10
	for seq, n := range seqs(t, opts) {
		seen[seq] += n
	}
	for seq := int64(1); seq <= 30; seq++ {
		if seen[seq] != 1 {
			t.Errorf("seq %d: got it %d times, want once over both runs", seq, seen[seq])
		}
	}
}

func TestTheEndOfTheContextAndAnErrorEndIt(t *testing.T) {
	opts := options(t)
	publish(t, opts, sinktest.Messages(opts.Topic, 1, 5))
	opts.FromBeginning = true

	ctx, cancel := context.WithCancel(t.Context())
	if err := tail.Run(ctx, opts, func(kafkasync.Message) error {
		cancel()
		return nil
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v, want the context's error", err)
	}

	enough := errors.New("enough")
	if err := tail.Run(t.Context(), opts, func(kafkasync.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want what the function returned", err)
	}
}

func TestAMissingTopicIsAnErrorAndStaysMissing(t *testing.T) {
	opts := options(t)
	for range 2 { // the first look would have created it
		err := tail.Run(t.Context(), opts, func(kafkasync.Message) error { return nil })
		if err == nil || !strings.Contains(err.Error(), opts.Topic) {
			t.Fatalf("got %v, want an error that names the topic", err)
		}
	}
}
