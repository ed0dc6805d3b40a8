package mysql

import (
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// tableInfo is what must be known of a table beside the types in its table map. With
// binlog_row_metadata=FULL the table map says it, as of the time of the rows; else
// information_schema does, as of now.
type tableInfo struct {
	columns    []columnInfo // in the order of the log
	primaryKey []int        // places in columns, in the order of the key; empty: there is none
	// versioned says that the key may end with the column that tells rows of the past from one another, see clarify: MariaDB
	// adds it to the keys of a system-versioned table.
	versioned bool
}

// columnInfo is what must be known of a column.
type columnInfo struct {
	name     string
	unsigned bool
	// charset is that of a string, an enum or a set: "latin1", or "binary" for bytes; "" of other types.
	charset  string
	elements []string // of an enum or a set, in UTF-8
	// dataType is information_schema's DATA_TYPE; "" where the log described the table.
	dataType string
	fraction int  // DATETIME_PRECISION, with dataType
	rowEnd   bool // GENERATED ALWAYS AS ROW END, with dataType
	// ambiguous says that the log is not enough, see clarify: MariaDB logs BINARY(16), UUID and INET6 as the same,
	// so BINARY(4) and INET4, and of its old times not whether they have a fraction.
	ambiguous bool
}

// tableInfoOf takes what a table map says. named is false if it does not say the names of its
// columns, because the server has another binlog_row_metadata than FULL.
func tableInfoOf(m *replication.TableMapEvent, mariaDB bool) (info *tableInfo, named bool, err error) {
	if len(m.ColumnName) == 0 && len(m.ColumnType) > 0 {
		return nil, false, nil
	}
	info, err = readTableInfo(m, mariaDB)
	if err != nil {
		return nil, false, fmt.Errorf("reading the description of %s.%s in the log: %w", m.Schema, m.Table, err)
	}
	return info, true, nil
}

// unclear reports whether newLayout needs to know more of a column than the log tells.
func (t *tableInfo) unclear() bool {
	return t.versioned || slices.ContainsFunc(t.columns, func(c columnInfo) bool { return c.ambiguous && c.dataType == "" })
}

// clarify takes what the log does not tell from what information_schema says of columns of these names.
func (t *tableInfo) clarify(now *tableInfo) {
	for i := range t.columns {
		c := &t.columns[i]
		at := slices.IndexFunc(now.columns, func(n columnInfo) bool { return n.name == c.name })
		if c.ambiguous && at >= 0 {
			c.dataType, c.fraction = now.columns[at].dataType, now.columns[at].fraction
		}
		c.rowEnd = at >= 0 && now.columns[at].rowEnd || at < 0 && c.name == "row_end" // which is hidden unless somebody names it
	}
	t.endKey()
}

// endKey takes the end of a row's time out of the key.
func (t *tableInfo) endKey() {
	t.versioned = false
	t.primaryKey = slices.DeleteFunc(t.primaryKey, func(i int) bool { return t.columns[i].rowEnd })
}

// mayEndKey reports whether a column of MariaDB may be the end of a row's time: it has a type for that.
func (t *tableInfo) mayEndKey(m *replication.TableMapEvent, i int) bool {
	return m.ColumnType[i] == mysql.MYSQL_TYPE_TIMESTAMP2 && m.ColumnMeta[i] == 6 || m.ColumnType[i] == mysql.MYSQL_TYPE_LONGLONG && t.columns[i].unsigned
}

// isSequence knows the columns of MariaDB's sequences, which the log has as tables.
func (t *tableInfo) isSequence() bool {
	names := [...]string{"next_not_cached_value", "minimum_value", "maximum_value", "start_value", "increment", "cache_size", "cycle_option", "cycle_count"}
	if len(t.columns) != len(names) || len(t.primaryKey) > 0 {
		return false
	}
	for i, name := range names {
		if t.columns[i].name != name {
			return false
		}
	}
	return true
}

func readTableInfo(m *replication.TableMapEvent, mariaDB bool) (*tableInfo, error) {
	if len(m.ColumnName) != len(m.ColumnType) || len(m.ColumnMeta) != len(m.ColumnType) {
		return nil, fmt.Errorf("it has %d names for %d columns", len(m.ColumnName), len(m.ColumnType))
	}
	info := &tableInfo{columns: make([]columnInfo, len(m.ColumnType))}
	numbers, texts, choices, enums, sets := 0, 0, 0, 0, 0
	for i := range info.columns {
		c := &info.columns[i]
		c.name = string(m.ColumnName[i])
		var err error
		switch code := realType(m, i); {
		case isNumeric(code):
			if numbers/8 < len(m.SignednessBitmap) {
				c.unsigned = m.SignednessBitmap[numbers/8]>>(7-numbers%8)&1 != 0
			}
			numbers++
		case code == mysql.MYSQL_TYPE_ENUM:
			c.charset, c.elements, err = choiceOf(m, choices, m.EnumStrValue, enums)
			choices, enums = choices+1, enums+1
		case code == mysql.MYSQL_TYPE_SET:
			c.charset, c.elements, err = choiceOf(m, choices, m.SetStrValue, sets)
			choices, sets = choices+1, sets+1
		case isCharacter(code, mariaDB):
			c.charset = charsetOf(collationAt(m.DefaultCharset, m.ColumnCharset, texts))
			c.ambiguous = mariaDB && mayBePlugin(m, i, c.charset)
			texts++
		default:
			c.ambiguous = mariaDB && (&field{code: code}).isOldTime()
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.name, err)
		}
	}
	for _, i := range m.PrimaryKey {
		if i >= uint64(len(info.columns)) {
			return nil, fmt.Errorf("its primary key has column %d of %d", i, len(info.columns))
		}
		info.primaryKey = append(info.primaryKey, int(i))
	}
	if n := len(info.primaryKey); mariaDB && n > 1 {
		info.versioned = info.mayEndKey(m, info.primaryKey[n-1])
	}
	return info, nil
}

// realType tells an enum and a set from the string that a table map has them for.
func realType(m *replication.TableMapEvent, i int) byte {
	code, kind := m.ColumnType[i], byte(m.ColumnMeta[i]>>8)
	if code == mysql.MYSQL_TYPE_STRING && (kind == mysql.MYSQL_TYPE_ENUM || kind == mysql.MYSQL_TYPE_SET) {
		return kind
	}
	return code
}

// mayBePlugin reports whether a column of MariaDB may be of a type that a plugin made.
func mayBePlugin(m *replication.TableMapEvent, i int, charset string) bool {
	length := m.ColumnMeta[i] & 0xff
	return m.ColumnType[i] == mysql.MYSQL_TYPE_STRING && charset == charsetBinary && (length == 16 || length == 4)
}

// isNumeric reports whether a type has a bit in the bitmap of signs.
func isNumeric(code byte) bool {
	switch code {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_LONGLONG,
		mysql.MYSQL_TYPE_NEWDECIMAL, mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_DOUBLE, mysql.MYSQL_TYPE_YEAR:
		return true
	}
	return false
}

// isCharacter reports whether a type has a place in the list of collations.
func isCharacter(code byte, mariaDB bool) bool {
	switch code {
	case mysql.MYSQL_TYPE_STRING, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_BLOB, typeVarcharCompressed, typeBlobCompressed:
		return true
	case mysql.MYSQL_TYPE_GEOMETRY:
		return mariaDB
	}
	return false
}

// collationAt returns the collation of the nth column of those that have one: either
// each has its own in the list, or they have a common one, behind which the exceptions
// follow. 0 is none.
func collationAt(common, each []uint64, n int) uint64 {
	if len(common) == 0 {
		if n < len(each) {
			return each[n]
		}
		return 0
	}
	for i := 1; i+1 < len(common); i += 2 {
		if common[i] == uint64(n) {
			return common[i+1]
		}
	}
	return common[0]
}

// choiceOf returns the charset and the elements of the nth column that is an enum or
// a set, whose elements are the ofKind-th in lists.
func choiceOf(m *replication.TableMapEvent, n int, lists [][][]byte, ofKind int) (charset string, elements []string, err error) {
	charset = charsetOf(collationAt(m.EnumSetDefaultCharset, m.EnumSetColumnCharset, n))
	if ofKind >= len(lists) || !convertible(charset) { // whoever wants the column is told so
		return charset, nil, nil
	}
	convert, err := textDecoder(charset)
	if err != nil {
		return "", nil, err
	}
	if charset == charsetBinary {
		convert = decodeUTF8 // its elements are words all the same
	}
	var a arena
	for _, raw := range lists[ofKind] {
		text, err := convert(&a, raw)
		if err != nil {
			return "", nil, err
		}
		elements = append(elements, string(text.Bytes))
	}
	return charset, elements, nil
}
