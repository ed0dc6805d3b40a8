package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
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
		before := c.pipelineReader()
		c.wake(id, heal)
		c.whole(c.t)
		// Leadership may have moved on meanwhile, but who woke up has not taken the slot from its successor.
		if after := c.pipelineReader(); after.epoch < before.epoch || after.epoch == before.epoch && after != before {
			c.t.Errorf("%+v reads the slot, want %+v, as before node %s woke up, or who has a later lease", after, before, id)
		}
	}
}

// slotReader is a connection that reads the slot, under the lease of which epoch.
type slotReader struct {
	pid   int
	epoch int
}

// pipelineReader waits until somebody reads the slot.
func (c *chaos) pipelineReader() (r slotReader) {
	c.t.Helper()
	eventually(c.t, time.Minute, func() string {
		said := c.reader()
		epoch := said[strings.LastIndexByte(said, '.')+1:]
		var err error
		if r.epoch, err = strconv.Atoi(epoch); err != nil {
			return said + " reads the slot"
		}
		_, err = fmt.Sscanf(said, "%d since", &r.pid)
		c.must(err)
		return ""
	})
	return r
}

func (c *chaos) wake(id string, heal func()) {
	c.auditor.order.wakes(time.Now().Truncate(time.Millisecond)) // as the broker counts
	c.thaw(id)
	heal()
}

func (s *stand) freeze(id string) { s.signal(id, syscall.SIGSTOP) }

// thaw lets a node that was frozen go on, as one that runs.
func (s *stand) thaw(id string) {
	s.t.Helper()
	s.signal(id, syscall.SIGCONT)
	s.nodes[id] = s.frozen[id]
	delete(s.frozen, id)
}

func (s *stand) signal(id string, sig syscall.Signal) {
	s.t.Helper()
	n := s.nodes[id]
	if n == nil {
		n = s.frozen[id]
	}
	if err := n.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	if sig == syscall.SIGSTOP {
		s.frozen[id] = n
	}
}

// reader is who reads the slot: a process of the server, since when, and under which name.
func (s *stand) reader() string {
	s.t.Helper()
	return query[string](s.t, s.load.url, fmt.Sprintf(`SELECT coalesce((SELECT format('%%s since %%s, %%s', pid, backend_start, application_name)
		FROM pg_replication_slots JOIN pg_stat_activity ON pid = active_pid WHERE slot_name = '%s'), 'nobody')`, s.slot))
}
