package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/web"
)

// These accidents happen to whole servers, so that they need some of their own, which
// bound the log that a slot keeps.
func TestAnAccidentOfAServerEndsInOneMessageWhoseCommandWorks(t *testing.T) {
	t.Parallel()
	server, newest := ownPostgres(t, ""), ownPostgres(t, "18")
	t.Run("a position is set back", func(t *testing.T) { setBack(newTale(t, server, "set_back")) })
	for _, a := range serverAccidents() {
		t.Run(a.name, func(t *testing.T) {
			on := server
			if a.on != "" {
				on = newest
			}
			a.play(newTale(t, on, strings.ReplaceAll(a.name, " ", "_")))
		})
	}
}

// ownPostgres starts a server that the test may stop and put another one in the place of.
func ownPostgres(t *testing.T, version string) *devstack.Postgres {
	t.Helper()
	devtest.PostgresVersion(t, version) // installs it
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Version: version, Settings: map[string]string{
		"fsync": "off", "max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "64MB",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, server.Close()) })
	return server
}

func serverAccidents() []accident {
	data := func(s *tale) string { return filepath.Join(s.server.Dir(), "data") }
	backup := func(s *tale) string { return filepath.Join(s.server.Dir(), "copy-of-"+s.name) }
	return []accident{
		{
			name: "slot invalidated", happen: (*tale).press, awake: true, command: "--new-slot",
			says: []string{"the replication slot kafkasync_slot_invalidated was invalidated: its log was removed"},
		},
		{
			name: "slot invalidated on 18", on: "18", happen: (*tale).press, awake: true, command: "--new-slot",
			says: []string{"the replication slot kafkasync_slot_invalidated_on_18 was invalidated: wal_removed"},
		},
		{
			name: "server restored", command: "--new-slot", awake: true, rewound: true,
			says: []string{"the server's log ends at ", ", before the checkpoint at ", ": it was restored to an earlier point"},
			before: func(s *tale) {
				s.keep()
				closed(s.t, s.server.Stop())
				s.run("cp", "-a", data(s), backup(s))
				s.startServer()
				s.node.reaches(s.t, "streaming")
				// What comes now will be undone. It is long: the restored log must end before it.
				s.sql("SELECT pg_switch_wal()")
			},
			happen: func(s *tale) {
				closed(s.t, s.server.Stop())
				s.run("rm", "-r", data(s))
				s.run("mv", backup(s), data(s))
				s.startServer()
				s.lose()
			},
		},
		{
			name: "another server", command: "--new-slot", awake: true, rewound: true, renewed: true, wide: true,
			says: []string{"the server is another one: its system identifier is "},
			happen: func(s *tale) {
				other := ownPostgres(s.t, "")
				name := s.database()
				if err := other.CreateDatabase(s.t.Context(), name); err != nil {
					s.t.Fatal(err)
				}
				execute(s.t, other.URL(name), taleSchema)
				closed(s.t, other.Stop())
				closed(s.t, s.server.Stop())
				s.run("rm", "-r", data(s))
				s.run("mv", data(&tale{server: other}), data(s))
				s.startServer()
				s.lose()
			},
		},
	}
}

// setBack publishes again what the server still has: after a crash its slot stands where it stood
// when it was last written to disk. While the pipeline waits, nothing is confirmed anew.
func setBack(s *tale) {
	s.t.Helper()
	s.begin()
	s.keep()
	s.keep()
	s.end()
	if err := s.server.Restart(s.t.Context(), devstack.Immediate); err != nil {
		s.t.Fatal(err)
	}
	back := s.place("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + s.slot() + "'")
	foreign := s.intrude("0")
	s.start()
	s.halted("waiting", "is being read by process ")
	p, err := s.site.pipeline(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	to := p.Position[:strings.LastIndexByte(p.Position, ':')+1] + formatLSN(back)
	out, stderr, code := s.site.command(s.t, "position", "set", s.name, to, "--yes")
	if problem := contains("position set", unfolded(out), "goes on at "+to, "and "+p.Position+" is published again"); problem != "" || code != 0 {
		s.t.Errorf("got exit status %d and %s, want 0; %s", code, stderr, problem)
	}
	foreign.kill()
	s.node.reaches(s.t, "streaming")
	s.keep()
	s.gaps(0)
	again := 0
	for _, table := range taleTables {
		found := s.published(table)
		for _, m := range s.marks {
			want := 1
			if m.after >= back && m.by <= s.marks[1].by {
				want, again = 2, again+1
			}
			if found[m.id] != want {
				s.t.Errorf("%s %d: got it %d times in Kafka, want %d", table, m.id, found[m.id], want)
			}
		}
	}
	if again == 0 {
		s.t.Errorf("nothing was published again: the slot stood at %s, the pipeline at %s", formatLSN(back), p.Position)
	}
	s.end()
}

// press writes log until the server gives the slot up, which an open transaction keeps
// from moving. That one commits at last.
func (s *tale) press() {
	s.t.Helper()
	connected(s.t, s.url, func(conn *pgx.Conn) {
		m := mark{id: len(s.marks) + 1, lost: true}
		s.exec(conn, "BEGIN", fmt.Sprintf(insertMark, m.id))
		eventually(s.t, time.Minute, func() string {
			s.sql("SELECT pg_logical_emit_message(false, 'fills', 'the log')", "SELECT pg_switch_wal()", "CHECKPOINT")
			return contains("wal_status", query[string](s.t, s.url, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = '"+s.slot()+"'"), "lost")
		})
		m.after = s.place("pg_current_wal_insert_lsn()")
		s.exec(conn, "COMMIT")
		m.by = s.place("pg_current_wal_lsn()")
		s.marks = append(s.marks, m)
	})
}

func (s *tale) exec(conn *pgx.Conn, statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (s *tale) startServer() {
	s.t.Helper()
	if err := s.server.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// run runs a program on the folder of a server, which belongs to another user.
func (s *tale) run(program string, args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

// renewedGaps waits until each table has a gap that ends in the log of the present server, and
// counts them all.
func (s *tale) renewedGaps() (all int) {
	s.t.Helper()
	eventually(s.t, time.Minute, func() string {
		p, err := s.site.pipeline(s.t.Context())
		if err != nil {
			return err.Error()
		}
		system, _, _ := strings.Cut(p.Position, ":")
		gaps := s.status().Gaps
		for _, table := range taleTables {
			if !slices.ContainsFunc(gaps, func(g web.Gap) bool { return g.Table == "public."+table && strings.HasPrefix(g.To, system) }) {
				return fmt.Sprintf("got the gaps %+v, want one of %s that ends in system %s", gaps, table, system)
			}
		}
		all = len(gaps)
		return ""
	})
	return all
}

// judgedRewound is judged for a log that has begun again: only the last row that was lost and
// the last that was kept can be told by their places, from the end of the last gaps.
func (s *tale) judgedRewound(gaps []web.Gap, wide bool) {
	s.t.Helper()
	var lost, kept mark
	for _, m := range s.marks {
		if m.lost {
			lost = m
		} else {
			kept = m
		}
	}
	for _, g := range gaps[len(gaps)-len(taleTables):] {
		to, err := placeIn(g.To)
		if err != nil || lost.by > to || kept.after < to && !wide {
			s.t.Errorf("got the gap %+v (%v), want its end behind %s, where a row was lost, and, wide %v, not behind %s", g, err, formatLSN(lost.by), wide, formatLSN(kept.after))
		}
	}
	s.arrived()
}
