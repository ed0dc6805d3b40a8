package mysql

import (
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/source"
)

// decoder turns what the log holds of a column into a value, whose bytes live in
// wire or in a.
type decoder func(a *arena, wire []byte) (source.Value, error)

// largest is how much memory is kept between events.
const largest = 1 << 20

// arena is where the values of one row are written.
type arena struct{ bytes []byte }

func (a *arena) reset() { a.bytes = a.bytes[:0] }

// trim lets go of what an unusually large row needed.
func (a *arena) trim() {
	if cap(a.bytes) > largest {
		a.bytes = nil
	}
}

// since returns what was written since the arena had this length.
func (a *arena) since(at int) []byte { return a.bytes[at:len(a.bytes):len(a.bytes)] }

func (a *arena) value(kind source.Kind, at int) (source.Value, error) {
	return source.Value{Kind: kind, Bytes: a.since(at)}, nil
}

// decoderOf returns the decoder of a wanted column. Its values are those of the table of types in docs/messages.md.
func decoderOf(f field, info *columnInfo) (decoder, error) {
	if info.dataType != "" && len(typesOf(info.dataType)) == 0 {
		return nil, fmt.Errorf("its type %s is not known here", info.dataType)
	}
	switch f.code {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG:
		return integerDecoder(source.Int, info.unsigned), nil
	case mysql.MYSQL_TYPE_LONGLONG:
		return integerDecoder(source.BigInt, info.unsigned), nil
	case mysql.MYSQL_TYPE_YEAR:
		return decodeYear, nil
	case mysql.MYSQL_TYPE_BIT:
		return bitDecoder(f.width), nil
	case mysql.MYSQL_TYPE_FLOAT:
		return decodeFloat, nil
	case mysql.MYSQL_TYPE_DOUBLE:
		return decodeDouble, nil
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		return decimalDecoder(int(f.meta>>8), int(f.meta&0xff)), nil
	case mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE:
		return decodeDate, nil
	case mysql.MYSQL_TYPE_TIME:
		return decodeOldTime, nil
	case mysql.MYSQL_TYPE_DATETIME:
		return decodeOldDatetime, nil
	case mysql.MYSQL_TYPE_TIMESTAMP:
		return decodeOldTimestamp, nil
	case mysql.MYSQL_TYPE_TIME2:
		return timeDecoder(int(f.meta)), nil
	case mysql.MYSQL_TYPE_DATETIME2:
		return datetimeDecoder(int(f.meta)), nil
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		return timestampDecoder(int(f.meta)), nil
	case mysql.MYSQL_TYPE_ENUM:
		return enumDecoder(f.width, info)
	case mysql.MYSQL_TYPE_SET:
		return setDecoder(f.width, info)
	case mysql.MYSQL_TYPE_JSON:
		return decodeJSON, nil
	case mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_VECTOR:
		return decodeBytes, nil
	case mysql.MYSQL_TYPE_STRING:
		return stringDecoder(f, info)
	case typeBlobCompressed, typeVarcharCompressed:
		return nil, errors.New("it is COMPRESSED, which cannot be read from the log: ALTER TABLE ... MODIFY it without COMPRESSED")
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_BLOB:
		return textDecoder(info.charset)
	}
	return nil, fmt.Errorf("the log has type %d for it, which cannot be decoded", f.code)
}

// stringDecoder is for what has a fixed length: CHAR and BINARY, and MariaDB's types that are stored so.
func stringDecoder(f field, info *columnInfo) (decoder, error) {
	switch {
	case info.ambiguous && info.dataType == "":
		return nil, fmt.Errorf("the log does not tell what its %d bytes are: BINARY, or UUID, INET6 or INET4", f.width)
	case info.dataType == "uuid", info.dataType == "inet6", info.dataType == "inet4":
		return pluginDecoder(info.dataType, f.width)
	case info.charset == charsetBinary:
		return binaryDecoder(f.width), nil
	}
	return textDecoder(info.charset) // the server, too, prints CHAR without its padding
}

func decodeBytes(_ *arena, wire []byte) (source.Value, error) {
	return source.Value{Kind: source.Binary, Bytes: wire}, nil
}

// binaryDecoder pads what the log cuts off: zeros at the end.
func binaryDecoder(width int) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		if len(wire) > width {
			return source.Value{}, wrongSize("BINARY", wire, width)
		}
		at := len(a.bytes)
		a.bytes = append(a.bytes, wire...)
		for range width - len(wire) {
			a.bytes = append(a.bytes, 0)
		}
		return a.value(source.Binary, at)
	}
}

// wrongSize is the error of a value that is not as long as its type says.
func wrongSize(name string, wire []byte, want int) error {
	return fmt.Errorf("decoding a %s: got %d bytes, want %d", name, len(wire), want)
}
