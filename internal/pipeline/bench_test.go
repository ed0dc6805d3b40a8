package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

const benchBatch = 8192

// endless is a source that has b.N rows waiting.
type endless struct {
	table *source.Table
	left  int
}

func (e *endless) Head(context.Context, source.Memory) (source.Position, error) { return "0", nil }
func (e *endless) Open(context.Context, source.Position, source.Memory) (source.Stream, error) {
	return e, nil
}
func (e *endless) Confirm(context.Context, source.Position) error { return nil }
func (e *endless) Close() error                                   { return nil }

func (e *endless) Next(ctx context.Context, b *source.Batch) error {
	b.Reset()
	if e.left == 0 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	id := []byte("123456789")
	now := time.Now()
	for range min(benchBatch, e.left) {
		row := b.Row(1)
		row[0] = source.Value{Kind: source.BigInt, Bytes: b.Copy(id)}
		b.Changes = append(b.Changes, source.Change{Table: e.table, Op: kafkasync.Updated, New: row, Committed: now, Place: "0/1"})
	}
	e.left -= len(b.Changes)
	b.Pos = "1"
	return nil
}

// plain routes as little as one can.
type plain struct{}

func (plain) Append(dst []kafkasync.Message, _ *route.Buffer, c *source.Change) ([]kafkasync.Message, error) {
	return append(dst, kafkasync.Message{
		Topic: "items", Key: c.New[0].Bytes, Value: c.New[0].Bytes, Op: c.Op, Table: c.Table.Name, Committed: c.Committed, Pos: c.Place,
	}), nil
}

// BenchmarkRun is what the loop costs a row: by itself, and with real rules.
func BenchmarkRun(b *testing.B) {
	rules, err := route.New("bench", []route.Rule{{Match: "public.items", Delay: 5 * time.Minute}}, route.Encoding{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("plain", func(b *testing.B) { benchmarkRun(b, plain{}) })
	b.Run("rules", func(b *testing.B) { benchmarkRun(b, rules) })
}

func benchmarkRun(b *testing.B, router pipeline.Router) {
	table := &source.Table{Name: "public.items", Columns: []string{"id"}, PrimaryKey: []string{"id"}}
	ctx, end := context.WithCancelCause(b.Context())
	published := 0
	out := sinkFunc(func(_ context.Context, msgs []kafkasync.Message) error {
		if published += len(msgs); published == b.N {
			end(errDone)
		}
		return nil
	})
	p, err := pipeline.New(pipeline.Config{
		Name: "bench", Source: &endless{table: table, left: b.N}, OpenSink: out.open, Router: router, Logger: quiet(),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	if err := p.Run(ctx, newCluster(nowhere).grant()); !errors.Is(err, errDone) {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
