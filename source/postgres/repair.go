package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

var _ source.Repairable = (*Source)(nil)

// Seek is described at source.Repairable. The server can be read from any place
// between where the slot stands and the end of its log.
func (s *Source) Seek(ctx context.Context, from, to source.Position) (skips bool, err error) {
	at, err := parsePosition(to)
	if err != nil {
		return false, &kafkasync.Fault{
			Class: kafkasync.Stop, What: err.Error(),
			Fix: "give a position as `kafkasync position show` prints it: system:timeline:LSN",
		}
	}
	server, slot, err := s.inspect(ctx)
	if err != nil {
		return false, s.explain(err)
	}
	refuse := func(what string, args ...any) (bool, error) {
		return false, &kafkasync.Fault{Class: kafkasync.Stop, What: fmt.Sprintf("position %s: ", to) + fmt.Sprintf(what, args...)}
	}
	switch {
	case at.system != server.system || at.timeline != server.timeline:
		return refuse("the server is system %s on timeline %d", server.system, server.timeline)
	case at.lsn < slot.ConfirmedFlush:
		return refuse("the server has forgotten its log before %s, where slot %s stands", slot.ConfirmedFlush, slot.Name)
	case at.lsn > server.lsn:
		return refuse("the server's log ends at %s", server.lsn)
	}
	if from == "" {
		return true, nil
	}
	was, err := parsePosition(from)
	if err != nil {
		return false, err
	}
	return was.system != at.system || was.timeline != at.timeline || was.lsn < at.lsn, nil
}

// inspect asks where the server and its slot stand.
func (s *Source) inspect(ctx context.Context) (place, *slotState, error) {
	conn, err := s.primary(ctx)
	if err != nil {
		return place{}, nil, err
	}
	defer hangUp(ctx, conn)
	slot, err := s.findOurs(ctx, conn, place{})
	if err != nil {
		return place{}, nil, err
	}
	server, err := s.server(ctx)
	return server, slot, err
}

// Release is described at source.Repairable: it drops the slot.
func (s *Source) Release(ctx context.Context) error {
	conn, err := s.primary(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	return s.explain(s.dropSlot(ctx, conn))
}

func (s *Source) dropSlot(ctx context.Context, conn *pgx.Conn) error {
	slot, err := findSlot(ctx, conn, s.cfg.Slot)
	if err != nil || slot == nil {
		return err
	}
	if err := s.requireMake(slot); err != nil {
		return err
	}
	if slot.ActivePID != 0 {
		return &kafkasync.Fault{
			Class: kafkasync.Wait,
			What:  fmt.Sprintf("the replication slot %s is being read by process %d (%s)", slot.Name, slot.ActivePID, slot.Application),
			Fix:   "stop that reader, then try again",
		}
	}
	_, err = conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NULL", slot.Name)
	return classify(err, "dropping slot "+slot.Name)
}

// Dismantle is described at source.Repairable: it drops the slot, and the publication
// if this role made it.
func (s *Source) Dismantle(ctx context.Context) (left []string, err error) {
	conn, err := s.primary(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	if err := s.dropSlot(ctx, conn); err != nil {
		return nil, s.explain(err)
	}
	statement := "DROP PUBLICATION IF EXISTS " + quoteName(s.cfg.Publication) + ";"
	var others bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1 AND pg_get_userbyid(pubowner) <> current_user)",
		s.cfg.Publication).Scan(&others)
	if err != nil {
		return nil, classify(err, "asking whose the publication is")
	}
	if others { // somebody else made it, and others may subscribe to it
		return []string{statement}, nil
	}
	_, err = conn.Exec(ctx, statement)
	return nil, classify(err, "running "+statement)
}
