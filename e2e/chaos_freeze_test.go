package e2e_test

import (
	"syscall"
	"time"
)

func (c *chaos) freezeLeader() (string, func()) { return c.freezeOne(c.leading()) }

func (c *chaos) freezeFollower() (string, func()) { return c.freezeOne(c.following()) }

func (c *chaos) freezeOne(id string) (string, func()) {
	if id == "" {
		return "", nil
	}
	alone := c.calm()
	heal := c.harm(id)
	c.freeze(id)
	delete(c.nodes, id)
	return id, func() {
		if !alone || c.lost { // without it there may be no majority that holds the data
			c.wake(id, heal)
			return
		}
		epoch, stays := c.epoch(), c.db.reader(c.t)
		c.wake(id, heal)
		c.whole(c.t)
		// Leadership may have moved on meanwhile, but who woke up has not taken the log from its successor.
		if problem := stays(); problem != "" && c.epoch() == epoch {
			c.t.Errorf("node %s woke up: %s", id, problem)
		}
	}
}

// epoch is the newest lease.
func (c *chaos) epoch() uint64 {
	c.t.Helper()
	p, err := c.any().pipeline(c.t.Context())
	c.must(err)
	return p.Epoch
}

func (c *chaos) wake(id string, heal func()) {
	c.auditor.order.wakes(time.Now().Truncate(time.Millisecond)) // as the broker counts
	c.thaw(id)
	heal()
}

func (a *arena) freeze(id string) { a.signal(id, syscall.SIGSTOP) }

// thaw lets a node that was frozen go on, as one that runs.
func (a *arena) thaw(id string) {
	a.t.Helper()
	a.signal(id, syscall.SIGCONT)
	a.nodes[id] = a.frozen[id]
	delete(a.frozen, id)
}

func (a *arena) signal(id string, sig syscall.Signal) {
	a.t.Helper()
	n := a.nodes[id]
	if n == nil {
		n = a.frozen[id]
	}
	if err := n.cmd.Process.Signal(sig); err != nil {
		a.t.Fatal(err)
	}
	if sig == syscall.SIGSTOP {
		a.frozen[id] = n
	}
}
