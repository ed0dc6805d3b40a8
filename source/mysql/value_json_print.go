package mysql

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// quoted prints a string, which is UTF-8.
func (d *jsonPrinter) quoted(text []byte) {
	const hexDigits = "0123456789abcdef"
	d.bytes = append(d.bytes, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			d.bytes = append(d.bytes, '\\', c)
		case c >= 0x20:
			d.bytes = append(d.bytes, c)
		case c == '\b':
			d.bytes = append(d.bytes, `\b`...)
		case c == '\t':
			d.bytes = append(d.bytes, `\t`...)
		case c == '\n':
			d.bytes = append(d.bytes, `\n`...)
		case c == '\f':
			d.bytes = append(d.bytes, `\f`...)
		case c == '\r':
			d.bytes = append(d.bytes, `\r`...)
		default:
			d.bytes = append(d.bytes, `\u00`...)
			d.bytes = append(d.bytes, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	d.bytes = append(d.bytes, '"')
}

// double prints a number so that it is seen to be no integer (MySQL source, my_gcvt): the
// shortest digits that read back equal, with an exponent where the point would stand more than 15 places
// before them, or behind them and the number is whole.
func (d *jsonPrinter) double(f float64) {
	const farthest = 15
	var buf [32]byte
	digits := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	exponent := 0
	for i, c := range digits {
		if c == 'e' {
			exponent, _ = strconv.Atoi(string(digits[i+1:]))
			digits = digits[:i]
			break
		}
	}
	whole := f == math.Trunc(f)
	if f == 0 || exponent >= -farthest && (exponent < farthest || !whole) {
		d.bytes = strconv.AppendFloat(d.bytes, f, 'f', -1, 64)
		if whole {
			d.bytes = append(d.bytes, ".0"...)
		}
		return
	}
	d.bytes = append(append(d.bytes, digits...), 'e')
	d.bytes = strconv.AppendInt(d.bytes, int64(exponent), 10)
}

// opaque prints a value of one of the server's other types.
func (d *jsonPrinter) opaque(kind byte, raw []byte) error {
	switch kind {
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		if len(raw) < 2 {
			return errJSON
		}
		f, err := newField(kind, uint16(raw[0])<<8|uint16(raw[1]))
		if err != nil {
			return err
		}
		if f.width != len(raw)-2 {
			return errJSON
		}
		_, err = d.decimal(raw[2:], int(raw[0]), int(raw[1]))
		return err
	case mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_TIME, mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_TIMESTAMP:
		if len(raw) != 8 {
			return errJSON
		}
		d.moment(kind, int64(littleEndian(raw)))
		return nil
	}
	d.bytes = append(d.bytes, `"base64:type`...)
	d.bytes = strconv.AppendInt(d.bytes, int64(kind), 10)
	d.bytes = append(d.bytes, ':')
	const line = 57 // bytes are 76 characters, the servers' lines
	for ; len(raw) > line; raw = raw[line:] {
		d.bytes = base64.StdEncoding.AppendEncode(d.bytes, raw[:line])
		d.bytes = append(d.bytes, `\n`...)
	}
	d.bytes = base64.StdEncoding.AppendEncode(d.bytes, raw)
	d.bytes = append(d.bytes, '"')
	return nil
}

// moment prints a date, a time or both, packed as in a row but above 24 bits of microseconds.
func (d *jsonPrinter) moment(kind byte, packed int64) {
	d.bytes = append(d.bytes, '"')
	if packed < 0 {
		packed = -packed
		d.bytes = append(d.bytes, '-')
	}
	whole := packed >> 24
	months := int(whole >> 22)
	c := clock{
		year: months / 13, month: months % 13, day: int(whole >> 17 & 31),
		hour: int(whole >> 12 & 31), minute: int(whole >> 6 & 63), second: int(whole & 63),
		micros: int(packed & (1<<24 - 1)),
	}
	if kind == mysql.MYSQL_TYPE_TIME {
		c.hour = int(whole >> 12 & 1023)
	} else {
		d.date(c)
	}
	switch kind {
	case mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_TIMESTAMP:
		d.bytes = append(d.bytes, ' ')
		fallthrough
	case mysql.MYSQL_TYPE_TIME:
		d.timeOfDay(c)
		d.digits(c.micros, 6)
	}
	d.bytes = append(d.bytes, '"')
}
