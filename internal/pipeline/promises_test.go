package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/sinktest"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

func TestAPairBecomesKnownOnceARunWithWhereItsTopicEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := sourcetest.NewMemory(10, nil)
		topics := &sinktest.Memory{Partitions: 2}
		cluster := newCluster(nowhere)
		open := func(ctx context.Context) (sink.Sink, error) { return topics.Open(ctx) }
		for run := range 2 {
			ctx, cancel := context.WithCancelCause(t.Context())
			p := newPipeline(t, db, open)
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx, cluster.grant()) }()
			synctest.Wait()
			before := len(topics.Records())
			for id := range int64(5) {
				db.Commit(insert(int64(run)*10 + id))
				if err := after(t.Context(), time.Second); err != nil {
					t.Fatal(err)
				}
			}
			cancel(errDone)
			if err := <-ended; !errors.Is(err, errDone) {
				t.Fatal(err)
			}
			if n := len(cluster.pairs); n != run+1 {
				t.Fatalf("run %d: got %d pairs told to the cluster, want one a run", run+1, n)
			}
			pair := cluster.pairs[run]
			ends := int64(0)
			for _, end := range pair.Ends {
				ends += end
			}
			if pair.Delay != time.Minute || pair.ID == "" || len(pair.Ends) != 2 || ends != int64(before) {
				t.Errorf("run %d: got %+v, want the topic's id and the ends before %d records", run+1, pair, before)
			}
		}
	})
}

func TestAPairThatTheClusterDoesNotStoreEndsTheRunBeforeAnythingIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := sourcetest.NewMemory(10, nil)
		topics := &sinktest.Memory{}
		errQuorum := errors.New("no quorum")
		cluster := newCluster(func(name string) error {
			if name == "Use, before" {
				return errQuorum
			}
			return nil
		})
		p := newPipeline(t, db, func(ctx context.Context) (sink.Sink, error) { return topics.Open(ctx) })
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context(), cluster.grant()) }()
		synctest.Wait()
		db.Commit(insert(1))
		if err := <-ended; !errors.Is(err, errQuorum) {
			t.Errorf("got the error %v, want %v", err, errQuorum)
		}
		if got := topics.Records(); len(got) > 0 {
			t.Errorf("got %d records, want none", len(got))
		}
	})
}
