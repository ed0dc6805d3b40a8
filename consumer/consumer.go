// Package consumer is what an application imports to keep its own store equal to a database: it reads the
// topics of kafkasync and hands their messages to a Handler, or does the loading, upserting and deleting of one table.
//
//	group -> partitions -> batch, each row once -> Handler -> committed offset
//
// It promises that every message is handed over at least once, that the batches of a partition come in order and
// one at a time, that an offset is committed only when all before it is done, that a handler that fails or is
// slow holds up its partition alone and no heartbeat, and that what it holds is bounded in bytes. Nothing
// is skipped: what cannot be handled is tried again for as long as it takes, and shown.
//
// It never jumps to another offset silently, and needs no database driver.
package consumer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
)

// Handler is what an application does with messages.
type Handler interface {
	// Handle gets messages of one partition, in order, each row once. nil says that all of them are done; an
	// error brings the same ones again after a pause. ctx ends when the partition is
	// somebody else's (its cause is then ErrRevoked) or the time for finishing is over. The messages are the handler's to
	// keep. It is called for several partitions at the same time.
	Handle(ctx context.Context, batch []kafkasync.Message) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, batch []kafkasync.Message) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, batch []kafkasync.Message) error {
	return f(ctx, batch)
}

// ErrRevoked is why the context of a handler has ended whose partition is somebody else's by now: what
// it does will be done again there.
var ErrRevoked = errors.New("the partition was taken away")

// ErrDrain is in the error of a Run whose handlers did not end within Config.Drain.
var ErrDrain = errors.New("a handler did not end in time")

// Consumer reads topics as a member of a group.
type Consumer struct {
	cfg    Config
	broker broker.Broker
	log    *slog.Logger
	status *status
}

// New validates and assigns; it starts nothing.
func New(cfg Config) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if len(cfg.Brokers) == 0 {
		return nil, errors.New(`consumer: Brokers is empty, want addresses such as "kafka1:9092"`)
	}
	return newOn(cfg, &kafka{cfg}), nil
}

// NewOn is New on another broker than Kafka, for package consumertest.
func NewOn(cfg Config, b broker.Broker) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newOn(cfg, b), nil
}

func newOn(cfg Config, b broker.Broker) *Consumer {
	return &Consumer{cfg: cfg, broker: b, log: cfg.Logger.With("consumer", cfg.Name), status: newStatus()}
}

// How long Run waits before it joins the group again after an error that passes.
const (
	rejoinMin = time.Second
	rejoinMax = 30 * time.Second
)

// Run hands messages to h until ctx ends or something fails that does not pass by itself, and returns why. If h has
// a method Validate() error, it is asked before anything begins. Handlers
// that are at work then have Config.Drain to end, and what they did is committed. One call at a time.
func (c *Consumer) Run(ctx context.Context, h Handler) error {
	if h == nil {
		return errors.New("consumer: there is no handler")
	}
	if v, ok := h.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	for n := 1; ; n++ {
		began := time.Now()
		err := c.live(ctx, h)
		switch {
		case errors.Is(err, errOutgrown) && !errors.Is(err, ErrDrain):
			n = 0
			continue
		case ctx.Err() != nil || errors.Is(err, ErrDrain) || !isPassing(err):
			return err
		}
		if time.Since(began) > rejoinMax {
			n = 1
		}
		c.status.setError(c.cfg.explain(err))
		c.log.WarnContext(ctx, "joining the group again", "err", c.cfg.explain(err))
		if !pause(ctx.Done(), backoff(n, rejoinMin, rejoinMax)) {
			return context.Cause(ctx)
		}
	}
}

// live is one membership.
func (c *Consumer) live(ctx context.Context, h Handler) error {
	var letters broker.Sender
	if c.cfg.DeadLetters != "" {
		var err error
		if letters, err = c.broker.OpenSender(ctx, c.cfg.DeadLetters); err != nil {
			return c.cfg.explain(err)
		}
		defer letters.Close()
	}
	group, err := c.broker.Join(ctx)
	if err != nil {
		return c.cfg.explain(err)
	}
	m := newMember(c, group, h)
	m.worker.letters = letters
	err = m.live(ctx)
	return errors.Join(err, m.leave(ctx))
}
