// Package delayer re-sends every message that carries a delay, on its own topic,
// once the delay has passed: what went wrong between database, message and
// consumer heals by it. There is no topic of what waits and no store of timers. It
// reads the topics themselves behind time, one consumer group for each delay: an
// acknowledged message with the header `delay` is the promise of its twin.
//
//	group -> partitions -> what is due -> collapse -> sink.Publish -> committed offset
//
// It promises that a twin is re-sent at least once for each such message, or for a newer one of the
// same row that was due with it; that it is not re-sent before its delay has passed by the clock
// that stamped the record; that each partition's come in their order; that an offset is committed
// only when everything before it is acknowledged or is none of ours; and that what it holds is
// bounded in bytes. What is not there any more is counted and told, and it goes on.
//
// It never retries by itself: an error ends Run, and its caller runs it again. A record that cannot be
// read is told of and passed over.
package delayer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
	"github.com/kafkasync/kafkasync/sink"
)

// flightGrace is how long what is in flight has to be acknowledged when a run ends.
const flightGrace = 5 * time.Second

// Config is what a delayer is made of. All of it must be set but Properties.
type Config struct {
	Name  string        // prefix of the consumer group, NAME-delayer-MILLISECONDS
	Delay time.Duration // the one delay that it re-sends

	Brokers    []string
	Properties map[string]string // any librdkafka property that does not carry our guarantees

	// Pairs returns the pairs in use, of which those with the delay count, and a channel that is closed when they change.
	Pairs    func() ([]kafkasync.Pair, <-chan struct{})
	OpenSink func(context.Context) (sink.Sink, error) // called by each run
	Clock    *Clock                                   // of the node; its sinks tell it what was appended when
	Logger   *slog.Logger

	open func(partitions int) (Group, Offsets, func(), error) // Kafka's, but in tests
	now  func() time.Time
}

// Delayer re-sends what carries one delay.
type Delayer struct {
	cfg    Config
	log    *slog.Logger
	status *Status
}

// New validates and assigns; it starts nothing.
func New(cfg Config) (*Delayer, error) {
	switch {
	case cfg.Name == "" || cfg.Delay <= 0:
		return nil, errors.New("delayer: name and delay must be set")
	case cfg.Pairs == nil || cfg.OpenSink == nil || cfg.Clock == nil || cfg.Logger == nil:
		return nil, errors.New("delayer: pairs, sink, clock and logger must be set")
	case cfg.open == nil && len(cfg.Brokers) == 0:
		return nil, errors.New("delayer: brokers must be set")
	}
	if cfg.open == nil {
		cfg.open = cfg.openKafka
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	log := cfg.Logger.With("delay", cfg.Delay.String())
	return &Delayer{cfg: cfg, log: log, status: newStatus(log)}, nil
}

// GroupOf names the consumer group of a delay.
func GroupOf(name string, delay time.Duration) string {
	return fmt.Sprintf("%s-delayer-%d", name, delay.Milliseconds())
}

// Status is what the delayer knows about itself, across its runs.
func (d *Delayer) Status() *Status { return d.status }

// Run re-sends as a member of the group, until ctx ends or something fails, and
// returns why. What is in flight then has 5 s more, and what is done is committed. One call at a time.
func (d *Delayer) Run(ctx context.Context) error {
	for {
		if err := d.run(ctx); !errors.Is(err, errOutgrown) {
			return err
		}
	}
}

func (d *Delayer) run(ctx context.Context) error {
	out, err := d.cfg.OpenSink(ctx)
	if err != nil {
		return fmt.Errorf("opening the sink: %w", err)
	}
	defer func() {
		if err := out.Close(); err != nil {
			d.log.WarnContext(ctx, "closing the sink", "err", err)
		}
	}()
	pairs, _ := d.cfg.Pairs()
	partitions := max(1, partitionsOf(byTopic(pairs, d.cfg.Delay)))
	group, offsets, done, err := d.cfg.open(partitions)
	if err != nil {
		return err
	}
	defer done()
	m := &member{
		cfg: d.cfg, delay: d.cfg.Delay.Milliseconds(), clock: d.cfg.Clock, log: d.log, status: d.status,
		group: group, offsets: offsets, decoder: newDecoder(d.cfg.Delay), partitions: map[place]*partition{}, left: map[place]rdkafka.Place{},
		batch: newBatch(), sized: partitions,
	}
	m.divide()
	return d.serve(ctx, out, m)
}

// serve runs member, publisher and surveyor until one of them fails or ctx ends, and joins them.
func (d *Delayer) serve(ctx context.Context, out sink.Sink, m *member) error {
	ctx, end := context.WithCancel(ctx)
	flight, land := outliving(ctx, flightGrace)
	defer land()
	batches, landed := make(chan *batch, 1), make(chan *batch, 1)
	found := make(chan []Partition, 1)
	m.batches, m.landed, m.found = batches, landed, found
	publish := &publisher{sink: out, wake: m.group.Wake}
	survey := &surveyor{cfg: d.cfg, offsets: m.offsets, status: d.status, found: found, wake: m.group.Wake}

	var beside sync.WaitGroup
	var failed error // the publisher's
	beside.Go(func() { failed = publish.run(flight, batches, landed) })
	beside.Go(func() { survey.run(ctx) })
	beside.Go(func() { // joined as well: nobody may wake a group that has been closed
		<-ctx.Done()
		m.group.Wake()
	})
	err := m.live(ctx)
	end()
	m.leave(ctx)
	close(batches)
	land()
	beside.Wait()
	if failed != nil && errors.Is(err, errPublishing) {
		return failed
	}
	return err
}

// outliving returns a context that ends d after ctx, or when cancel is called.
func outliving(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			end()
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		end()
	}
}

// byTopic returns the pairs with the delay.
func byTopic(pairs []kafkasync.Pair, delay time.Duration) map[string]*kafkasync.Pair {
	found := map[string]*kafkasync.Pair{}
	for i := range pairs {
		if pairs[i].Delay == delay {
			found[pairs[i].Topic] = &pairs[i]
		}
	}
	return found
}

func partitionsOf(pairs map[string]*kafkasync.Pair) int {
	sum := 0
	for _, p := range pairs {
		sum += len(p.Ends)
	}
	return sum
}
