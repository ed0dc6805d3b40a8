// Package pipeline is the loop that carries changes from a source to a sink and
// remembers how far it got:
//
//	reader:    stream.Next -> one of two batches
//	publisher: batch -> route -> pairs known -> seq -> sink.Publish -> acked position
//	committer: acked position -> lease.Commit (Raft) -> stream.Confirm (database)
//
// It promises that at every instant confirmed <= committed <= acknowledged <=
// read, whatever fails and whenever; that a batch is published only while the
// lease is held when its publishing begins; and that memory is bounded by two batches.
// It never skips a change, never retries by itself (its caller runs it again,
// from the checkpoint), and never uses a sink for a second run.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
)

const (
	commitEvery = 200 * time.Millisecond
	// What is in flight when the lease ends may still become durable: repeats, but less of them.
	flightGrace = 5 * time.Second
	// Long enough for a quorum, short enough for a lost one.
	lastCommitLimit = 2 * time.Second
)

// Router says what becomes of a change. *route.Router is one.
type Router interface {
	// Append appends the messages of the change to dst. Their memory is that of
	// the change's batch and of buf, and valid until buf is reset. Seq is not set.
	Append(dst []kafkasync.Message, buf *route.Buffer, c *source.Change) ([]kafkasync.Message, error)
}

// Config is what a pipeline is made of. All but Topics and CommitEvery must be set.
type Config struct {
	Name     string
	Source   source.Source
	OpenSink func(context.Context) (sink.Sink, error) // called once for each run
	Router   Router
	// Topics names those of what the source covers; it is called when the
	// source is open. Default: none are known before their first message.
	Topics      func() ([]string, error)
	CommitEvery time.Duration // between two checkpoints; default 200 ms
	Logger      *slog.Logger
}

// Pipeline is one source, its tables and its checkpoint.
type Pipeline struct {
	cfg    Config
	log    *slog.Logger
	status *Status
}

// New validates and assigns; it starts nothing.
func New(cfg Config) (*Pipeline, error) {
	switch {
	case cfg.Name == "":
		return nil, errors.New("pipeline: the name must be set")
	case cfg.Source == nil || cfg.OpenSink == nil || cfg.Router == nil || cfg.Logger == nil:
		return nil, fmt.Errorf("pipeline %s: source, sink, router and logger must be set", cfg.Name)
	case cfg.CommitEvery < 0:
		return nil, fmt.Errorf("pipeline %s: got %v between checkpoints, want more than 0", cfg.Name, cfg.CommitEvery)
	case cfg.CommitEvery == 0:
		cfg.CommitEvery = commitEvery
	}
	if cfg.Topics == nil {
		cfg.Topics = func() ([]string, error) { return nil, nil }
	}
	return &Pipeline{cfg: cfg, log: cfg.Logger.With("pipeline", cfg.Name), status: NewStatus(cfg.Name)}, nil
}

// Status is what the pipeline knows about itself, across its runs.
func (p *Pipeline) Status() *Status { return p.status }

// Run carries changes under one lease, from its position on, until ctx ends or
// something fails, and returns why: the cause of ctx, or the first error. ctx
// ends with the lease. Reading stops at once; the batch in flight has 5 s more to become durable, the
// last checkpoint 2 s after that. One call at a time.
func (p *Pipeline) Run(ctx context.Context, lease Lease) error {
	p.status.begin(lease.Epoch(), lease.Position(), time.Now())
	p.status.starting()
	err := p.run(ctx, lease)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx) // libraries say "context canceled" where the cause says who ended it
	}
	shown := err
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		shown = nil // someone asked for it
	}
	p.status.SetState(Waiting, shown)
	return err
}

func (p *Pipeline) run(ctx context.Context, lease Lease) error {
	out, err := p.cfg.OpenSink(ctx)
	if err != nil {
		return fmt.Errorf("opening the sink: %w", err)
	}
	defer p.close("sink", out)
	if lease.Position() == "" {
		// A Kafka that is away must not leave a slot behind, which holds the database's log.
		if err := p.prepare(ctx, out, nil); err != nil {
			return err
		}
	}
	from, err := p.start(ctx, lease)
	if err != nil {
		return err
	}
	stream, err := p.cfg.Source.Open(ctx, from, lease)
	if err != nil {
		return fmt.Errorf("opening the source: %w", err)
	}
	defer p.close("source", stream)
	p.status.watch(stream, time.Now())
	defer func() { p.status.watch(nil, time.Now()) }()
	topics, err := p.cfg.Topics()
	if err != nil {
		return fmt.Errorf("naming the topics: %w", err)
	}
	if err := p.prepare(ctx, out, topics); err != nil {
		return err
	}
	p.status.SetState(Streaming, nil)
	return p.carry(ctx, lease, from, stream, out)
}

// prepare makes a sink ready that can be.
func (p *Pipeline) prepare(ctx context.Context, out sink.Sink, topics []string) error {
	preparer, ok := out.(sink.Preparer)
	if !ok {
		return nil
	}
	if err := preparer.Prepare(ctx, topics); err != nil {
		return fmt.Errorf("preparing the topics: %w", err)
	}
	return nil
}

// start returns the position to read from. Before the first reading it is
// resolved and committed: if it were not, a crash would move "now", and lose
// what lies between.
func (p *Pipeline) start(ctx context.Context, lease Lease) (source.Position, error) {
	if from := lease.Position(); from != "" {
		return from, nil
	}
	head, err := p.cfg.Source.Head(ctx, lease)
	if err != nil {
		return "", fmt.Errorf("preparing the source: %w", err)
	}
	if head == "" {
		return "", errors.New("preparing the source: it has no position")
	}
	if err := lease.Commit(ctx, head); err != nil {
		return "", fmt.Errorf("committing the first position: %w", err)
	}
	p.status.committed(head)
	return head, nil
}

// close is for the end of a run, whose error is known already.
func (p *Pipeline) close(what string, c io.Closer) {
	if err := c.Close(); err != nil {
		p.log.Warn("closing at the end of a run", "part", what, "err", err)
	}
}
