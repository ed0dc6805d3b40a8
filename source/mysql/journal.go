package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// journal reads events into batches: which of them make a transaction, where it ends, and what of it
// is wanted. It waits for nothing but the catalog.
type journal struct {
	folds    bool // names are kept in lower case, whatever a statement says
	selector source.Selector
	tables   *tables
	coverage *coverage
	log      *slog.Logger

	at       place  // the end of the last complete transaction
	moved    bool   // since at was last taken
	passed   bool   // by the event that is read
	ended    end    // of the last complete transaction, where it lies in the log
	file     string // that is read
	offset   uint64 // in it, as far as is known
	wrapped  bool   // the file has passed 4 GiB: what follows has no offset
	tx       transaction
	prepared prepared // XA transactions whose end has not come yet
	payload  *payload // of a compressed transaction that is not read to its end
	skip     int      // rows of the next rows event that the batch before has
}

// errFull says that a batch is full in the middle of a rows event.
var errFull = errors.New("the batch is full")

// read takes one event. If it returns errFull, the same event must be given again with the next batch.
func (j *journal) read(ctx context.Context, b *source.Batch, e *event) error {
	if err := j.event(ctx, b, e); err != nil {
		return err
	}
	if j.follow(e); j.passed {
		j.passed, j.ended.file, j.ended.offset = false, j.file, j.offset
	}
	return nil
}

func (j *journal) event(ctx context.Context, b *source.Batch, e *event) error {
	switch kind := e.header.EventType; kind {
	case replication.TABLE_MAP_EVENT:
		return j.inTransaction(e, func() error { return j.tables.describe(ctx, e) })
	case replication.WRITE_ROWS_EVENTv1, replication.UPDATE_ROWS_EVENTv1, replication.DELETE_ROWS_EVENTv1,
		replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2,
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1,
		replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, replication.PARTIAL_UPDATE_ROWS_EVENT:
		return j.inTransaction(e, func() error { return j.rows(b, e) })
	case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT, replication.GTID_TAGGED_LOG_EVENT:
		return j.beginMySQL(e)
	case replication.MARIADB_GTID_EVENT:
		return j.beginMariaDB(e)
	case replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT:
		return j.query(ctx, b, e)
	case replication.EXECUTE_LOAD_QUERY_EVENT:
		return j.loaded(e)
	case replication.XID_EVENT:
		return j.ends(e)
	case replication.XA_PREPARE_LOG_EVENT:
		return j.prepare(ctx, b, e)
	case replication.TRANSACTION_PAYLOAD_EVENT:
		return j.compressed(ctx, b, e)
	case replication.FORMAT_DESCRIPTION_EVENT:
		// A server that went down in the middle of a transaction leaves one that has no end, and never happened.
		j.abandon()
		return j.tables.begin(e.raw)
	case replication.ROTATE_EVENT:
		return j.rotate(e)
	case replication.INCIDENT_EVENT:
		return incident()
	default:
		return j.other(e)
	}
}

// other knows the events that hold nothing for us, and refuses what it does not know: a new kind of event
// may hold rows.
func (j *journal) other(e *event) error {
	switch kind := e.header.EventType; kind {
	case replication.STOP_EVENT, replication.HEARTBEAT_EVENT, replication.HEARTBEAT_LOG_EVENT_V2, replication.PREVIOUS_GTIDS_EVENT,
		replication.IGNORABLE_EVENT, replication.ROWS_QUERY_EVENT, replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT,
		replication.INTVAR_EVENT, replication.RAND_EVENT, replication.USER_VAR_EVENT, // what a statement needs that is read itself
		replication.BEGIN_LOAD_QUERY_EVENT, replication.APPEND_BLOCK_EVENT, replication.DELETE_FILE_EVENT, // and its file
		replication.MARIADB_ANNOTATE_ROWS_EVENT, replication.MARIADB_BINLOG_CHECKPOINT_EVENT, replication.MARIADB_GTID_LIST_EVENT,
		replication.MARIADB_START_ENCRYPTION_EVENT:
		return nil
	default:
		if e.header.Flags&replication.LOG_EVENT_IGNORABLE_F != 0 {
			return nil // so says the server that wrote it
		}
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the log holds an event of kind %d (%s), which this version does not know", kind, kind),
			Risk: "the rows that it may hold", Fix: "install a newer version; or " + fixAnew,
		}
	}
}

// incident is what a server writes that knows its log to lack something.
func incident() *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: "the server has written into its log that changes are missing from it (an incident)",
		Risk: "changes that the server could not log", Fix: fixAnew,
	}
}

// follow notes how far the file is read. MariaDB says so only of some events from 11.4 on.
func (j *journal) follow(e *event) {
	switch {
	case e.header.EventType == replication.ROTATE_EVENT || e.artificial() && e.header.EventType != replication.HEARTBEAT_EVENT:
	case e.header.LogPos == 0:
		if !j.inPayload(e) {
			j.offset += uint64(e.header.EventSize)
		}
	case uint64(e.header.LogPos)+1<<31 < j.offset:
		j.wrapped = true // 32 bits count it
	default:
		j.offset = max(j.offset, uint64(e.header.LogPos))
	}
}

// inPayload reports whether an event came compressed with others, and so has no place of its own.
func (j *journal) inPayload(e *event) bool { return j.tx.payload && e.header.LogPos == 0 }

func (j *journal) rotate(e *event) error {
	var r replication.RotateEvent
	if err := decodeInto(&r, e); err != nil {
		return err
	}
	j.file, j.offset, j.wrapped = string(r.NextLogName), r.Position, false
	if j.at.kind == kindFile && !e.artificial() && e.header.LogPos != 0 && !j.tx.open && j.prepared.empty() {
		j.at.file.file, j.at.file.at, j.moved = j.file, firstOffset, true
	}
	return nil
}

// inTransaction guards what may only come inside of one, and keeps it for later if that one is XA's.
func (j *journal) inTransaction(e *event, do func() error) error {
	if !j.tx.open {
		return fmt.Errorf("decoding the log: %s outside of a transaction", e.header.EventType)
	}
	if j.tx.xid != "" {
		return j.prepared.keep(j.tx.xid, e)
	}
	return do()
}

// rows reads the rows of an event into the batch, from where the batch before was full.
func (j *journal) rows(b *source.Batch, e *event) error {
	body := e.body()
	const fixed = 8 // the number of the table, and flags
	if len(body) < fixed {
		return errors.New("decoding the log: a rows event is cut short")
	}
	number := tableNumber(body)
	ends := body[6]&byte(replication.RowsEventStmtEndFlag) != 0
	const nothing = 0xffffff // a number that stands for no table: only the flag counts
	if number != nothing {
		d, err := j.tables.of(number)
		if err != nil {
			return err
		}
		if d.table != nil {
			if err := j.add(b, e, d); err != nil {
				return err
			}
		}
	}
	if ends {
		j.tables.statementEnds()
	}
	return nil
}

func (j *journal) add(b *source.Batch, e *event, d *definition) error {
	seen := 0
	err := d.layout.rows(e.header.EventType, e.body(), func(old, row []source.Value) error {
		if seen++; seen <= j.skip {
			return nil
		}
		if len(b.Changes) >= source.MaxBatchChanges || b.Size() >= source.MaxBatchBytes {
			return errFull
		}
		j.skip = seen
		return j.change(b, d, old, row)
	})
	if err == nil {
		j.skip = 0
	}
	return err
}

// change copies a row into the batch. Where the log holds only what an update changed, the rest is
// what it was before.
func (j *journal) change(b *source.Batch, d *definition, old, row []source.Value) error {
	c := source.Change{Table: d.table, Op: kafkasync.Updated, Committed: j.tx.committed, Place: j.tx.name()}
	switch {
	case old == nil:
		c.Op = kafkasync.Created
	case row == nil:
		c.Op = kafkasync.Deleted
	}
	c.Old, c.New = copyRow(b, old), copyRow(b, row)
	if c.Op == kafkasync.Updated {
		for i := range c.New {
			if c.New[i].Kind == source.Absent {
				c.New[i] = c.Old[i]
			}
		}
	}
	for _, at := range d.key {
		if c.Old != nil && c.Old[at].Kind == source.Absent || c.New != nil && c.New[at].Kind == source.Absent {
			return keyless(d.table.Name, d.table.Columns[at])
		}
	}
	b.Changes = append(b.Changes, c)
	return nil
}

// keyless is about a row image without a column that the message's key needs.
func keyless(table, column string) *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the log does not hold column %q of a row of %s, which the rule's key needs", column, table),
		Risk: "the change of this row",
		Fix: "SET PERSIST binlog_row_image = 'FULL' (MariaDB: SET GLOBAL, and in its file), and for what is written already: " +
			"take the column out of key and payload of the rule until it is read; or " + fixAnew,
	}
}

// copyRow copies a row, and gives nil for none.
func copyRow(b *source.Batch, row []source.Value) []source.Value {
	if row == nil {
		return nil
	}
	copied := b.Row(len(row))
	for i := range row {
		copied[i].Kind = row[i].Kind
		if len(row[i].Bytes) > 0 {
			copied[i].Bytes = b.Copy(row[i].Bytes)
		}
	}
	return copied
}

// take returns the end of what was read, if it has moved since the last time.
func (j *journal) take() (end, bool) {
	if !j.moved || j.held() {
		return end{}, false
	}
	j.moved, j.ended.at = false, j.at
	return j.ended, true
}

// held reports whether no position can be given. A set of GTIDs can leave out an XA transaction
// that is prepared and not ended, so that reading begins with it again; another position cannot.
func (j *journal) held() bool { return j.at.kind != kindMySQL && !j.prepared.empty() }

// seconds is the time of an event.
func seconds(e *event) time.Time { return time.Unix(int64(e.header.Timestamp), 0).UTC() }
