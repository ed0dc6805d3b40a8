package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestADataFolderThatIsGone(t *testing.T) {
	forget := func(s *tale) {
		s.end()
		if err := os.RemoveAll(filepath.Join(s.site.dir, "data")); err != nil {
			s.t.Fatal(err)
		}
	}
	t.Run("while the slot is there, it is adopted by command", func(t *testing.T) {
		s := newTale(t, devtest.Postgres(t), "adopted")
		s.begin()
		s.keep()
		forget(s)
		s.write(false) // it is in the log that the slot keeps
		s.start()
		message := s.halted("stopped", "there is a replication slot kafkasync_adopted, which this pipeline has not made")
		s.obey(s.commandIn(message)...)
		s.keep()
		s.judged(s.gaps(len(taleTables)), true)
		if gaps := s.status().Gaps; gaps[0].From != "" || gaps[1].From != "" {
			t.Errorf("got the gaps %+v, want them to begin at the tables' beginning", gaps)
		}
		s.end()
	})
	t.Run("and the slot as well, it begins anew", func(t *testing.T) {
		s := newTale(t, devtest.Postgres(t), "begun_anew")
		s.begin()
		s.keep()
		forget(s)
		s.sql("SELECT pg_drop_replication_slot('" + s.slot() + "')")
		s.lose()
		s.start()
		s.node.reaches(t, "streaming")
		s.keep()
		s.gaps(0) // nobody remembers that there was anything
		s.arrived()
		s.end()
	})
}

// intruder is a program that reads the slot of a pipeline, though it should not.
type intruder struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// intrude lets pg_recvlogical read the slot, and waits until it has it. The fsync interval says
// how often it confirms what it has read; at 0 it does not.
func (s *tale) intrude(fsync string) *intruder {
	s.t.Helper()
	program := filepath.Join(s.server.BinDir(), "pg_recvlogical")
	r := &intruder{done: make(chan struct{})}
	r.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), program, "-d", s.url, "-S", s.slot(), "--start", "--no-loop", "-f", os.DevNull,
		"-F", fsync, "-s", fsync, "-o", "proto_version=1", "-o", "publication_names="+s.slot())
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		_ = r.cmd.Wait() // it is killed
	}()
	s.t.Cleanup(func() { r.kill() })
	eventually(s.t, time.Minute, func() string {
		if !query[bool](s.t, s.url, "SELECT active FROM pg_replication_slots WHERE slot_name = '"+s.slot()+"'") {
			return "pg_recvlogical does not read the slot"
		}
		return ""
	})
	return r
}

func (r *intruder) kill() {
	_ = r.cmd.Process.Kill() // an error is that it has ended
	<-r.done
}

func TestAForeignReaderOfTheSlotIsLeftAlone(t *testing.T) {
	t.Run("and waited for", func(t *testing.T) {
		s := newTale(t, devtest.Postgres(t), "waited_for")
		s.begin()
		s.keep()
		s.end()
		r := s.intrude("0")
		s.write(false)
		s.start()
		s.halted("waiting", "the replication slot kafkasync_waited_for is being read by process ", "pg_recvlogical", "stop that program", "SELECT pg_terminate_backend(")
		eventually(t, time.Minute, func() string { return s.site.restarted(t, 3) })
		select {
		case <-r.done:
			t.Error("pg_recvlogical was ended")
		default:
		}
		if lines := linesWith(s.node.log.String(), "is being read by process"); len(lines) != 1 {
			t.Errorf("got %d lines of log about it, want 1:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		// Giving changes up is refused: it will go on without.
		_, stderr, code := s.site.command(t, "recover", s.name, "--new-slot")
		if problem := contains("recover", stderr, "has not stopped: it goes on without loss once this is over", "--accept-gap"); problem != "" || code != 1 {
			t.Errorf("got exit status %d, want 1; %s", code, problem)
		}
		r.kill()
		s.node.reaches(t, "streaming")
		s.keep()
		s.gaps(0)
		s.arrived()
		s.end()
	})
	t.Run("and what it has taken is a gap", func(t *testing.T) {
		s := newTale(t, devtest.Postgres(t), "taken")
		s.begin()
		s.keep()
		s.end()
		r := s.intrude("1")
		s.lose()
		eventually(t, time.Minute, func() string {
			at, err := confirmed(s.url, s.slot())(t.Context())
			if taken := s.marks[len(s.marks)-1].by; err != nil || at < taken {
				return fmt.Sprintf("the slot is at %s (%v), want %s", formatLSN(at), err, formatLSN(taken))
			}
			return ""
		})
		r.kill()
		s.start()
		message := s.halted("stopped", "has moved to", "something else has read it")
		s.obey(s.commandIn(message)...)
		s.keep()
		s.judged(s.gaps(len(taleTables)), false)
		s.end()
	})
}

// A database that does not know how its text is encoded holds what cannot be published.
func TestWhatCannotBePublishedIsSkippedByCommand(t *testing.T) {
	s := newTale(t, devtest.Postgres(t), "unreadable")
	ascii := s.database() + "_ascii"
	s.sql("CREATE DATABASE " + ascii + " ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() {
		if err := s.server.DropDatabase(context.WithoutCancel(t.Context()), ascii); err != nil {
			t.Error(err)
		}
	})
	s.url = s.server.URL(ascii)
	s.sql(taleSchema)
	s.settle(s.url, fmt.Sprintf("- {match: public.products, topic: %s-products, payload: [id, name]}\n- {match: public.orders, topic: %[1]s-orders}", s.topic))
	s.begin()
	unreadable := func() (beyond string) {
		s.keep()
		after := s.place("pg_current_wal_insert_lsn()")
		id := len(s.marks) + 1
		s.sql(fmt.Sprintf("WITH o AS (INSERT INTO orders VALUES (%d)) INSERT INTO products VALUES (%[1]d, E'\\xe9')", id))
		by := s.place("pg_current_wal_lsn()")
		s.marks = append(s.marks, mark{id: id, after: after, by: by, lost: true})
		s.halted("stopped", `column "name" of a changed row of public.products holds text that is not UTF-8`)
		p, err := s.site.pipeline(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p.Position[:strings.LastIndexByte(p.Position, ':')+1] + formatLSN(by)
	}

	beyond := unreadable()
	if _, stderr, code := s.site.command(t, "recover", s.name, "--skip-to", beyond); code != 2 || !strings.Contains(stderr, "add --accept-gap") {
		t.Errorf("without --accept-gap: got exit status %d and %q, want 2 and what is missing", code, stderr)
	}
	s.obey("recover", s.name, "--skip-to", beyond, "--accept-gap")
	s.keep()
	s.judged(s.gaps(len(taleTables)), false)

	beyond = unreadable()
	out, _, code := s.site.command(t, "position", "set", s.name, beyond)
	if problem := contains("position set", unfolded(out), "will be interrupted and go on at "+beyond, "Nothing has been done"); problem != "" || code != 1 {
		t.Errorf("without --yes: got exit status %d, want 1; %s", code, problem)
	}
	s.obey("position", "set", s.name, beyond, "--yes")
	s.keep()
	s.judged(s.gaps(2*len(taleTables)), false)
	s.end()
}
