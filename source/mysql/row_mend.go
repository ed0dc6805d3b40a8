package mysql

import (
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// mend reads the lengths of the columns anew from the body of a table map, which go-mysql gets wrong behind a
// column that MariaDB compresses: it does not know that these have a length.
func mend(m *replication.TableMapEvent, body []byte) error {
	if !slices.Contains(m.ColumnType, typeBlobCompressed) && !slices.Contains(m.ColumnType, typeVarcharCompressed) {
		return nil
	}
	r := rowReader{rest: body}
	r.take(8) // the table's number, flags
	for range 2 {
		r.take(int(r.byte()) + 1) // a name and a zero
	}
	r.take(int(r.packed())) // the types
	lengths := rowReader{rest: r.take(int(r.packed()))}
	meta := make([]uint16, len(m.ColumnType))
	for i, code := range m.ColumnType {
		switch code {
		case mysql.MYSQL_TYPE_STRING, mysql.MYSQL_TYPE_NEWDECIMAL:
			meta[i] = uint16(bigEndian(lengths.take(2)))
		case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_BIT, typeVarcharCompressed:
			meta[i] = uint16(littleEndian(lengths.take(2)))
		case mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_DOUBLE,
			mysql.MYSQL_TYPE_TIME2, mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_TIMESTAMP2, typeBlobCompressed:
			meta[i] = uint16(lengths.byte())
		}
	}
	if r.broken || lengths.broken || len(lengths.rest) != 0 {
		return fmt.Errorf("reading the description of %s.%s in the log: its lengths do not fit its columns", m.Schema, m.Table)
	}
	m.ColumnMeta = meta
	return nil
}
