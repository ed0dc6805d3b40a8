package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// all decodes all columns of the events since the last call, with information_schema's help.
func (r *rowLog) all(t *testing.T) (kinds []replication.EventType, rows []string) {
	t.Helper()
	for _, e := range r.events(t) {
		kinds = append(kinds, e.kind)
		for _, row := range r.rowsOf(t, e) {
			rows = append(rows, shown(row.old)+" -> "+shown(row.new))
		}
	}
	return kinds, rows
}

func wantRows(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// oldMariaDB has rows compressed, and times as they were before 10.1.
func oldMariaDB(t *testing.T) *rowLog {
	t.Helper()
	devtest.MariaDB(t) // installs it
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := devstack.StartMariaDB(ctx, devstack.MySQLConfig{Settings: map[string]string{
		"log_bin_compress": "1", "log_bin_compress_min_len": "10", "mysql56_temporal_format": "OFF",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return newRowLog(t, server)
}

func TestCompressedRowsAndOldTimesOfMariaDB(t *testing.T) {
	r := oldMariaDB(t)
	r.run(t, `SET sql_mode = '', time_zone = '+00:00';
		CREATE TABLE a (id int PRIMARY KEY, t time, d datetime, s timestamp NULL, b varchar(1000));
		INSERT INTO a VALUES (1, '-838:59:59', '2026-11-21 10:50:00', '2026-11-21 10:50:00', REPEAT('x', 1000)), (2, '-00:00:01', 0, 0, 'y');
		UPDATE a SET b = 'z', t = '12:00', s = '2038-01-19 03:14:07' WHERE id = 1; DELETE FROM a WHERE id = 2;
		INSERT INTO a SELECT seq + 10, NULL, '9999-12-31 23:59:59', '1970-01-01 00:00:01', REPEAT('x', 900) FROM seq_1_to_20`)
	kinds, rows := r.all(t)
	if want := []replication.EventType{
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1,
	}; len(kinds) < 4 || !slices.Equal(kinds[:3], want) {
		t.Errorf("got events %v, want at first %v", kinds, want)
	}
	long := strings.Repeat("x", 1000)
	want := []string{
		`- -> 1 "-838:59:59" "2026-11-21T10:50:00" "2026-11-21T10:50:00Z" "` + long + `"`,
		`- -> 2 "-00:00:01" "0000-00-00 00:00:00" "0000-00-00 00:00:00" "y"`,
		`1 "-838:59:59" "2026-11-21T10:50:00" "2026-11-21T10:50:00Z" "` + long + `" -> 1 "12:00:00" "2026-11-21T10:50:00" "2038-01-19T03:14:07Z" "z"`,
		`2 "-00:00:01" "0000-00-00 00:00:00" "0000-00-00 00:00:00" "y" -> -`,
	}
	for i := range 20 {
		want = append(want, fmt.Sprintf(`- -> %d null "9999-12-31T23:59:59" "1970-01-01T00:00:01Z" "%s"`, i+11, long[:900]))
	}
	wantRows(t, rows, want...)
}

func TestWhatMariaDBDoesNotTellIsRefused(t *testing.T) {
	r := oldMariaDB(t)
	r.run(t, `CREATE TABLE a (id int PRIMARY KEY, t time(3)); INSERT INTO a VALUES (1, NULL);
		CREATE TABLE b (id int PRIMARY KEY, c varchar(10) COMPRESSED); INSERT INTO b VALUES (1, NULL);
		CREATE TABLE c (id binary(16) PRIMARY KEY); INSERT INTO c VALUES (1)`)
	events := r.events(t)
	for i, want := range []string{
		`column "t" of %s.a: the log does not tell how many bytes it has`,
		`column "c" of %s.b: it is COMPRESSED, which cannot be read from the log: ALTER TABLE`,
		`column "id" of %s.c: the log does not tell what its 16 bytes are: BINARY, or UUID, INET6 or INET4`,
	} {
		want = fmt.Sprintf(want, r.database)
		if _, err := r.tryLayout(t, events[i]); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	info, _, err := tableInfoOf(events[0].table, true)
	if err != nil || !info.unclear() {
		t.Fatalf("got %+v %v, want a column that is not clear", info, err)
	}
	r.clarify(t, "a", info)
	if _, err := newLayout(events[0].table, info, nil); err == nil || !strings.Contains(err.Error(), "MariaDB's format before 10.1, which cannot be read") {
		t.Errorf("got %v of a time with a fraction", err)
	}
}

func TestCompressedColumnsArePassedOver(t *testing.T) {
	r := newRowLog(t, devtest.MariaDB(t))
	r.run(t, `CREATE TABLE a (id int PRIMARY KEY, a varchar(10) CHARACTER SET latin1 COMPRESSED, b varchar(20) CHARACTER SET ucs2, c text CHARACTER SET utf16 COMPRESSED, d decimal(10, 2),
			e blob COMPRESSED, f enum('x', 'y'), g varchar(1000) COMPRESSED, h longtext CHARACTER SET latin1 COMPRESSED, i bit(3), j char(5) CHARACTER SET cp850, k float, l datetime(3), m mediumtext, n time(2), o timestamp(1) NULL);
		INSERT INTO a VALUES (1, 'aé', 'é', REPEAT('c', 500), 1.5, REPEAT('e', 1000), 'y', 'g', REPEAT('h', 70000), 5, 'ü', 0.5, '2026-11-21 10:50:00.5', 'm', '10:00', '2026-11-21 10:50:00.5'),
			(2, '', NULL, '', -1.5, NULL, 'x', REPEAT('g', 1000), 'h', 2, '', NULL, NULL, '', '-10:00', NULL)`)
	for _, e := range r.events(t) {
		now, _, err := tableInfoOf(e.table, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range now.columns {
			now.columns[i].ambiguous = true
		}
		r.clarify(t, "a", now)
		if _, err := newLayout(e.table, now, nil); err != nil {
			t.Errorf("information_schema contradicts the log: %v", err)
		}
		l := r.layout(t, e, "id", "b", "d", "f", "i", "j", "k", "l", "m", "n", "o")
		rows, err := copyRows(l, e)
		if err != nil || len(rows) != 2 {
			t.Fatalf("got %d rows, %v", len(rows), err)
		}
		wantRows(t, []string{shown(rows[0].new), shown(rows[1].new)},
			`1 "é" "1.50" "y" 5 "ü" 0.5 "2026-11-21T10:50:00.5" "m" "10:00:00" "2026-11-21T10:50:00.5Z"`,
			`2 null "-1.50" "x" 2 "" null null "" "-10:00:00" null`)
	}
}

func TestAPartOfADocumentIsRefusedWhereItIsWanted(t *testing.T) {
	r := newRowLog(t, devtest.MySQL(t))
	r.run(t, `CREATE TABLE a (id int PRIMARY KEY, x json, j json, n int, y json);
		INSERT INTO a VALUES (1, '{}', JSON_OBJECT('a', REPEAT('x', 300), 'b', 1), 5, NULL)`)
	r.events(t)
	r.run(t, `SET binlog_row_value_options = 'PARTIAL_JSON'; UPDATE a SET j = JSON_SET(j, '$.b', 2), n = n + 1; UPDATE a SET j = '[1]', y = '2', n = 8`)
	events := r.events(t)
	if len(events) != 2 || events[0].kind != replication.PARTIAL_UPDATE_ROWS_EVENT || events[1].kind != replication.PARTIAL_UPDATE_ROWS_EVENT {
		t.Fatalf("got %d events, want two partial updates", len(events))
	}
	for i, want := range []string{`1 "{}" 5 null -> 1 "{}" 6 null`, `1 "{}" 6 null -> 1 "{}" 8 "2"`} {
		rows, err := copyRows(r.layout(t, events[i], "id", "x", "n", "y"), events[i])
		if err != nil || len(rows) != 1 || shown(rows[0].old)+" -> "+shown(rows[0].new) != want {
			t.Errorf("got %v %v, want %s", rows, err, want)
		}
	}
	if _, err := copyRows(r.layout(t, events[0], "j"), events[0]); err == nil || !strings.Contains(err.Error(), `column "j": the log holds only what has changed in it`) {
		t.Errorf("got %v of a document in parts", err)
	}
	rows, err := copyRows(r.layout(t, events[1], "j"), events[1])
	if err != nil || len(rows) != 1 || shown(rows[0].new) != `"[1]"` {
		t.Errorf("got %v %v of a document that is whole", rows, err)
	}
}

func TestColumnsThatAreHiddenAreWhereTheLogSays(t *testing.T) {
	r := newRowLog(t, devtest.MySQL(t))
	r.run(t, `CREATE TABLE f (id int PRIMARY KEY, j json, v int INVISIBLE DEFAULT 9, g int AS (id + 1), s int AS (id + 2) STORED,
			KEY ((CAST(j->'$.a' AS UNSIGNED ARRAY))), KEY ((id + 5))); INSERT INTO f (id, j) VALUES (1, '{"a": [1, 2]}');
		SET sql_generate_invisible_primary_key = 1; CREATE TABLE p (n int); INSERT INTO p VALUES (7)`)
	events := r.events(t)
	info, _, err := tableInfoOf(events[1].table, false)
	if err != nil || info.columns[0].name != "my_row_id" || !slices.Equal(info.primaryKey, []int{0}) {
		t.Errorf("got %+v %v of a generated key", info, err)
	}
	var rows []string
	for _, e := range events {
		for _, row := range r.rowsOf(t, e) {
			rows = append(rows, shown(row.new))
		}
	}
	wantRows(t, rows, `1 "{\"a\": [1, 2]}" 9 2 3`, "1n 7")
}

func TestATableMayHaveManyColumns(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		columns, want := make([]string, 1000), make([]string, 1000)
		for i := range columns {
			columns[i], want[i] = fmt.Sprintf("c%d int DEFAULT %d", i, i%7), strconv.Itoa(i%7)
		}
		r.run(t, "CREATE TABLE a ("+strings.Join(columns, ", ")+"); INSERT INTO a () VALUES (), ()")
		_, rows := r.all(t)
		row := "- -> " + strings.Join(want, " ")
		wantRows(t, rows, row, row)
	})
}

// With nothing but defaults, a minimal image holds no column, and its row no byte.
func TestARowOfNothingIsARow(t *testing.T) {
	r := newRowLog(t, devtest.MySQL(t))
	r.run(t, `SET binlog_row_image = 'MINIMAL'; CREATE TABLE a (id int DEFAULT 5 PRIMARY KEY, n int); INSERT INTO a VALUES (); DELETE FROM a`)
	_, rows := r.all(t)
	wantRows(t, rows, "- -> absent absent", "5 absent -> -")
}

func TestAKeyIsInItsOrderAndNumbersHaveTheirSigns(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		r.run(t, `CREATE TABLE a (a bigint unsigned, y year, b bigint unsigned, c bigint, f float unsigned, d decimal(10,2) unsigned, bi bit(3), e int, s varchar(10), PRIMARY KEY (c, s(3), a));
			INSERT INTO a VALUES (18446744073709551615, 2026, 18446744073709551615, -1, 1.5, 12.50, 5, -7, 's')`)
		events := r.events(t)
		info, _, err := tableInfoOf(events[0].table, r.mariaDB())
		if err != nil || !slices.Equal(info.primaryKey, []int{3, 8, 0}) {
			t.Errorf("got the key %v %v", info.primaryKey, err)
		}
		rows, err := copyRows(r.layout(t, events[0]), events[0])
		if err != nil {
			t.Fatal(err)
		}
		wantRows(t, []string{shown(rows[0].new)}, `18446744073709551615n 2026 18446744073709551615n -1n 1.5 "12.50" 5 -7 "s"`)
	})
}

// Without its metadata, the log is read with what information_schema says.
func TestALogWithoutNamesIsReadWithAnotherDescription(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		least := "MINIMAL"
		if r.mariaDB() {
			least = "NO_LOG"
		}
		r.run(t, "CREATE TABLE a (id bigint unsigned PRIMARY KEY, e enum('x', 'é'), s varchar(10) CHARACTER SET latin1)")
		// It is the whole server's: tests that run beside others must not do this.
		r.run(t, "SET GLOBAL binlog_row_metadata = '"+least+"'; INSERT INTO a VALUES (18446744073709551615, 'é', 'ü'); SET GLOBAL binlog_row_metadata = 'FULL'")
		e := r.events(t)[0]
		if _, named, err := tableInfoOf(e.table, r.mariaDB()); named || err != nil {
			t.Errorf("got named %v, %v, want a log without names", named, err)
		}
		info := &tableInfo{columns: []columnInfo{
			{name: "id", unsigned: true, dataType: "bigint"}, {name: "e", charset: "utf8mb4", elements: []string{"x", "é"}, dataType: "enum"}, {name: "s", charset: "latin1", dataType: "varchar"},
		}}
		l, err := newLayout(e.table, info, []int{2, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := copyRows(l, e)
		if err != nil {
			t.Fatal(err)
		}
		wantRows(t, []string{shown(rows[0].new)}, `"ü" 18446744073709551615n "é"`)

		info.columns[0].dataType = "int"
		want := fmt.Sprintf(`column "id" of %s.a: it is int now, but the log has type 8 for it: it was written when the table was another`, r.database)
		if _, err := newLayout(e.table, info, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		info.columns = info.columns[:2]
		want = fmt.Sprintf(`the log has 3 columns for the rows of %s.a, its description has 2`, r.database)
		if _, err := newLayout(e.table, info, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}
