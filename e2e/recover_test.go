package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// accident is something that takes away from a pipeline what it would read next.
type accident struct {
	name    string
	on      string        // version of Postgres; "": Debian's
	before  func(s *tale) // while the pipeline streams; may be nil
	happen  func(s *tale)
	awake   bool // the node runs on meanwhile; else it is frozen, if it is there
	says    []string
	command string // that the message tells to run, after the pipeline's name
	wide    bool   // the gaps may hold more than is lost
	rewound bool   // the log begins again at an earlier place, so places tell nothing
	renewed bool   // the tables may be others, whose gaps begin with them and replace those before
}

func accidents() []accident {
	dropped := func(s *tale) {
		s.endReader() // first: it would send what is written to a node that is only frozen, which publishes it later
		s.lose()
		s.sql("SELECT pg_drop_replication_slot('" + s.slot() + "')")
		s.lose()
	}
	anew := func(plugin string) func(s *tale) {
		return func(s *tale) {
			dropped(s)
			s.sql("SELECT pg_create_logical_replication_slot('" + s.slot() + "', '" + plugin + "')")
		}
	}
	unpublished := func(s *tale) {
		s.sql("DROP PUBLICATION " + s.slot())
		s.lose()
	}
	republished := func(s *tale) {
		unpublished(s)
		s.sql("CREATE PUBLICATION " + s.slot() + " FOR TABLE products, orders WITH (publish_via_partition_root = true)")
		s.lose()
	}
	return []accident{
		{
			name: "slot dropped", happen: dropped, command: "--new-slot",
			says: []string{"the replication slot kafkasync_slot_dropped does not exist any more"},
		},
		{
			name: "slot made anew", happen: anew("pgoutput"), command: "--adopt-slot",
			says: []string{"the replication slot kafkasync_slot_made_anew has moved to ", "beyond the checkpoint at ", "it was made anew"},
		},
		{
			name: "publication dropped", happen: unpublished, command: "--new-slot",
			says: []string{"the publication", "exist"},
		},
		{
			name: "publication made anew", happen: republished, command: "--new-slot", wide: true,
			says: []string{"the publication did not exist when a change was written"},
		},
		{
			name: "publication dropped on 18", on: "18", happen: unpublished, command: "--new-slot",
			says: []string{"the publication", "exist"},
		},
		{
			name: "publication made anew on 18", on: "18", happen: republished, command: "--new-slot", wide: true,
			says: []string{"the publication did not exist when a change was written"},
		},
	}
}

func TestAnAccidentEndsInOneMessageWhoseCommandWorks(t *testing.T) {
	t.Parallel()
	for _, a := range accidents() {
		t.Run(a.name, func(t *testing.T) {
			a.play(newTale(t, devtest.PostgresVersion(t, a.on), strings.ReplaceAll(a.name, " ", "_")))
		})
	}
}

// play lets the accident happen twice: while the node runs, and while it does not.
func (a *accident) play(s *tale) {
	s.t.Helper()
	s.begin()
	for i, down := range []bool{false, true} {
		if a.before != nil {
			a.before(s)
		}
		s.keep()
		switch {
		case down:
			s.end()
			a.happen(s)
			s.start()
		case a.awake:
			a.happen(s)
		default:
			s.freeze()
			a.happen(s)
			s.thaw()
		}
		message := s.halted("stopped", a.says...)
		command := s.commandIn(message)
		if want := []string{"recover", s.name, a.command}; !slices.Equal(command, want) {
			s.t.Errorf("got the command %q, want %q", command, want)
		}
		s.obey(command...)
		s.keep()
		want := (1 + i) * len(taleTables)
		if a.renewed {
			want = s.renewedGaps()
		}
		most := want
		if a.wide { // a table may have joined again before the stop, which leaves a gap of its own
			most += len(taleTables)
		}
		gaps := s.gapsBetween(want, most)
		if a.rewound {
			s.judgedRewound(gaps, a.wide)
		} else {
			s.judged(gaps, a.wide)
		}
	}
	s.end()
}
