package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// killAt is the part of the bulk update that is in Kafka when the node is killed.
const killAt = 0.25

// errMissing ends the scenes early; the summary says what is missing.
var errMissing = errors.New("messages are missing")

// firstRow inserts one row, and starts the consumer once its message is there: so
// nothing that comes later is measured while the consumer still joins its group.
func (d *demo) firstRow(ctx context.Context, consume func()) error {
	d.say.title("One row")
	c, err := d.do(ctx, "INSERT INTO products (name) VALUES ('the first change')")
	if err != nil {
		return err
	}
	ok, err := until(ctx, func() (bool, int) { return d.stack.published() > 0, 0 })
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("waiting for the first message: nothing arrived within %s", patience)
	}
	consume()
	if err := d.arrive(ctx, c); err != nil {
		return err
	}
	d.messages(c, false)
	d.say.faint("  the consumer begins with it; from here on it waits for messages, and measures")
	return d.say.err
}

// seedsExample is the statement that model callbacks never see.
func (d *demo) seedsExample(ctx context.Context) error {
	d.say.title("A bulk update, which no model callback ever sees")
	c, err := d.do(ctx, "UPDATE products SET featured = true WHERE on_stock")
	if err != nil {
		return err
	}
	if err := d.arrive(ctx, c); err != nil {
		return err
	}
	d.messages(c, true)
	d.say.line("  ... and the rest: all %s rows arrived within %s of the commit",
		grouped(len(c.rows)), span(d.ledger.last(c)))
	return d.say.err
}

// killedInTheMiddle kills the node while it publishes a large transaction.
func (d *demo) killedInTheMiddle(ctx context.Context) error {
	d.say.title("kill -9 in the middle of a larger one")
	// Not what the consumer has: it may be so far behind that all is published. Of the bulk's twins none is due yet.
	before := d.stack.published()
	c, err := d.do(ctx, "UPDATE products SET price = price * 0.9")
	if err != nil {
		return err
	}
	ok, err := until(ctx, func() (bool, int) {
		n := d.stack.published() - before
		return float64(n) >= killAt*float64(len(c.rows)), n
	})
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("waiting for the bulk update: %s of %s messages are in Kafka, and no more for %s",
			grouped(d.stack.published()-before), grouped(len(c.rows)), patience)
	}
	inKafka, pid, killed := d.stack.published()-before, d.stack.node.PID(), time.Now()
	if err := d.stack.node.Kill(); err != nil {
		return err
	}
	d.say.line("  %s   with %s of %s messages in Kafka", d.say.prompt("$", fmt.Sprintf("%-13s", "kill -9 "+strconv.Itoa(pid))),
		grouped(inKafka), grouped(len(c.rows)))
	if err := d.stack.node.Start(ctx); err != nil {
		return err
	}
	if err := d.stack.streaming(ctx); err != nil {
		return err
	}
	d.away = time.Since(killed)
	d.say.line("  %s   reads Postgres' log again, %s after the kill", d.say.prompt("$", "kafkasync run"), span(d.away))
	if err := d.arrive(ctx, c); err != nil {
		return err
	}
	d.say.line("  all %s rows arrived", grouped(len(c.rows)))
	return d.say.err
}

// twins shows that each message comes a second time.
func (d *demo) twins(ctx context.Context) error {
	d.say.title(fmt.Sprintf("The same again after %s, to heal whatever a consumer missed or got wrong meanwhile", delay))
	if err := d.healed(ctx); err != nil {
		return err
	}
	d.list(d.ledger.later(d.seen[len(d.seen)-1]), true)
	twins, _ := d.ledger.resent()
	d.say.line("  ... and the rest: %s delay messages for %s messages", grouped(twins), grouped(d.ledger.count()))
	return d.say.err
}

// twinsAfterTheKill waits for those of the large transaction: the killed node was also the
// one that was to re-send, and Kafka waits for its session to end before another may.
func (d *demo) twinsAfterTheKill(ctx context.Context) error {
	if err := d.healed(ctx); err != nil {
		return err
	}
	d.say.line("  and the newest message of every row came again after %s, or a little later: Kafka gives a killed node's", delay)
	d.say.line("  share of that work to another one when it has not been heard of for 6s")
	return d.say.err
}

// healed waits until the newest message of every row has its twin.
func (d *demo) healed(ctx context.Context) error {
	ok, err := until(ctx, func() (bool, int) {
		twins, behind := d.ledger.resent()
		return behind == 0, twins
	})
	if err != nil {
		return fmt.Errorf("waiting for the delay messages: %w", err)
	}
	if !ok {
		twins, behind := d.ledger.resent()
		d.say.line("  %s delay messages arrived, %s rows wait for theirs, and no message for %s", grouped(twins), grouped(behind), patience)
		return errMissing
	}
	return nil
}

// do runs a statement as psql would show it.
func (d *demo) do(ctx context.Context, sql string) (*change, error) {
	d.say.line("  %s", d.say.prompt("shop=#", sql+";"))
	c, err := do(ctx, d.stack.app, sql)
	if err != nil {
		return nil, err
	}
	d.seen = append(d.seen, c)
	d.say.line("  %s", c.tag)
	return c, d.say.err
}

// arrive waits until as many rows arrived as were changed; which ones is compared in the end.
func (d *demo) arrive(ctx context.Context, c *change) error {
	ok, err := until(ctx, func() (bool, int) {
		n := d.ledger.arrived(c)
		return n >= len(c.rows), d.ledger.count()
	})
	if err != nil {
		return fmt.Errorf("waiting for the messages: %w", err)
	}
	if !ok {
		d.say.line("  %s of %s rows arrived, and no message for %s", grouped(d.ledger.arrived(c)), grouped(len(c.rows)), patience)
		return errMissing
	}
	return nil
}

// settle waits until Postgres has been told that nothing is left to do.
func (d *demo) settle(ctx context.Context) error {
	var failed error
	ok, err := until(ctx, func() (bool, int) {
		at, err := confirmed(ctx, d.stack.app)
		if err != nil {
			failed = err
			return true, 0
		}
		n := d.ledger.count()
		return at > d.ledger.latest(), n
	})
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the end of the messages: %w", err)
	case failed != nil:
		return fmt.Errorf("waiting for the end of the messages: %w", failed)
	case !ok:
		return fmt.Errorf("waiting for the end of the messages: Postgres was not told within %s that all are published", patience)
	default:
		return nil
	}
}

// messages shows the first messages of a change.
func (d *demo) messages(c *change, measured bool) {
	d.list(d.ledger.first(c), measured)
}

func (d *demo) list(messages []received, measured bool) {
	for _, m := range messages {
		after, twin := "", ""
		if measured {
			after = "   " + span(m.after) + " after commit"
		}
		if m.Delayed != 0 {
			twin = fmt.Sprintf("  delayed=%d", m.Delayed.Milliseconds())
		}
		d.say.line("  %s  %-13s op=%s  seq=%d%s%s", d.say.green(m.Topic), m.Value, m.Op, m.Seq, twin, d.say.dim(after))
	}
}
