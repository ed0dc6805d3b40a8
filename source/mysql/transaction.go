package mysql

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

// transaction is the one that is read: all between an event that names it and the one
// that ends it.
type transaction struct {
	open      bool
	begun     bool // it lasts until a commit; else the first query is all of it
	id        gtid.ID
	maria     gtid.MariaID
	committed time.Time
	payload   bool   // its events came compressed
	xid       string // of XA: what is read is only prepared
	onePhase  string // of XA: what is prepared here is committed here
	file      string // its place where it has no id
	offset    uint64
	place     string // made when its first change needs it
}

// name is the transaction's place, as the header "pos" shows it.
func (t *transaction) name() string {
	if t.place != "" {
		return t.place
	}
	switch {
	case t.id.Number != 0:
		t.place = t.id.String()
	case t.maria != gtid.MariaID{}:
		t.place = t.maria.String()
	default:
		t.place = t.file + ":" + strconv.FormatUint(t.offset, 10)
	}
	return t.place
}

// beginMySQL reads the event before every transaction of a MySQL.
func (j *journal) beginMySQL(e *event) error {
	g := new(replication.GTIDEvent)
	if e.header.EventType == replication.GTID_TAGGED_LOG_EVENT {
		tagged := new(replication.GtidTaggedLogEvent)
		if err := decodeInto(tagged, e); err != nil {
			return err
		}
		g = &tagged.GTIDEvent
	} else if err := decodeInto(g, e); err != nil {
		return err
	}
	if err := j.requireEnd(); err != nil {
		return err
	}
	j.tx = transaction{open: true, committed: seconds(e), file: j.file, offset: uint64(e.header.LogPos)}
	if g.TransactionLength > uint64(e.header.EventSize) {
		j.tx.offset += g.TransactionLength - uint64(e.header.EventSize) // where a replica is that has it
	}
	if g.ImmediateCommitTimestamp != 0 {
		j.tx.committed = time.UnixMicro(int64(g.ImmediateCommitTimestamp)).UTC()
	}
	if e.header.EventType == replication.ANONYMOUS_GTID_EVENT {
		if j.at.kind == kindMySQL {
			return logFault("anonymous transaction")
		}
		return nil
	}
	if len(g.SID) != len(gtid.UUID{}) || g.GNO < 1 {
		return errors.New("decoding the log: a transaction's GTID is damaged")
	}
	j.tx.id = gtid.ID{Source: gtid.UUID(g.SID), Tag: g.Tag.String(), Number: g.GNO}
	return nil
}

// The flags of a MariaDB's transaction.
const (
	mariaStandalone  = 1
	mariaGroupCommit = 2
	mariaPreparedXA  = 64
	mariaCompletedXA = 128
)

// beginMariaDB reads the event before every transaction of a MariaDB. Standalone ones are one query, the
// others last until a commit.
func (j *journal) beginMariaDB(e *event) error {
	var g replication.MariadbGTIDEvent
	if err := decodeInto(&g, e); err != nil {
		return err
	}
	if err := j.requireEnd(); err != nil {
		return err
	}
	id := gtid.MariaID{Domain: g.GTID.DomainID, Server: e.header.ServerID, Sequence: g.GTID.SequenceNumber}
	j.tx = transaction{open: true, begun: g.Flags&mariaStandalone == 0, maria: id, committed: seconds(e)}
	if g.Flags&mariaPreparedXA != 0 {
		var err error
		if j.tx.xid, err = mariaXID(e.body(), g.Flags); err != nil {
			return err
		}
		return j.prepared.begin(j.tx.xid)
	}
	return nil
}

// mariaXID reads the id of an XA transaction behind the other fields, and returns it as statements write it.
func mariaXID(body []byte, flags byte) (string, error) {
	at := 13 // number, domain, flags
	if flags&mariaGroupCommit != 0 {
		at += 8
	}
	const fixed = 6 // format, and two lengths
	if len(body) < at+fixed {
		return "", errors.New("decoding the log: the id of an XA transaction is cut short")
	}
	format, global, branch := binary.LittleEndian.Uint32(body[at:]), int(body[at+4]), int(body[at+5])
	data := body[at+fixed:]
	if len(data) < global+branch {
		return "", errors.New("decoding the log: the id of an XA transaction is cut short")
	}
	return fmt.Sprintf("X'%s',X'%s',%d", strings.ToUpper(hex.EncodeToString(data[:global])),
		strings.ToUpper(hex.EncodeToString(data[global:global+branch])), format), nil
}

// abandon drops what was read of a transaction that has no end.
func (j *journal) abandon() {
	if j.tx.xid != "" {
		j.prepared.drop(j.tx.xid)
	}
	j.tx = transaction{}
	j.tables.statementEnds()
}

// requireEnd refuses a transaction that begins in another one: what was read of that may be all there is of it.
func (j *journal) requireEnd() error {
	if j.tx.open {
		return fmt.Errorf("decoding the log: a transaction begins before %s has ended", j.tx.name())
	}
	return nil
}

// ends moves the position behind the transaction.
func (j *journal) ends(e *event) error {
	if !j.tx.open {
		return fmt.Errorf("decoding the log: %s outside of a transaction", e.header.EventType)
	}
	return j.pass(e)
}

// pass moves the position behind what e ends.
func (j *journal) pass(e *event) error {
	switch j.at.kind {
	case kindMySQL:
		if j.tx.id.Number == 0 {
			return errors.New("decoding the log: a transaction without a GTID")
		}
		j.at.set.Add(j.tx.id)
	case kindMariaDB:
		if j.tx.maria == (gtid.MariaID{}) {
			return errors.New("decoding the log: a transaction without a GTID")
		}
		j.at.maria.Add(j.tx.maria)
	case kindFile:
		j.follow(e)
		if j.wrapped || j.offset > 1<<32-1 { // the next file has places again
			j.tx = transaction{}
			j.tables.statementEnds()
			return nil
		}
		j.at.file.file, j.at.file.at = j.file, uint32(j.offset)
	}
	j.tx = transaction{}
	j.tables.statementEnds()
	j.moved, j.passed = true, true
	return nil
}

// unread is about changes that are in the log as a statement.
func unread(table, outline string) *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the log holds a statement in place of the rows of %s that it changed: %s", table, outline),
		Risk: "the rows of " + table + " that this statement changed",
		Fix:  "SET GLOBAL binlog_format = 'ROW', and let all clients connect again, since sessions keep the old value; then " + fixAnew,
	}
}
