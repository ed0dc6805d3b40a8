package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// killAt is the part of the bulk update that is in Kafka when the leader is killed.
const killAt = 0.25

// killedInTheMiddle kills the node that publishes a large transaction, and leaves it dead.
func (d *demo) killedInTheMiddle(ctx context.Context) error {
	d.say.title("kill -9 of the node that leads, in the middle of a larger one")
	// Not what the consumer has: it may be so far behind that all is published. Of the bulk's twins none is due yet.
	before := d.stack.published()
	bulk, err := d.do(ctx, "UPDATE products SET price = price * 0.9")
	if err != nil {
		return err
	}
	d.bulk = bulk
	if err := d.partly(ctx, before); err != nil {
		return err
	}
	// Not asked sooner: on a very busy machine leadership changes hands without a kill.
	leader, held, err := d.stack.leading(ctx)
	if err != nil {
		return err
	}
	d.ledger.expectAnother(d.bulk.to)
	inKafka, pid, killed := d.stack.published()-before, leader.PID(), time.Now()
	if err := leader.Kill(); err != nil {
		return err
	}
	d.killed = leader
	d.say.line("  %s   node %s, which leads; %s of %s messages are in Kafka", d.say.prompt("$", fmt.Sprintf("kill -9 %d", pid)),
		leader.Name(), grouped(inKafka), grouped(len(d.bulk.rows)))
	return d.takenOver(ctx, killed, held)
}

// partly waits until the part of the bulk update is in Kafka.
func (d *demo) partly(ctx context.Context, before int) error {
	ok, err := until(ctx, func() (bool, int) {
		n := d.stack.published() - before
		return float64(n) >= killAt*float64(len(d.bulk.rows)), n
	})
	if err == nil && !ok {
		err = fmt.Errorf("%s of %s messages are in Kafka, and no more for %s",
			grouped(d.stack.published()-before), grouped(len(d.bulk.rows)), patience)
	}
	if err != nil {
		return fmt.Errorf("waiting for the bulk update: %w", err)
	}
	return nil
}

// takenOver waits until another node has finished what the killed one, which held that lease, began, and some more.
func (d *demo) takenOver(ctx context.Context, killed time.Time, held uint64) error {
	// A small bulk may be published wholly before the kill: then this is the next change.
	meanwhile, err := d.do(ctx, "INSERT INTO products (name) VALUES ('while no node leads')")
	if err != nil {
		return err
	}
	ok, err := until(ctx, func() (bool, int) {
		next := d.ledger.another()
		d.failover = next.Sub(killed)
		return !next.IsZero(), d.ledger.count()
	})
	if err != nil {
		return fmt.Errorf("waiting for another node: %w", err)
	}
	if !ok {
		return fmt.Errorf("waiting for another node: no message for %s", patience)
	}
	leader, epoch, err := d.stack.leading(ctx)
	if err != nil {
		return err
	}
	d.say.line("  node %s has taken over by itself: the next message was there %s after the kill", leader.Name(), span(d.failover))
	if epoch != held+1 {
		d.say.faint("  (leadership has changed hands %d times since the kill: this machine is very busy)", epoch-held)
	}
	for _, c := range []*change{d.bulk, meanwhile} {
		if err := d.arrive(ctx, c); err != nil {
			return err
		}
	}
	d.say.line("  all %s rows arrived, without node %s", grouped(len(d.bulk.rows)+len(meanwhile.rows)), d.killed.Name())
	return d.say.err
}

// twinsAfterTheKill waits for those of the large transaction: the killed node was also one of
// those that re-send, and Kafka waits for its session to end before the others may.
func (d *demo) twinsAfterTheKill(ctx context.Context) error {
	if err := d.healed(ctx); err != nil {
		return err
	}
	d.say.line("  and the newest message of every row came again after %s, or a little later: Kafka gives a killed node's", delay)
	d.say.line("  share of that work to the others when it has not been heard of for 6s")
	return d.say.err
}

// comesBack starts the killed node again, which nobody has missed.
func (d *demo) comesBack(ctx context.Context) error {
	began := time.Now()
	if err := d.killed.Start(ctx); err != nil {
		return err
	}
	leader, err := d.joined(ctx, d.killed)
	if err != nil {
		return err
	}
	as := "as a follower of node " + leader
	if leader == d.killed.Name() { // on a very busy machine
		as = "and leads again"
	}
	d.say.line("  %s   process %d: up after %s, %s",
		d.say.prompt("$", "KAFKASYNC_NODE="+d.killed.Name()+" kafkasync run"), d.killed.PID(), span(time.Since(began)), as)
	return d.say.err
}

// joined waits until a node takes part, and returns which one leads.
func (d *demo) joined(ctx context.Context, node *devstack.Program) (leader string, err error) {
	role := ""
	ok, err := until(ctx, func() (bool, int) {
		if answer, ok := d.stack.ask(ctx); ok {
			leader, role = answer.Cluster.Leader, answer.role(node.Name())
		}
		return role == "follower" || role == "leader", 0
	})
	if err == nil && !ok {
		err = fmt.Errorf("after %s it is %q", patience, role)
	}
	if err != nil {
		return "", fmt.Errorf("waiting for node %s to come back: %w", node.Name(), err)
	}
	return leader, nil
}
