package mysql

import (
	"context"
	"fmt"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/gtid"
	"github.com/kafkasync/kafkasync/source"
)

// Open starts the log behind a position, after it has made sure that the server has had all of
// what was read, and still has what follows.
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
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := s.continues(ctx, c, at); err != nil {
		return nil, err
	}
	end, err := c.end(ctx, s.mariaDB())
	if err != nil {
		return nil, err
	}
	_, waits, err := c.role(ctx)
	if err != nil {
		return nil, err
	}
	tables, err := s.captured(ctx, c)
	if err != nil {
		return nil, err
	}
	s.tables.Store(&tables)
	d, err := s.startDump(ctx, c.server, at)
	if err != nil {
		return nil, err
	}
	register := newCoverage(memory, s.log, at.position(), tables, end)
	if err := register.reached(ctx, at); err != nil {
		d.close()
		return nil, err
	}
	st := s.newStream(c.server, d, at, register, waits)
	st.launch(ctx)
	return st, nil
}

// continues makes sure that the server's log goes on from a place: that it is not another server's, nor
// one that lacks what was read, nor purged.
func (s *Source) continues(ctx context.Context, c *session, at place) error {
	switch {
	case at.kind == kindMariaDB && s.mariaDB():
		return continuesMariaDB(ctx, c, at.maria)
	case at.kind == kindMySQL && !s.mariaDB():
		if !c.server.gtid {
			return &kafkasync.Fault{
				Class: kafkasync.Stop, What: fmt.Sprintf("the position holds GTIDs, and the server at %s has gtid_mode other than ON", c.server.host),
				Risk: "transactions without a GTID, which cannot be told from it", Fix: "SET PERSIST gtid_mode = 'ON'; (by steps); or " + fixAnew,
			}
		}
		return continuesMySQL(ctx, c, at.set)
	case at.kind == kindFile && !s.mariaDB():
		return s.continuesFile(ctx, c, at.file)
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the position is of another kind of server than %s: %s", s.cfg.Flavour, at.position()),
		Fix: "correct the source in the file; or, if this is the server from now on, " + fixAnew,
	}
}

func continuesMySQL(ctx context.Context, c *session, at gtid.Set) error {
	rows, err := c.askTexts(ctx, "asking for what the log has", "SELECT @@global.gtid_executed, @@global.gtid_purged")
	if err != nil {
		return err
	}
	executed, err := gtid.ParseSet(rows[0][0])
	if err != nil {
		return fmt.Errorf("asking for what the log has: %w", err)
	}
	purged, err := gtid.ParseSet(rows[0][1])
	if err != nil {
		return fmt.Errorf("asking for what the log has: %w", err)
	}
	switch lacks := at.Minus(executed); {
	case !lacks.Empty() && !at.Meets(executed) && !at.Names(c.server.uuid): // else it was reset
		return stranger(c.server.host, "it has none of the transactions that were read")
	case !lacks.Empty():
		return lost(lacks.String())
	}
	if gone := purged.Minus(at); !gone.Empty() {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: "the server has purged log that is still needed (" + gone.String() + ")", Risk: riskPurged, Fix: fixAnew,
		}
	}
	return nil
}

// continuesMariaDB cannot see what was purged: the server says so when it is asked for its log.
func continuesMariaDB(ctx context.Context, c *session, at gtid.MariaPosition) error {
	rows, err := c.askTexts(ctx, "asking for what the log has", "SELECT @@global.gtid_binlog_state")
	if err != nil {
		return err
	}
	history, err := gtid.ParseMariaHistory(rows[0][0])
	if err != nil {
		return fmt.Errorf("asking for what the log has: %w", err)
	}
	lacks := history.Lacks(at)
	if len(lacks) == 0 {
		return nil
	}
	var texts []string
	foreign := true
	for _, id := range lacks {
		texts = append(texts, id.String())
		foreign = foreign && !history.Knows(id)
	}
	if foreign && len(lacks) == at.Len() {
		return stranger(c.server.host, "its log has nothing of the servers that wrote "+strings.Join(texts, ","))
	}
	return lost(strings.Join(texts, ","))
}

func (s *Source) continuesFile(ctx context.Context, c *session, at offset) error {
	if at.server != c.server.uuid {
		return stranger(c.server.host, fmt.Sprintf("its server_uuid is %s, and a file and an offset mean nothing on another server than %s", c.server.uuid, at.server))
	}
	files, err := c.logFiles(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.name == at.file {
			if f.size < uint64(at.at) {
				return lost(fmt.Sprintf("%s ends at %d", f.name, f.size))
			}
			return nil
		}
	}
	if len(files) > 0 {
		first := offset{server: at.server, file: files[0].name, at: firstOffset}
		if order, err := at.compare(first); err != nil || order > 0 {
			return lost(fmt.Sprintf("there is no file %s, from %s on", at.file, files[0].name))
		}
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: "the server has purged log that is still needed (" + at.file + ")", Risk: riskPurged, Fix: fixAnew,
	}
}
