package e2e_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A leader that is frozen beyond its lease is replaced. When it wakes up it is in the middle of whatever it did: it
// may publish what was in flight, and that is all.
func TestALeaderThatWasFrozenDoesNoHarm(t *testing.T) {
	s := newStand(t, "frozen")
	s.start(t, trioIDs...)
	s.begin()
	frozen := s.leader(t)
	for _, long := range []time.Duration{0, time.Second} { // beyond the time that the others need
		s.now("SIGSTOP of the leader", "%s", frozen)
		s.freeze(frozen)
		delete(s.nodes, frozen)
		leader := s.leader(t)
		moment(t, long)
		before := s.reader()
		s.now("SIGCONT", "of %s, while %s leads", frozen, leader)
		s.thaw(frozen)
		s.load.goesOn(t)
		s.whole(t)
		// The one that woke up has neither taken the slot away from the new leader, nor leadership.
		if after := s.reader(); after != before {
			t.Errorf("walsender %v reads the slot, want %v, as before node %s woke up", after, before, frozen)
		}
		if got := s.leader(t); got != leader {
			t.Errorf("got the leader %s, want %s", got, leader)
		}
		frozen = leader
	}
	report(t, overtaken(t, s.judge()))
}

// overtaken leaves out what only says that something came late. Behind what the new leader has published, what was in flight may come again.
func overtaken(t testing.TB, all []string) (problems []string) {
	t.Helper()
	for _, problem := range all {
		if !strings.Contains(problem, ": seq ") && !strings.Contains(problem, "the log goes back") {
			problems = append(problems, problem)
		} else {
			t.Log(problem)
		}
	}
	return problems
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
