package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// Open starts the log behind a position, after it has made sure that the slot
// still holds what follows it: a server that is asked for less or more than it has
// starts somewhere else without a word.
func (s *Source) Open(ctx context.Context, from source.Position, memory source.Memory) (source.Stream, error) {
	at, err := parsePosition(from)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := s.prepare(ctx, at); err != nil {
		return nil, err
	}
	w := new(wire)
	conn, err := s.connectReplication(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, conn, at); err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return s.newStream(ctx, conn, w, at), nil
}

// prepare keeps the publication in step and looks at the slot.
func (s *Source) prepare(ctx context.Context, at place) error {
	conn, err := s.primary(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	slot, err := findSlot(ctx, conn, s.cfg.Slot)
	if err != nil {
		return err
	}
	if slot == nil {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the replication slot %s does not exist any more", s.cfg.Slot),
			Risk: riskSlotGone, Fix: beginAnew(s.cfg.Slot),
		}
	}
	if err := s.requireOurs(slot); err != nil {
		return err
	}
	if slot.ConfirmedFlush > at.lsn {
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the replication slot %s has moved to %s, beyond the checkpoint at %s: something else has read it, or it was made anew", slot.Name, slot.ConfirmedFlush, at.lsn),
			Risk:  "changes between the two", Fix: beginAnew(s.cfg.Slot),
		}
	}
	return s.follow(ctx, conn)
}

// start compares the server with the position and asks it for the log.
func (s *Source) start(ctx context.Context, conn *pgconn.PgConn, at place) error {
	server, err := identify(ctx, conn)
	if err != nil {
		return err
	}
	switch {
	case server.system != at.system:
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the server is another one: its system identifier is %s, the checkpoint is of %s", server.system, at.system),
			Risk:  "all changes since the checkpoint", Fix: "point source.postgres.url at the server of before, or " + fixNewSlot,
		}
	case server.timeline != at.timeline:
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the server is on timeline %d, the checkpoint on %d: a standby was promoted or a backup restored", server.timeline, at.timeline),
			Risk:  "changes around the switch", Fix: beginAnew(s.cfg.Slot),
		}
	case server.lsn < at.lsn:
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the server's log ends at %s, before the checkpoint at %s: it was restored to an earlier point", server.lsn, at.lsn),
			Risk:  "what was published after that point and is gone from the database", Fix: beginAnew(s.cfg.Slot),
		}
	}
	err = pglogrepl.StartReplication(ctx, conn, quoteName(s.cfg.Slot), at.lsn, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication,
		PluginArgs: []string{
			"proto_version '1'",
			// A list of names within a literal: quoted twice.
			"publication_names " + quoteText(quoteName(s.cfg.Publication)),
			"messages 'true'", // else a heartbeat would be an empty transaction, which is not sent
		},
	})
	return classify(err, fmt.Sprintf("reading slot %s", s.cfg.Slot))
}

// newStream starts the goroutine that owns the connection, and the monitor
// beside it. Both live until Close, longer than the call that opens them.
func (s *Source) newStream(ctx context.Context, conn *pgconn.PgConn, w *wire, at place) *stream {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	now := time.Now()
	st := &stream{
		conn: conn, wire: w, at: at, told: at.lsn, toldAt: now, heardAt: now, cancel: cancel,
		decoder: pgoutput{
			selector: s.selector, catalog: lookup{s.conn}, relations: map[uint32]*relation{}, end: at.lsn,
		},
		monitor:  &monitor{conn: s.conn, log: s.log, done: make(chan struct{})},
		requests: make(chan request), confirm: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	st.monitor.leave = func(err error) {
		cancel(err)
		st.wake()
	}
	st.confirmed.Store(uint64(at.lsn))
	st.reached.Store(uint64(at.lsn))
	go st.run(ctx)
	go st.monitor.run(ctx, func() pglogrepl.LSN { return pglogrepl.LSN(st.reached.Load()) })
	return st
}
