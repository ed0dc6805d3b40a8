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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// refused runs a command that must not do anything, and say why in these words.
func (s *tale) refused(code int, args []string, says ...string) {
	s.t.Helper()
	out, stderr, got := s.site.command(s.t, args...)
	s.t.Logf("kafkasync %s\n%s%s", strings.Join(args, " "), out, stderr)
	if problem := contains(strings.Join(args, " "), unfolded(stderr), says...); problem != "" || got != code || out != "" {
		s.t.Errorf("kafkasync %s: got exit status %d and the output %q, want %d and none; %s", strings.Join(args, " "), got, out, code, problem)
	}
}

func TestAnOrderThatDoesHarmIsRefused(t *testing.T) {
	t.Parallel()
	s := newTale(t, devtest.Postgres(t), "healthy")
	s.begin()
	s.keep()
	p, err := s.site.pipeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, _, code := s.site.command(t, "position", "show", s.name)
	if problem := contains("position show", unfolded(out), "position "+p.Position, "node a", "epoch 1"); problem != "" || code != 0 {
		t.Errorf("got exit status %d, want 0; %s", code, problem)
	}
	early := p.Position[:strings.LastIndexByte(p.Position, ':')] + ":0/1"
	late := p.Position[:strings.LastIndexByte(p.Position, ':')] + ":FF/0"
	for _, tt := range []struct {
		order string // after it: its arguments
		says  []string
	}{
		{"recover healthy --new-slot", []string{"pipeline healthy is streaming: there is nothing to recover", "kafkasync position set healthy POSITION"}},
		{"recover healthy --adopt-slot --accept-gap", []string{"there is nothing to recover"}},
		{"recover healthi --new-slot", []string{"there is no pipeline healthi", "did you mean healthy?"}},
		{"position show healthi", []string{"there is no pipeline healthi", "did you mean healthy?"}},
		{"position set healthy --yes " + p.Position + "x", []string{"is not an LSN", "kafkasync position show"}},
		{"position set healthy --yes " + early, []string{"the server has forgotten its log before", "where slot kafkasync_healthy stands"}},
		{"position set healthy --yes " + late, []string{"the server's log ends at"}},
		{"position set healthy --yes 1:1:0/16B3748", []string{"the server is system "}},
		{"table forget healthy public.products --yes", []string{"a rule of pipeline healthy captures public.products", "take its rule out of the file"}},
		{"table forget healthy public.product --yes", []string{"pipeline healthy does not cover public.product", "did you mean public.products?"}},
		{"pipeline drop healthi --yes", []string{"there is no pipeline healthi", "did you mean healthy?"}},
	} {
		s.refused(1, strings.Fields(tt.order), tt.says...)
	}
	s.refused(2, []string{"recover", "healthy"}, "exactly one of --new-slot, --adopt-slot and --skip-to")
	s.refused(2, []string{"recover"}, "recover needs PIPELINE")

	// The token is the node's, and the file of whoever gives an order may have another one.
	file, err := os.ReadFile(s.site.file)
	if err != nil {
		t.Fatal(err)
	}
	s.site.write(t, strings.Replace(string(file), operatorToken, "guessed", 1))
	s.refused(1, []string{"pipeline", "drop", "healthy", "--yes"}, "the node at "+s.site.http+" does not accept the token", "set http.token in the file")
	s.site.write(t, strings.Replace(string(file), ", token: "+operatorToken, "", 1))
	s.refused(1, []string{"pipeline", "drop", "healthy", "--yes"}, "needs http.token, which the file does not set")
	s.site.write(t, string(file))

	s.keep()
	s.gaps(0)
	s.arrived()
	if strings.Contains(s.node.log.String(), operatorToken) {
		t.Error("the token is in the log")
	}
	s.end()
}

func TestATableIsForgottenAndAPipelineDropped(t *testing.T) {
	t.Parallel()
	s := newTale(t, devtest.Postgres(t), "dropped")
	s.begin()
	s.keep()
	s.end()
	s.settle(s.url, "- {match: public.products, topic: "+s.topic+"-products}")
	s.start()
	message := s.halted("waiting", "public.orders is covered by this pipeline, and no rule of the file mentions it any more")
	_, rest, _ := strings.Cut(message, "kafkasync table forget ")
	command, _, _ := strings.Cut(rest, " (")
	forget := append([]string{"table", "forget"}, strings.Fields(command)...)
	out, _, code := s.site.command(t, forget...)
	if problem := contains("table forget", unfolded(out), "will not remember any more that it covers public.orders", `ALTER PUBLICATION "kafkasync_dropped" DROP TABLE "public"."orders";`, "Nothing has been done"); problem != "" || code != 1 {
		t.Errorf("without --yes: got exit status %d, want 1; %s", code, problem)
	}
	s.obey(append(forget, "--yes")...)
	s.sql("INSERT INTO orders VALUES (1000)") // which nobody wants any more
	s.write(false)
	if p, err := s.site.pipeline(t.Context()); err != nil || len(p.Tables) != 1 || p.Tables[0] != "public.products" {
		t.Errorf("got the tables %v (%v), want public.products alone", p.Tables, err)
	}
	drained(t, s.url, s.slot())
	if found := s.published("products"); found[1] == 0 || found[2] == 0 {
		t.Errorf("got the products %v, want 1 and 2", found)
	}

	drop := []string{"pipeline", "drop", "dropped"}
	out, _, code = s.site.command(t, drop...)
	if problem := contains("pipeline drop", unfolded(out), "Its slot and its publication will be removed", "Nothing has been done"); problem != "" || code != 1 {
		t.Errorf("without --yes: got exit status %d, want 1; %s", code, problem)
	}
	out, stderr, code := s.site.command(t, append(drop, "--yes")...)
	if problem := contains("pipeline drop", unfolded(out), "Pipeline dropped was dropped. Take it out of the file"); problem != "" || code != 0 {
		t.Errorf("got exit status %d and %s, want 0; %s", code, stderr, problem)
	}
	s.node.reaches(t, "stopped", "pipeline dropped was dropped")
	left := query[int](t, s.url, "SELECT (SELECT count(*) FROM pg_publication)::int + (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())::int")
	if left != 0 {
		t.Errorf("got %d slots and publications, want none", left)
	}
	s.refused(1, append(drop, "--yes"), "pipeline dropped was dropped")
	s.end()

	// Started with it again, it begins anew.
	s.begin()
	s.sql("INSERT INTO products VALUES (1001)")
	drained(t, s.url, s.slot())
	if found := s.published("products"); found[1001] == 0 {
		t.Errorf("got the products %v, want 1001", found)
	}
	s.end()
}
