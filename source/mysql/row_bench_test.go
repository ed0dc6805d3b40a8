package mysql

import (
	"bytes"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
)

// benchTable is as wide as an application's.
const benchTable = `CREATE TABLE products (id bigint unsigned PRIMARY KEY AUTO_INCREMENT, tenant int NOT NULL, sku char(12) CHARACTER SET latin1,
	name varchar(200), price decimal(12,2), stock int, featured tinyint(1), weight double, state enum('new', 'sold', 'gone'),
	created datetime(6), updated timestamp(3) NULL, description text, tags json)`

const benchRows = `SET cte_max_recursion_depth = 10000; INSERT INTO products (tenant, sku, name, price, stock, featured, weight, state, created, updated, description, tags)
	WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
	SELECT i MOD 100, LPAD(i, 12, '0'), CONCAT('product é ', i), i / 7, i, i MOD 2, i / 3e0, 1 + i MOD 3, NOW(6), NOW(3), REPEAT('text ', 20), JSON_ARRAY('a', i) FROM n;
	UPDATE products SET featured = 1 - featured, stock = stock + 1`

// benchLog is the log of an update of many rows: what a parser has to know of the log, then the table map and the events with rows.
func benchLog(b *testing.B) (r *rowLog, format []byte, events [][]byte) {
	b.Helper()
	r = newRowLog(b, devtest.MySQL(b))
	r.run(b, benchTable+"; "+benchRows)
	r.follow(b, func(e *replication.BinlogEvent) {
		switch e.Header.EventType { //nolint:exhaustive // the others are not of rows
		case replication.FORMAT_DESCRIPTION_EVENT:
			format = bytes.Clone(e.RawData)
		case replication.TABLE_MAP_EVENT:
			events = [][]byte{bytes.Clone(e.RawData)} // of the update at last
		case replication.UPDATE_ROWS_EVENTv2:
			events = append(events, bytes.Clone(e.RawData))
		}
	})
	return r, format, events
}

// BenchmarkRows decodes the same events, of 5000 rows, with go-mysql's decoder and with ours, all columns and the key alone.
func BenchmarkRows(b *testing.B) {
	r, format, events := benchLog(b)
	size := 0
	for _, raw := range events {
		size += len(raw)
	}
	run := func(name string, prepare func(*replication.BinlogParser)) {
		b.Run(name, func(b *testing.B) {
			p := replication.NewBinlogParser()
			if _, err := p.Parse(format); err != nil {
				b.Fatal(err)
			}
			prepare(p)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, raw := range events {
					if _, err := p.Parse(raw); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/row")
		})
	}
	run("go-mysql", func(*replication.BinlogParser) {})
	ours := func(columns ...string) func(*replication.BinlogParser) {
		return func(p *replication.BinlogParser) {
			var l *layout
			rows := 0
			p.SetRowsEventDecodeFunc(func(e *replication.RowsEvent, body []byte) error {
				if l == nil {
					if _, err := e.DecodeHeader(body); err != nil {
						return err
					}
					l = r.layout(b, rowsLogged{table: e.Table}, columns...)
				}
				return l.rows(replication.UPDATE_ROWS_EVENTv2, body, func(_, _ []source.Value) error { rows++; return nil })
			})
		}
	}
	run("all columns", ours())
	run("key", ours("id"))
	run("nothing", func(p *replication.BinlogParser) {
		p.SetRowsEventDecodeFunc(func(*replication.RowsEvent, []byte) error { return nil })
	})
}
