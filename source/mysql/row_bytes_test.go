package mysql

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/source"
)

// logged is a column as a table map has it.
type logged struct {
	code byte
	meta uint16
	info columnInfo
}

// columnsOfEachType has all types that the log knows.
func columnsOfEachType() []logged {
	return []logged{
		{mysql.MYSQL_TYPE_LONG, 0, columnInfo{name: "int"}},
		{mysql.MYSQL_TYPE_LONGLONG, 0, columnInfo{name: "bigint", unsigned: true}},
		{mysql.MYSQL_TYPE_TINY, 0, columnInfo{name: "tinyint"}},
		{mysql.MYSQL_TYPE_SHORT, 0, columnInfo{name: "smallint"}},
		{mysql.MYSQL_TYPE_INT24, 0, columnInfo{name: "mediumint", unsigned: true}},
		{mysql.MYSQL_TYPE_YEAR, 0, columnInfo{name: "year"}},
		{mysql.MYSQL_TYPE_FLOAT, 4, columnInfo{name: "float"}},
		{mysql.MYSQL_TYPE_DOUBLE, 8, columnInfo{name: "double"}},
		{mysql.MYSQL_TYPE_NEWDECIMAL, 20<<8 | 7, columnInfo{name: "decimal"}},
		{mysql.MYSQL_TYPE_BIT, 1<<8 | 2, columnInfo{name: "bit"}},
		{mysql.MYSQL_TYPE_DATE, 0, columnInfo{name: "date"}},
		{mysql.MYSQL_TYPE_TIME, 0, columnInfo{name: "old time"}},
		{mysql.MYSQL_TYPE_DATETIME, 0, columnInfo{name: "old datetime"}},
		{mysql.MYSQL_TYPE_TIMESTAMP, 0, columnInfo{name: "old timestamp"}},
		{mysql.MYSQL_TYPE_TIME2, 3, columnInfo{name: "time"}},
		{mysql.MYSQL_TYPE_DATETIME2, 6, columnInfo{name: "datetime"}},
		{mysql.MYSQL_TYPE_TIMESTAMP2, 0, columnInfo{name: "timestamp"}},
		{mysql.MYSQL_TYPE_VARCHAR, 80, columnInfo{name: "varchar", charset: "utf8mb4"}},
		{mysql.MYSQL_TYPE_VAR_STRING, 300, columnInfo{name: "var_string", charset: "gb18030"}},
		{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 20, columnInfo{name: "char", charset: "latin1"}},
		{mysql.MYSQL_TYPE_STRING, 0xee<<8 | 0xfc, columnInfo{name: "wide char", charset: "utf16"}}, // 508 bytes
		{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 9, columnInfo{name: "binary", charset: charsetBinary}},
		{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 16, columnInfo{name: "uuid", charset: charsetBinary, dataType: "uuid"}},
		{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 16, columnInfo{name: "inet6", charset: charsetBinary, dataType: "inet6"}},
		{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 1, columnInfo{name: "enum", charset: "utf8mb4", elements: []string{"a", "é"}}},
		{mysql.MYSQL_TYPE_STRING, 0xf8<<8 | 1, columnInfo{name: "set", charset: "utf8mb4", elements: []string{"a", "b", "c"}}},
		{mysql.MYSQL_TYPE_BLOB, 1, columnInfo{name: "tinyblob", charset: charsetBinary}},
		{mysql.MYSQL_TYPE_BLOB, 4, columnInfo{name: "longtext", charset: "ujis"}},
		{mysql.MYSQL_TYPE_GEOMETRY, 4, columnInfo{name: "geometry"}},
		{mysql.MYSQL_TYPE_VECTOR, 4, columnInfo{name: "vector"}},
		{mysql.MYSQL_TYPE_JSON, 4, columnInfo{name: "json"}},
		{mysql.MYSQL_TYPE_JSON, 4, columnInfo{name: "another json"}},
	}
}

// layoutFor wants all columns.
func layoutFor(t testing.TB, columns []logged) *layout {
	t.Helper()
	m := &replication.TableMapEvent{Schema: []byte("shop"), Table: []byte("products")}
	info := new(tableInfo)
	for _, c := range columns {
		m.ColumnType, m.ColumnMeta = append(m.ColumnType, c.code), append(m.ColumnMeta, c.meta)
		info.columns = append(info.columns, c.info)
	}
	l, err := newLayout(m, info, all(info))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// rowBody makes an event of rows of all columns, one image or two to a row.
func rowBody(kind replication.EventType, l *layout, rows int, value func(*column) []byte) []byte {
	body := []byte{1, 0, 0, 0, 0, 0, 1, 0}
	two := false
	switch kind { //nolint:exhaustive // a test's own
	case replication.WRITE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2:
		body = append(body, 2, 0)
	case replication.UPDATE_ROWS_EVENTv2:
		body, two = append(body, 2, 0), true
	case replication.UPDATE_ROWS_EVENTv1:
		two = true
	}
	body = append(body, byte(len(l.columns)))
	bitmap := slices.Repeat([]byte{0xff}, (len(l.columns)+7)/8)
	body = append(body, bitmap...)
	images := rows
	if two {
		body, images = append(body, bitmap...), 2*rows
	}
	for range images {
		body = append(body, make([]byte, len(bitmap))...)
		for i := range l.columns {
			body = append(body, value(&l.columns[i])...)
		}
	}
	return body
}

// plausible is a value that every type takes.
func plausible(c *column) []byte {
	if c.prefix == 0 {
		wire := make([]byte, c.width)
		switch c.code {
		case mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_TIME2, mysql.MYSQL_TYPE_NEWDECIMAL:
			wire[0] = 0x80
		}
		return wire
	}
	wire := append(make([]byte, c.prefix), 4, 1, 0, 0)
	wire[0] = 4
	return wire
}

func TestABodyThatIsCutShortIsAnError(t *testing.T) {
	l := layoutFor(t, columnsOfEachType())
	for _, kind := range []replication.EventType{replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv1} {
		body, rows := rowBody(kind, l, 1, plausible), 0
		if err := l.rows(kind, body, func(_, _ []source.Value) error { rows++; return nil }); err != nil || rows != 1 {
			t.Fatalf("%s: got %d rows, %v", kind, rows, err)
		}
		for n := range body {
			if err := l.rows(kind, body[:n], func(_, _ []source.Value) error { return nil }); err == nil {
				t.Errorf("%s: no error from %d of %d bytes", kind, n, len(body))
			}
		}
	}
}

func TestADamagedBodyIsAnError(t *testing.T) {
	l := layoutFor(t, []logged{{mysql.MYSQL_TYPE_LONG, 0, columnInfo{name: "id"}}, {mysql.MYSQL_TYPE_JSON, 4, columnInfo{name: "j"}}})
	for _, c := range []struct {
		kind replication.EventType
		body string
		want string
	}{
		{replication.WRITE_ROWS_EVENTv0, "", "event WriteRowsEventV0 (20) is not one whose rows can be read"},
		{replication.WRITE_ROWS_EVENTv2, "010000000000 0100 0100 02 03 00 01000000 00000000", "the event is cut short"}, // extra data shorter than its length
		{replication.WRITE_ROWS_EVENTv2, "010000000000 0100 0900 02 03 00 0100", "the event is cut short"},
		{replication.WRITE_ROWS_EVENTv1, "010000000000 0100 03 07 00 01000000", "the event has 3 columns, the table's description in the log has 2"},
		{replication.WRITE_ROWS_EVENTv1, "010000000000 0100 fb", "the event is cut short"},
		{replication.WRITE_ROWS_EVENTv1, "010000000000 0100 02 00 0102", "2 bytes follow rows without columns"},
		{replication.WRITE_ROWS_EVENTv1, "010000000000 0100 02 03 00 01000000 ffffffff 00", `column "j": the event is cut short`},
		{replication.PARTIAL_UPDATE_ROWS_EVENT, "010000000000 0100 0200 02 01 02 00 01000000 02 00", "the event has options 0x2, want 0 or 1"},
		{replication.PARTIAL_UPDATE_ROWS_EVENT, "010000000000 0100 0200 02 01 02 00 01000000", "the event is cut short"},
		{replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, "010000000000 0100 02 03", "the event is cut short"},
		{replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, "010000000000 0100 02 03 9105", "compressed by method 1"},
		{replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, "010000000000 0100 02 03 8109 00", "decompressing rows: unexpected EOF"},
		{replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, "010000000000 0100 02 03 8109 789c63602065", "decompressing rows"},
		{replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, "010000000000 0100 02 03 8103 789c636040050000100001", "not the one that the event says"},
	} {
		err := l.rows(c.kind, unhex(t, c.body), func(_, _ []source.Value) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "decoding rows of shop.products: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %s", c.kind, c.body, err, c.want)
		}
	}
}

func TestWhatTheCallerReturnsEndsTheRows(t *testing.T) {
	l := layoutFor(t, columnsOfEachType())
	rows := 0
	err := l.rows(replication.WRITE_ROWS_EVENTv2, rowBody(replication.WRITE_ROWS_EVENTv2, l, 3, plausible), func(_, _ []source.Value) error {
		rows++
		return errEnough
	})
	if !errors.Is(err, errEnough) || rows != 1 {
		t.Errorf("got %d rows and %v, want one and the caller's error", rows, err)
	}
}

// What a row of unusual size needed is not kept.
func TestMemoryIsBounded(t *testing.T) {
	l := layoutFor(t, []logged{{mysql.MYSQL_TYPE_BLOB, 4, columnInfo{name: "t", charset: "latin1"}}})
	body := rowBody(replication.WRITE_ROWS_EVENTv2, l, 1, func(*column) []byte {
		return append([]byte{0, 0, 0x40, 0}, make([]byte, 4<<20)...)
	})
	seen := 0
	if err := l.rows(replication.WRITE_ROWS_EVENTv2, body, func(_, now []source.Value) error { seen = len(now[0].Bytes); return nil }); err != nil || seen != 4<<20 {
		t.Errorf("got %d bytes, %v", seen, err)
	}
	if kept := cap(l.arena.bytes); kept > largest {
		t.Errorf("%d bytes are kept, want at most %d", kept, largest)
	}
}

func TestADescriptionThatIsDamagedIsAnError(t *testing.T) {
	for _, c := range []struct {
		m    replication.TableMapEvent
		want string
	}{
		{replication.TableMapEvent{ColumnType: []byte{3}, ColumnMeta: []uint16{0}, ColumnName: [][]byte{[]byte("a"), []byte("b")}}, "it has 2 names for 1 columns"},
		{replication.TableMapEvent{ColumnType: []byte{3}, ColumnMeta: []uint16{0}, ColumnName: [][]byte{[]byte("a")}, PrimaryKey: []uint64{1}}, "its primary key has column 1 of 1"},
		{replication.TableMapEvent{
			ColumnType: []byte{0xfe}, ColumnMeta: []uint16{0xf701}, ColumnName: [][]byte{[]byte("e")},
			EnumSetColumnCharset: []uint64{35}, EnumStrValue: [][][]byte{{{1}}},
		}, `column "e": converting text to UTF-8: it has 1 bytes, want pairs`},
	} {
		c.m.Schema, c.m.Table = []byte("shop"), []byte("products")
		if _, _, err := tableInfoOf(&c.m, false); err == nil || err.Error() != "reading the description of shop.products in the log: "+c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestADescriptionThatCannotBeMendedIsAnError(t *testing.T) {
	body := unhex(t, "010000000000 0100 01 61 00 01 62 00 03 8d 03 0f 04 0900 0500")
	for n := range len(body) + 1 {
		m := &replication.TableMapEvent{ColumnType: []byte{typeVarcharCompressed, 3, 15}, ColumnMeta: []uint16{0, 0, 9}}
		err := mend(m, body[:n])
		if n < len(body) && err == nil || n == len(body) && (err != nil || !slices.Equal(m.ColumnMeta, []uint16{9, 0, 5})) {
			t.Errorf("%d of %d bytes: got %v %v", n, len(body), m.ColumnMeta, err)
		}
	}
	m := &replication.TableMapEvent{ColumnType: []byte{3, typeBlobCompressed}}
	if err := mend(m, body); err == nil {
		t.Errorf("got %v of too many lengths", m.ColumnMeta)
	}
}

// A charset that is not there is known to be missing only for who wants the column.
func TestADescriptionMayLackWhatNobodyWants(t *testing.T) {
	m := replication.TableMapEvent{
		ColumnType: []byte{0xfe, 0xfe, 15}, ColumnMeta: []uint16{0xf701, 0xf801, 9}, ColumnName: [][]byte{[]byte("e"), []byte("s"), []byte("t")},
		EnumSetColumnCharset: []uint64{4000}, EnumStrValue: [][][]byte{{{'a'}}},
	}
	info, named, err := tableInfoOf(&m, false)
	if err != nil || !named {
		t.Fatalf("got named %v, %v", named, err)
	}
	if _, err := newLayout(&m, info, nil); err != nil {
		t.Error(err)
	}
	for i := range 3 {
		if _, err := newLayout(&m, info, []int{i}); err == nil || !strings.Contains(err.Error(), "its charset is not known") {
			t.Errorf("column %d: got %v", i, err)
		}
	}
}

func TestAWantedColumnIsThereOnce(t *testing.T) {
	m := &replication.TableMapEvent{Schema: []byte("shop"), Table: []byte("products"), ColumnType: []byte{mysql.MYSQL_TYPE_LONG}, ColumnMeta: []uint16{0}}
	for _, wanted := range [][]int{{1}, {-1}, {0, 0}} {
		if _, err := newLayout(m, &tableInfo{columns: []columnInfo{{name: "id"}}}, wanted); err == nil {
			t.Errorf("%v: got no error", wanted)
		}
	}
}

func TestRowsAreDecodedWithoutAllocating(t *testing.T) {
	l := layoutFor(t, columnsOfEachType())
	for _, kind := range []replication.EventType{replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2} {
		few, many := rowBody(kind, l, 1, plausible), rowBody(kind, l, 1000, plausible)
		rows := 0
		allocations := func(body []byte) float64 {
			return testing.AllocsPerRun(10, func() {
				if err := l.rows(kind, body, func(_, _ []source.Value) error { rows++; return nil }); err != nil {
					t.Fatal(err)
				}
			})
		}
		if of1, of1000 := allocations(few), allocations(many); of1 != 0 || of1000 != 0 {
			t.Errorf("%s: got %v allocations for a row, %v for a thousand, want none", kind, of1, of1000)
		}
		if rows != 11+11*1000 {
			t.Errorf("%s: got %d rows", kind, rows)
		}
	}
}

// FuzzRows holds the decoder to errors, and to values that are what their kind says.
func FuzzRows(f *testing.F) {
	l := layoutFor(f, columnsOfEachType())
	kinds := []replication.EventType{
		replication.WRITE_ROWS_EVENTv1, replication.UPDATE_ROWS_EVENTv1, replication.DELETE_ROWS_EVENTv1,
		replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2, replication.PARTIAL_UPDATE_ROWS_EVENT,
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1,
	}
	for i, kind := range kinds[:6] {
		f.Add(uint8(i), rowBody(kind, l, 2, plausible))
		f.Add(uint8(i), rowBody(kind, l, 1, func(c *column) []byte { return slices.Repeat([]byte{0x81}, max(c.width, 0x81+c.prefix)) }))
	}
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		kind := kinds[int(i)%len(kinds)]
		left := 1000 // a body of many rows is no more than one of few
		err := l.rows(kind, body, func(old, now []source.Value) error {
			if old == nil && now == nil {
				t.Fatal("got a row that neither was nor is")
			}
			checkValues(t, old)
			checkValues(t, now)
			if left--; left == 0 {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) && !strings.HasPrefix(err.Error(), "decoding rows of shop.products: ") {
			t.Errorf("got %v", err)
		}
	})
}

var errEnough = errors.New("enough")

func checkValues(t *testing.T, row []source.Value) {
	t.Helper()
	for i, v := range row {
		ok := true
		switch v.Kind { //nolint:exhaustive // the others may hold any bytes
		case source.Absent, source.Null:
			ok = v.Bytes == nil
		case source.Int, source.BigInt:
			_, signed := strconv.ParseInt(string(v.Bytes), 10, 64)
			_, unsigned := strconv.ParseUint(string(v.Bytes), 10, 64)
			ok = signed == nil || unsigned == nil
		case source.Text:
			ok = utf8.Valid(v.Bytes)
		case source.Float:
			_, err := strconv.ParseFloat(string(v.Bytes), 64)
			ok = err == nil
		}
		if !ok {
			t.Errorf("column %d: got kind %d %q", i, v.Kind, v.Bytes)
		}
	}
}
