package kafka_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

func TestLocatingAMissingTopicThatIsNotToBeCreatedWaits(t *testing.T) {
	topic := devtest.Topic(t)
	cfg := settings(t)
	cfg.Topics.Create = false
	s := open(t, cfg, kafka.Options{})
	_, err := s.Locate(t.Context(), topic, time.Minute)
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != kafkasync.Wait || !strings.Contains(fault.Fix, "--create --topic "+topic) {
		t.Errorf("got %v, want a fault of class wait with the command that creates it", err)
	}
	if _, err := s.Locate(t.Context(), topic, time.Minute); err == nil || !strings.Contains(err.Error(), "no further use") {
		t.Errorf("after the error: got %v, want that the sink is of no further use", err)
	}
	if exists(t, admin(t), topic) {
		t.Error("the topic was created behind our back")
	}
}

func TestLocateWaitsWhileKafkaIsAwayAndSaysSo(t *testing.T) {
	heard, done := make(chan error, 100), make(chan error, 1)
	s := open(t, kafka.Config{Brokers: []string{silent(t)}}, kafka.Options{Notify: func(err error) { heard <- err }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := s.Locate(ctx, "products", time.Minute)
		done <- err
	}()
	if told := next(t, heard, "a word about the silence"); kafkasync.ClassOf(told) != kafkasync.Wait {
		t.Errorf("got told %v, want a fault of class wait", told)
	}
	cancel()
	if err := next(t, done, "Locate"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestLocateAsksOnceForAllPartitionsAndAgainWhileALeaderMoves(t *testing.T) {
	cluster, cfg := fake(t, kfake.SeedTopics(3, "products"))
	var asked atomic.Int32
	cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.ListOffsetsRequest)
		if got := len(request.Topics[0].Partitions); len(request.Topics) != 1 || got != 3 || request.IsolationLevel != 0 {
			t.Errorf("got %d partitions of %d topics at isolation level %d asked for, want 3 of 1 at 0", got, len(request.Topics), request.IsolationLevel)
		}
		if asked.Add(1) > 1 {
			return nil, nil, false
		}
		const notAvailable = 78 // the new leader's high watermark has not caught up
		response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = request.Topics[0].Topic
		for _, p := range request.Topics[0].Partitions {
			partition := kmsg.NewListOffsetsResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, notAvailable
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	pair, err := open(t, cfg, kafka.Options{}).Locate(t.Context(), "products", time.Minute)
	if err != nil || len(pair.Ends) != 3 {
		t.Errorf("got %+v and %v, want the ends of 3 partitions", pair, err)
	}
	if got := asked.Load(); got != 2 {
		t.Errorf("got asked %d times, want twice", got)
	}
}

func TestATopicOfBrokersThatKnowNoIDsHasNone(t *testing.T) {
	_, cfg := fake(t, kfake.SeedTopics(2, "products"), kfake.MaxVersions(kversion.V2_7_0()))
	pair, err := open(t, cfg, kafka.Options{}).Locate(t.Context(), "products", time.Minute)
	if err != nil || pair.ID != "" || len(pair.Ends) != 2 {
		t.Errorf("got %+v and %v, want no id and the ends of 2 partitions", pair, err)
	}
}
