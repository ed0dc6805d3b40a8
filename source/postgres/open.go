package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	st, err := s.open(ctx, at, memory)
	if err != nil {
		return nil, s.explain(err)
	}
	return st, nil
}

func (s *Source) open(ctx context.Context, at place, memory source.Memory) (*stream, error) {
	conn, err := s.primary(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	slot, err := s.findOurs(ctx, conn, at)
	if err != nil {
		return nil, err
	}
	if err := s.evict(ctx, conn, slot, memory); err != nil {
		return nil, err
	}
	w := new(wire)
	replication, err := s.connectReplication(ctx, w, applicationName(s.application, memory.Cluster(), memory.Epoch()))
	if err != nil {
		return nil, err
	}
	st, err := s.begin(ctx, conn, replication, slot, at, memory)
	if err != nil {
		hangUp(ctx, replication)
		return nil, err
	}
	st.wire = w
	s.launch(ctx, st)
	return st, nil
}

// begin finds out where to start, makes sure that the publication holds what it
// must, and asks the server for its log.
func (s *Source) begin(ctx context.Context, conn *pgx.Conn, replication *pgconn.PgConn, slot *slotState, at place, memory source.Memory) (*stream, error) {
	server, err := identify(ctx, replication)
	if err != nil {
		return nil, err
	}
	start, err := s.startAt(ctx, replication, server, slot, at)
	if err != nil {
		return nil, err
	}
	k := s.newKeeper(memory)
	published, err := k.open(ctx, conn, start)
	if err != nil {
		return nil, err
	}
	s.show(published)
	binary, err := s.binary(ctx, conn, published)
	if err != nil {
		return nil, err
	}
	interval, err := feedbackInterval(ctx, replication)
	if err != nil {
		return nil, err
	}
	err = pglogrepl.StartReplication(ctx, replication, quoteName(s.cfg.Slot), start.lsn, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: s.pluginArguments(binary),
	})
	if err != nil {
		return nil, classify(err, fmt.Sprintf("reading slot %s", s.cfg.Slot))
	}
	st := s.newStream(replication, k, start)
	st.decoder.binary, st.decoder.textOnly, st.feedbackEvery = binary, &s.textOnly, interval
	return st, nil
}

// findOurs returns the slot, if it can be read and is of our make. at is the
// checkpoint, for the text about one that is not there; the zero place is none.
func (s *Source) findOurs(ctx context.Context, conn *pgx.Conn, at place) (*slotState, error) {
	slot, err := findSlot(ctx, conn, s.cfg.Slot)
	if err != nil {
		return nil, err
	}
	if slot == nil {
		return nil, s.slotGone(ctx, conn, at)
	}
	s.retained.Store(slot.Retained) // also where reading cannot begin, and the log grows
	return slot, s.requireOurs(slot)
}

// newStream makes the stream that begins at a place.
func (s *Source) newStream(conn *pgconn.PgConn, k *keeper, at place) *stream {
	now, beside := time.Now(), onSame(s.conn, at)
	st := &stream{
		source: s, conn: conn, at: at, told: at.lsn, toldAt: now, heardAt: now, opened: now,
		decoder: pgoutput{
			selector: s.selector, catalog: lookup{beside}, relations: map[uint32]*relation{}, keys: &s.keys, end: at.lsn,
		},
		monitor: &monitor{
			conn: beside, log: s.log, keeper: k, slot: &slotWatch{source: s, log: s.log, retained: &s.retained}, done: make(chan struct{}),
		},
		vigil:         &vigil{conn: beside, server: conn.Conn().RemoteAddr(), node: s.node, done: make(chan struct{})},
		feedbackEvery: feedbackEvery,
		requests:      make(chan request), confirm: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	st.confirmed.Store(uint64(at.lsn))
	st.reached.Store(uint64(at.lsn))
	st.heard.Store(-1)
	st.monitor.heard.Store(&now)
	st.vigil.silence = func() time.Duration { return min(st.silence(), st.monitor.silence()) }
	return st
}

// launch starts the goroutine that owns the connection, and the monitor and the vigil beside
// it. They live until Close, longer than the call that opens the stream.
func (s *Source) launch(ctx context.Context, st *stream) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	st.cancel = cancel
	st.monitor.leave = func(err error) {
		cancel(err)
		st.wake()
	}
	go st.run(ctx)
	reached := func() pglogrepl.LSN { return pglogrepl.LSN(st.reached.Load()) }
	st.monitor.keeper.confirmed = st.flushed
	go st.monitor.run(ctx, reached)
	st.vigil.leave = st.monitor.leave
	go st.vigil.run(ctx)
}
