// Package demo shows the whole system on this machine: a real Postgres, MySQL or MariaDB, an
// embedded Kafka, three nodes as processes of their own, and a consumer that counts.
//
// It promises that every figure it prints is measured or counted in what
// arrived, that it fails if a single changed row did not arrive, and that
// nothing it started outlives it, even if it is killed. It never touches a
// server that it did not start.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// DefaultRows is the number of rows of the bulk update.
const DefaultRows = 200_000

// MinRows keeps the bulk update large enough for a kill in its middle.
const MinRows = 1000

// Config says how the demo is to run.
type Config struct {
	Executable string // the program whose `run -c FILE` is a node
	Source     string // the kind of database: postgres, mysql or mariadb; "": postgres
	Call       string // how a person calls that program, for the commands that are shown
	Rows       int    // of the bulk update; at least MinRows
	Keep       bool   // stay up afterwards until ctx ends
	Out        io.Writer
}

// demo is one showing.
type demo struct {
	cfg    Config
	say    *screen
	stack  *stack
	ledger *ledger
	seen   []*change // what was done to the database so far

	bulk     *change
	killed   *devstack.Program // the node that led at first
	failover time.Duration     // from the kill until the consumer had a message of another node
}

// Run shows the demo and returns nil if every changed row arrived and, with
// Keep, once ctx ended; the end of ctx before that is an error.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Rows < MinRows {
		return fmt.Errorf("starting the demo: got %d rows, want at least %d", cfg.Rows, MinRows)
	}
	k, err := kindOf(cfg.Source)
	if err != nil {
		return err
	}
	d := &demo{cfg: cfg, say: newScreen(cfg.Out), ledger: newLedger(k.place)}
	d.say.line("%s: a real %s, an embedded Kafka, three nodes of kafkasync and a consumer,", d.say.bold("kafkasync demo"), k.name)
	d.say.line("in temporary folders. All of it ends with this program.")
	if err := devstack.Install(ctx, cfg.Out, k.component); err != nil {
		return interrupted(ctx, err)
	}
	d.stack, err = d.start(ctx, k)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() { err = errors.Join(err, d.stack.close()) }()
	shown := d.show(ctx)
	if shown != nil && !errors.Is(shown, errMissing) {
		return interrupted(ctx, d.stack.explain(shown))
	}
	if err := cmp.Or(d.summary(), shown); err != nil {
		return d.stack.explain(err)
	}
	if cfg.Keep {
		return d.keep(ctx)
	}
	d.say.line("")
	d.say.line("%s leaves all of it up, to play with.", d.say.bold(cfg.Call+" demo --keep"))
	return d.say.err
}

// show does what the demo is about, while a consumer counts.
func (d *demo) show(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	consumed := make(chan error, 1)
	started := false
	consume := func() {
		started = true
		go func() {
			err := d.stack.consume(ctx, d.ledger)
			cancel(err) // whoever waits for messages learns why there are none
			consumed <- err
		}()
	}
	err := d.scenes(ctx, consume)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(errDone)
	if started {
		if failed := <-consumed; err == nil && !errors.Is(failed, errDone) {
			err = failed
		}
	}
	return err
}

// errDone ends the consumer when all is shown.
var errDone = errors.New("the demo is over")

func (d *demo) scenes(ctx context.Context, consume func()) error {
	for _, scene := range []func(context.Context) error{
		func(ctx context.Context) error { return d.firstRow(ctx, consume) },
		d.seedsExample,
		d.twins,
		d.killedInTheMiddle,
		d.twinsAfterTheKill,
		d.comesBack,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return d.settle(ctx)
}

// start starts the servers and the nodes, and says where they are.
func (d *demo) start(ctx context.Context, k kind) (*stack, error) {
	d.say.title("Starting")
	began := time.Now()
	s, err := startStack(ctx, d.cfg, k)
	if err != nil {
		return nil, err
	}
	leader, _, err := s.leading(ctx)
	if err != nil {
		return nil, errors.Join(s.explain(err), s.close())
	}
	db := s.db.about()
	d.say.line("  %-16s %-26s database shop, table products with %s rows", k.name+" "+db.version, db.addr, grouped(d.cfg.Rows))
	d.say.line("  Kafka            %-26s embedded in this program, empty", s.brokers())
	for _, n := range s.nodes.All {
		role := "follows"
		if n == leader {
			role = "leads: it is reading the log of " + k.name
		}
		d.say.line("  kafkasync %s      %-26s process %d, %s", n.Name(), page(n), n.PID(), role)
	}
	d.say.faint("  up after %s; each node has a status page of the whole cluster there", span(time.Since(began)))
	d.say.faint("  what was in the table before is no change, so nothing is published")
	if k.seconds {
		d.say.faint("  %s writes the time of a commit by the second, so times after it may be shown up to a second too long", k.name)
	}
	return s, d.say.err
}

// interrupted says of an error that it is a person's doing, where it is.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; everything is stopped")
	}
	return err
}
