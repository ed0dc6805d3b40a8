package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// remember makes the checkpoint of a running node what is said.
func (p *patient) remember(positions ...string) {
	p.options.Pipeline = "shop"
	p.options.Checkpoint = func(context.Context) (source.Position, error) {
		at := positions[0]
		if len(positions) > 1 {
			positions = positions[1:]
		}
		return source.Position(at), nil
	}
}

// at is where the slot stands, on a timeline relative to the server's.
func (p *patient) at(t *testing.T, timeline int) string {
	t.Helper()
	return query(t, p.adminURL, fmt.Sprintf(`SELECT system_identifier || ':' || timeline_id + %d || ':' || confirmed_flush_lsn
		FROM pg_control_system(), pg_control_checkpoint(), pg_replication_slots WHERE slot_name = '%s'`, timeline, p.cfg.Slot))
}

func (p *patient) said(t *testing.T, id string) string {
	t.Helper()
	for _, f := range p.check(t) {
		if f.ID == id && f.Severity == kafkasync.SeverityOK {
			return f.What
		}
	}
	return ""
}

func TestTheSlotAndTheServerAreComparedWithTheCheckpoint(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
	if got := p.said(t, "P18"); !strings.Contains(got, "only a running node knows") {
		t.Errorf("without a node: got %q, want that nothing was compared", got)
	}
	p.options.Checkpoint = func(context.Context) (source.Position, error) { return "", errors.New("no node answers") }
	if got := p.said(t, "P18"); !strings.Contains(got, "no node answers") {
		t.Errorf("got %q, want why nothing was compared", got)
	}
	p.remember("")
	if got := p.said(t, "P18"); !strings.Contains(got, "no checkpoint yet") {
		t.Errorf("got %q, want that there is no checkpoint", got)
	}
	before := p.at(t, 0)
	p.remember(before)
	p.healthy(t)

	// Somebody else reads it.
	p.do(t, fmt.Sprintf(`SELECT pg_logical_emit_message(true, 'x', 'x');
		SELECT pg_replication_slot_advance('%s', pg_current_wal_lsn());`, p.cfg.Slot))
	if fix := p.diagnosed(t, fails, "P18", "beyond the checkpoint").Fix; !strings.HasPrefix(fix, "kafkasync recover shop --adopt-slot") {
		t.Errorf("got the fix %q, want the command", fix)
	}
	p.remember(before, before, p.at(t, 0)) // a node that does not lead is told a moment later
	p.healthy(t)

	system, rest, _ := strings.Cut(before, ":")
	for name, c := range map[string]struct{ at, what string }{
		"another server":               {"1" + system + ":" + rest, "another server"},
		"a server before its failover": {p.at(t, 1), "before a promotion"},
		"a server restored":            {p.at(t, 0)[:strings.LastIndex(before, ":")] + ":FFFFFF/1", "restored to an earlier point"},
	} {
		t.Run(name, func(t *testing.T) {
			p.remember(c.at)
			if fix := p.diagnosed(t, fails, "P19", c.what).Fix; !strings.Contains(fix, "kafkasync recover shop --new-slot") {
				t.Errorf("got the fix %q, want the command", fix)
			}
		})
	}
	p.remember(p.at(t, 0))
	p.do(t, fmt.Sprintf("SELECT pg_drop_replication_slot('%s');", p.cfg.Slot))
	if got := p.said(t, "P15"); got != "" {
		t.Errorf("got %q beside the error, want it taken back", got)
	}
	if fix := p.diagnosed(t, fails, "P15", "does not exist any more").Fix; !strings.HasPrefix(fix, "kafkasync recover shop --new-slot") {
		t.Errorf("got the fix %q, want the command", fix)
	}
}
