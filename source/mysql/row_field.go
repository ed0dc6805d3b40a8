package mysql

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// field is the type of a column as a table map has it, and how long its values are.
type field struct {
	code   byte // of the type; enum and set have their own
	meta   uint16
	prefix int // how many bytes tell the length of a value; 0: it is always width
	width  int // of CHAR and BINARY: at most
}

// Types that go-mysql does not name.
const (
	typeBlobCompressed    = 140 // MariaDB
	typeVarcharCompressed = 141 // MariaDB
)

// newField reads what a table map says of a column (MySQL source, Field::save_field_metadata
// and calc_field_size).
func newField(code byte, meta uint16) (field, error) {
	f := field{code: code, meta: meta}
	low, high := int(meta&0xff), int(meta>>8)
	switch code {
	case mysql.MYSQL_TYPE_NULL:
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_YEAR:
		f.width = 1
	case mysql.MYSQL_TYPE_SHORT:
		f.width = 2
	case mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE, mysql.MYSQL_TYPE_TIME:
		f.width = 3
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_TIMESTAMP:
		f.width = 4
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DOUBLE, mysql.MYSQL_TYPE_DATETIME:
		f.width = 8
	case mysql.MYSQL_TYPE_TIME2:
		f.width = 3 + (low+1)/2
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		f.width = 4 + (low+1)/2
	case mysql.MYSQL_TYPE_DATETIME2:
		f.width = 5 + (low+1)/2
	case mysql.MYSQL_TYPE_BIT: // whole bytes, and bits of another
		if f.width = high + (low+7)/8; f.width > 8 {
			return field{}, fmt.Errorf("the log has %d bits for it, want at most 64", 8*high+low)
		}
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		if low > high || high > 65 {
			return field{}, fmt.Errorf("the log has a decimal of %d digits, %d of them behind the point", high, low)
		}
		f.width = decimalSize(high-low) + decimalSize(low)
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING:
		f.width, f.prefix = int(meta), lengthSize(int(meta))
	case mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_JSON, mysql.MYSQL_TYPE_VECTOR:
		if low < 1 || low > 4 {
			return field{}, fmt.Errorf("the log has a type %d whose length has %d bytes, want 1 to 4", code, low)
		}
		f.prefix = low
	case mysql.MYSQL_TYPE_STRING:
		return newStringField(high, low)
	case typeBlobCompressed, typeVarcharCompressed:
		if meta == 0 {
			return field{}, errors.New("it is COMPRESSED, and the description in the log was not mended")
		}
		if f.prefix = low; code == typeVarcharCompressed {
			f.prefix = lengthSize(int(meta))
		}
	default:
		return field{}, fmt.Errorf("the log has type %d for it, which is not known here", code)
	}
	if code == mysql.MYSQL_TYPE_TIME2 || code == mysql.MYSQL_TYPE_TIMESTAMP2 || code == mysql.MYSQL_TYPE_DATETIME2 {
		if low > 6 {
			return field{}, fmt.Errorf("the log has %d digits of a second for it, want at most 6", low)
		}
	}
	return f, nil
}

// newStringField reads the two bytes of metadata of a fixed string: its real type and its
// length, whose bits beyond eight are hidden, inverted, in the type.
func newStringField(kind, length int) (field, error) {
	code := byte(kind)
	switch {
	case code == mysql.MYSQL_TYPE_ENUM && (length == 1 || length == 2),
		code == mysql.MYSQL_TYPE_SET && length >= 1 && length <= 8:
		return field{code: code, meta: uint16(length), width: length}, nil
	case code == mysql.MYSQL_TYPE_ENUM, code == mysql.MYSQL_TYPE_SET:
		return field{}, fmt.Errorf("the log has an enum or a set of %d bytes for it", length)
	case kind != 0: // 0: from a server before 5.0
		length |= (kind&0x30 ^ 0x30) << 4
		if code|0x30 != mysql.MYSQL_TYPE_STRING {
			return field{}, fmt.Errorf("the log has a string of type %d for it, which is not known here", code)
		}
	}
	return field{code: mysql.MYSQL_TYPE_STRING, width: length, prefix: lengthSize(length)}, nil
}

// lengthSize is how many bytes tell the length of what has at most this many.
func lengthSize(longest int) int {
	if longest < 256 {
		return 1
	}
	return 2
}

func (f *field) isJSON() bool { return f.code == mysql.MYSQL_TYPE_JSON }

// matches returns an error if the log does not tell how long a column's values are, or if the column that
// information_schema knows is not the one in the log: then the log is of another time.
func (f *field) matches(info *columnInfo) error {
	switch {
	case info.dataType == "":
		if info.ambiguous && f.isOldTime() {
			return errors.New("the log does not tell how many bytes it has: it is of MariaDB's format before 10.1")
		}
		return nil
	case len(typesOf(info.dataType)) > 0 && !slices.Contains(typesOf(info.dataType), f.code):
		return fmt.Errorf("it is %s now, but the log has type %d for it: it was written when the table was another", info.dataType, f.code)
	case f.isOldTime() && info.fraction > 0:
		return errors.New("it has fractions of a second in MariaDB's format before 10.1, which cannot be read from the log: ALTER TABLE ... MODIFY it with mysql56_temporal_format=ON")
	}
	return nil
}

// isOldTime reports whether it is a time as servers before MySQL 5.6 had them; MariaDB gave these fractions, and
// does not log of how many bytes.
func (f *field) isOldTime() bool {
	return f.code == mysql.MYSQL_TYPE_TIME || f.code == mysql.MYSQL_TYPE_DATETIME || f.code == mysql.MYSQL_TYPE_TIMESTAMP
}

// typesOf returns the types that the log has for a data_type of information_schema.
// What has none is of a plugin: only its bytes can be passed over.
func typesOf(dataType string) []byte {
	switch dataType {
	case "tinyint":
		return []byte{mysql.MYSQL_TYPE_TINY}
	case "smallint":
		return []byte{mysql.MYSQL_TYPE_SHORT}
	case "mediumint":
		return []byte{mysql.MYSQL_TYPE_INT24}
	case "int":
		return []byte{mysql.MYSQL_TYPE_LONG}
	case "bigint":
		return []byte{mysql.MYSQL_TYPE_LONGLONG}
	case "decimal":
		return []byte{mysql.MYSQL_TYPE_NEWDECIMAL}
	case "float":
		return []byte{mysql.MYSQL_TYPE_FLOAT}
	case "double":
		return []byte{mysql.MYSQL_TYPE_DOUBLE}
	case "bit":
		return []byte{mysql.MYSQL_TYPE_BIT}
	case "year":
		return []byte{mysql.MYSQL_TYPE_YEAR}
	case "date":
		return []byte{mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE}
	case "time":
		return []byte{mysql.MYSQL_TYPE_TIME, mysql.MYSQL_TYPE_TIME2}
	case "datetime":
		return []byte{mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_DATETIME2}
	case "timestamp":
		return []byte{mysql.MYSQL_TYPE_TIMESTAMP, mysql.MYSQL_TYPE_TIMESTAMP2}
	case "char", "binary", "uuid", "inet4", "inet6":
		return []byte{mysql.MYSQL_TYPE_STRING}
	case "varchar", "varbinary":
		return []byte{mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, typeVarcharCompressed}
	case "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob":
		return []byte{mysql.MYSQL_TYPE_BLOB, typeBlobCompressed}
	case "enum":
		return []byte{mysql.MYSQL_TYPE_ENUM}
	case "set":
		return []byte{mysql.MYSQL_TYPE_SET}
	case "json":
		return []byte{mysql.MYSQL_TYPE_JSON}
	case "vector":
		return []byte{mysql.MYSQL_TYPE_VECTOR, mysql.MYSQL_TYPE_VARCHAR} // of MySQL, of MariaDB
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection":
		return []byte{mysql.MYSQL_TYPE_GEOMETRY}
	}
	return nil
}
