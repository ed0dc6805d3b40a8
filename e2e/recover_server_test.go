package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
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
	server, newest := ownPostgres(t, ""), ownPostgres(t, "18")
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
			name: "another server", command: "--new-slot", awake: true, rewound: true,
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

// judgedRewound is judged for a log that has begun again: only the last row that was lost and
// the last that was kept can be told by their places, from the end of the last gaps.
func (s *tale) judgedRewound(gaps []web.Gap) {
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
		if err != nil || lost.by > to || kept.after < to {
			s.t.Errorf("got the gap %+v (%v), want its end between %s, where a lost row was committed, and %s", g, err, formatLSN(lost.by), formatLSN(kept.after))
		}
	}
	s.arrived()
}
