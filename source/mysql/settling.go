package mysql

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/internal/gtid"
)

// settling holds a position back until the server itself has committed what lies before it. With semi-synchronous
// replication a server sends us a transaction at once, and commits it when a replica has acknowledged it: one that is
// promoted may not have what was not, and would lack what a position names.
type settling struct {
	asked chan struct{} // holds one: a position waits
	given chan struct{} // holds one: it need not wait any more

	mu    sync.Mutex
	waits bool    // the server waits for a replica
	done  settled // as of the last look
	next  *end    // of what was read; nil: no position waits
	since time.Time
}

// end is the end of a transaction: as a position, and in the server's log.
type end struct {
	at     place
	file   string
	offset uint64
}

// settled is what a server has committed: MySQL says it by GTID, MariaDB by a place in its log, since gtid_binlog_pos
// is ahead of that.
type settled struct {
	set    gtid.Set
	file   uint64
	offset uint64
}

func (s *settled) includes(e *end) bool {
	if e.at.kind == kindMySQL {
		return s.set.Contains(e.at.set)
	}
	_, file, err := splitFile(e.file)
	return err == nil && (file < s.file || file == s.file && e.offset <= s.offset)
}

func newSettling(waits bool) *settling {
	return &settling{waits: waits, asked: make(chan struct{}, 1), given: make(chan struct{}, 1)}
}

// take returns the newest position that can be given; latest gives the end of what was read, unless that was given.
func (s *settling) take(latest func() (end, bool)) (at place, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		e, moved := latest()
		if !moved || !s.waits || e.at.kind == kindFile { // of which another server knows nothing anyhow
			return e.at, moved
		}
		e.at.set, e.at.maria = e.at.set.Clone(), e.at.maria.Clone() // they grow
		s.next, s.since = &e, time.Now()
	}
	if s.waits && !s.done.includes(s.next) {
		signal(s.asked)
		return place{}, false
	}
	at, s.next = s.next.at, nil
	return at, true
}

// waitsFor says whether the server waits for a replica.
func (s *settling) waitsFor(replica bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits = replica; !replica && s.next != nil {
		signal(s.given)
	}
}

// learn takes what the server has committed, and returns for how long a position has waited that it still lacks.
func (s *settling) learn(done settled) (waited time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = done
	switch {
	case s.next == nil:
		return 0
	case done.includes(s.next):
		signal(s.given)
		return 0
	}
	signal(s.asked)
	return time.Since(s.since)
}

// settle asks what the server has committed.
func (m *monitor) settle(ctx context.Context, c *session) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	done, err := c.settled(ctx, m.server.source.mariaDB())
	if err != nil {
		return err
	}
	const long = time.Minute
	waited := m.settling.learn(done)
	if waited >= long && m.unsettled < long {
		m.log.WarnContext(ctx, "the position stays where it is until a replica acknowledges what follows, or rpl_semi_sync_source_timeout has passed", "since", waited.Round(time.Second))
	}
	m.unsettled = waited
	return nil
}

// role asks whether a server refuses writes, and whether it waits for a replica to have them before it commits them.
func (c *session) role(ctx context.Context) (readOnly, waits bool, err error) {
	rows, err := c.askTexts(ctx, "asking for the role of the server", `SHOW GLOBAL VARIABLES WHERE Variable_name IN
		('read_only', 'rpl_semi_sync_source_enabled', 'rpl_semi_sync_master_enabled')`)
	for _, row := range rows {
		on := row[1] != "OFF" && row[1] != "0"
		if row[0] == "read_only" {
			readOnly = on
		} else {
			waits = waits || on
		}
	}
	return readOnly, waits, err
}

// settled asks what the server has committed.
func (c *session) settled(ctx context.Context, mariaDB bool) (settled, error) {
	const doing = "asking for what the server has committed"
	if !mariaDB {
		rows, err := c.askTexts(ctx, doing, "SELECT @@global.gtid_executed")
		if err != nil {
			return settled{}, err
		}
		set, err := gtid.ParseSet(rows[0][0])
		if err != nil {
			return settled{}, fmt.Errorf("%s: %w", doing, err)
		}
		return settled{set: set}, nil
	}
	rows, err := c.askTexts(ctx, doing, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Binlog_snapshot_file', 'Binlog_snapshot_position')")
	if err != nil {
		return settled{}, err
	}
	var s settled
	for _, row := range rows {
		if row[0] == "Binlog_snapshot_file" {
			_, s.file, err = splitFile(row[1])
		} else {
			s.offset, err = strconv.ParseUint(row[1], 10, 64)
		}
		if err != nil {
			return settled{}, fmt.Errorf("%s: %w", doing, err)
		}
	}
	return s, nil
}
