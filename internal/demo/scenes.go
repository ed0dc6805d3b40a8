package demo

import (
	"context"
	"fmt"
)

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

// do runs a statement as the database's client would show it.
func (d *demo) do(ctx context.Context, sql string) (*change, error) {
	d.say.line("  %s", d.say.prompt(d.stack.kind.prompt, sql+";"))
	c, err := d.stack.db.do(ctx, sql)
	if err != nil {
		return nil, err
	}
	d.seen = append(d.seen, c)
	d.say.line("  %s", c.tag)
	return c, d.say.err
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
