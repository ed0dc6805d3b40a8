package mysql

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
)

// rowLog is a database on a real server, whose log is read with nothing but go-mysql.
type rowLog struct {
	server   *devstack.MySQL
	database string
	from     mysql.Position
}

// servers runs a test on both servers.
func servers(t *testing.T, test func(t *testing.T, r *rowLog)) {
	t.Helper()
	for flavour, server := range map[string]func(testing.TB) *devstack.MySQL{"mysql": devtest.MySQL, "mariadb": devtest.MariaDB} {
		t.Run(flavour, func(t *testing.T) { test(t, newRowLog(t, server(t))) })
	}
}

func newRowLog(t testing.TB, server *devstack.MySQL) *rowLog {
	t.Helper()
	r := &rowLog{server: server, database: devtest.DatabaseOnMySQL(t, server)}
	r.from = r.end(t)
	return r
}

func (r *rowLog) mariaDB() bool { return r.server.Flavour() == "mariadb" }

// end is where the log ends now.
func (r *rowLog) end(t testing.TB) mysql.Position {
	t.Helper()
	sql := "SHOW BINARY LOG STATUS"
	if r.mariaDB() {
		sql = "SHOW BINLOG STATUS"
	}
	row := r.query(t, sql)[0]
	at, err := strconv.ParseUint(row[1], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return mysql.Position{Name: row[0], Pos: uint32(at)}
}

func (r *rowLog) run(t testing.TB, sql string) {
	t.Helper()
	if err := r.server.Exec(t.Context(), r.database, sql); err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
}

func (r *rowLog) query(t testing.TB, sql string) [][]string {
	t.Helper()
	rows, err := r.server.Query(t.Context(), r.database, sql)
	if err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
	return rows
}

// rowsLogged is an event with rows, behind the table map that it goes with.
type rowsLogged struct {
	table *replication.TableMapEvent
	kind  replication.EventType
	body  []byte
}

// events returns the events with rows of the database since the last call.
func (r *rowLog) events(t testing.TB) (found []rowsLogged) {
	t.Helper()
	r.follow(t, func(e *replication.BinlogEvent) {
		if m, ok := e.Event.(*replication.TableMapEvent); ok {
			if err := mend(m, bodyOf(e)); err != nil {
				t.Fatal(err)
			}
		}
		if rows, ok := e.Event.(*replication.RowsEvent); ok && string(rows.Table.Schema) == r.database {
			found = append(found, rowsLogged{rows.Table, e.Header.EventType, bodyOf(e)})
		}
	})
	return found
}

// follow reads the log from the end of the last call on.
func (r *rowLog) follow(t testing.TB, each func(*replication.BinlogEvent)) {
	t.Helper()
	to := r.end(t)
	host, port, err := net.SplitHostPort(r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 4_000_000_000, Flavor: r.server.Flavour(), Host: host, Port: uint16(number), User: "root",
		Logger: slog.New(slog.DiscardHandler), DisableRetrySync: true, VerifyChecksum: true, EventCacheCount: 1,
		RowsEventDecodeFunc: func(e *replication.RowsEvent, data []byte) error { // nothing of its rows
			_, err := e.DecodeHeader(data)
			return err
		},
	})
	defer syncer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := syncer.StartSync(r.from)
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := stream.GetEvent(ctx)
		if err != nil {
			t.Fatalf("reading the log to %s: %v", to, err)
		}
		each(e)
		if e.Header.LogPos >= to.Pos && e.Header.EventType != replication.FORMAT_DESCRIPTION_EVENT {
			r.from = to
			return
		}
	}
}

// bodyOf is what follows the header, without the checksum.
func bodyOf(e *replication.BinlogEvent) []byte {
	return bytes.Clone(e.RawData[replication.EventHeaderSize : len(e.RawData)-replication.BinlogChecksumLength])
}

// layout is one of an event, for all its columns or those named.
func (r *rowLog) layout(t testing.TB, e rowsLogged, columns ...string) *layout {
	t.Helper()
	l, err := r.tryLayout(t, e, columns...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rowLog) tryLayout(t testing.TB, e rowsLogged, columns ...string) (*layout, error) {
	t.Helper()
	info, named, err := tableInfoOf(e.table, r.mariaDB())
	if err != nil || !named {
		t.Fatalf("%s: the log does not describe it: %v", e.table.Table, err)
	}
	var wanted []int
	for i, c := range info.columns {
		if columns == nil {
			wanted = append(wanted, i)
		} else if slices.Contains(columns, c.name) {
			wanted = append(wanted, i)
		}
	}
	return newLayout(e.table, info, wanted)
}

// rowCopy is a row as it was and as it is, for longer than the call.
type rowCopy struct{ old, new []source.Value }

func copyRows(l *layout, e rowsLogged) (rows []rowCopy, err error) {
	keep := func(row []source.Value) (kept []source.Value) {
		for _, v := range row {
			kept = append(kept, source.Value{Kind: v.Kind, Bytes: bytes.Clone(v.Bytes)})
		}
		return kept
	}
	err = l.rows(e.kind, e.body, func(old, now []source.Value) error {
		rows = append(rows, rowCopy{keep(old), keep(now)})
		return nil
	})
	return rows, err
}
