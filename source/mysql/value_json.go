package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync/source"
)

// The types of values in MySQL's binary JSON (MySQL source, sql-common/json_binary.h).
const (
	jsonSmallObject = iota
	jsonLargeObject
	jsonSmallArray
	jsonLargeArray
	jsonLiteral
	jsonInt16
	jsonUint16
	jsonInt32
	jsonUint32
	jsonInt64
	jsonUint64
	jsonDouble
	jsonString
	jsonOpaque = 15
)

// maxJSONDepth is the servers' own limit.
const maxJSONDepth = 100

// decodeJSON prints a document as the server does. One of no bytes is what an INSERT IGNORE makes of NULL.
func decodeJSON(a *arena, wire []byte) (source.Value, error) {
	at := len(a.bytes)
	if len(wire) == 0 {
		a.bytes = append(a.bytes, "null"...)
		return a.value(source.Text, at)
	}
	d := jsonPrinter{arena: a, budget: len(wire)}
	err := d.value(wire[0], wire[1:], 0)
	if err == nil && !utf8.Valid(a.since(at)) {
		err = errJSON
	}
	if err != nil {
		return source.Value{}, fmt.Errorf("decoding a JSON document of %d bytes: %w", len(wire), err)
	}
	return a.value(source.Text, at)
}

// jsonPrinter prints one document.
type jsonPrinter struct {
	*arena
	// budget is how many bytes have not been printed: what lies within a document is found by offsets,
	// and in a damaged one these could lead to the same bytes for ever.
	budget int
}

var errJSON = errors.New("it is damaged")

// spend fails if more bytes are printed than there are.
func (d *jsonPrinter) spend(n int) error {
	if d.budget -= n; d.budget < 0 {
		return errJSON
	}
	return nil
}

// value prints a value of a type that data begins with; what follows it is somebody else's.
func (d *jsonPrinter) value(kind byte, data []byte, depth int) error {
	switch kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
		if depth >= maxJSONDepth {
			return fmt.Errorf("it is nested more than %d deep", maxJSONDepth)
		}
		return d.container(kind, data, depth+1)
	case jsonString:
		text, err := d.counted(data)
		if err != nil {
			return err
		}
		d.quoted(text)
		return nil
	case jsonOpaque:
		if len(data) == 0 {
			return errJSON
		}
		raw, err := d.counted(data[1:])
		if err != nil {
			return err
		}
		return d.opaque(data[0], raw)
	}
	return d.scalar(kind, data)
}

// scalar prints what has a fixed length.
func (d *jsonPrinter) scalar(kind byte, data []byte) error {
	size := 2
	switch kind {
	case jsonLiteral:
		size = 1
	case jsonInt32, jsonUint32:
		size = 4
	case jsonInt64, jsonUint64, jsonDouble:
		size = 8
	}
	if len(data) < size {
		return errJSON
	}
	n := littleEndian(data[:size])
	unused := 64 - 8*size
	switch kind {
	case jsonLiteral:
		literals := [...]string{"null", "true", "false"}
		if n >= uint64(len(literals)) {
			return fmt.Errorf("it has a literal %d, which is not known", n)
		}
		d.bytes = append(d.bytes, literals[n]...)
	case jsonInt16, jsonInt32, jsonInt64:
		d.bytes = strconv.AppendInt(d.bytes, int64(n<<unused)>>unused, 10)
	case jsonUint16, jsonUint32, jsonUint64:
		d.bytes = strconv.AppendUint(d.bytes, n, 10)
	case jsonDouble:
		d.double(math.Float64frombits(n))
	default:
		return fmt.Errorf("it has a value of type %d, which is not known", kind)
	}
	return nil
}

// container prints an object or an array: how many elements it has and how many bytes, then where
// each key is, then what each value is and where. In a small one these are numbers of two bytes, else
// of four. Values that fit stand in the place of where they are.
func (d *jsonPrinter) container(kind byte, data []byte, depth int) error {
	size := 2
	if kind == jsonLargeObject || kind == jsonLargeArray {
		size = 4
	}
	isObject := kind == jsonSmallObject || kind == jsonLargeObject
	if len(data) < 2*size {
		return errJSON
	}
	count, whole := littleEndian(data[:size]), littleEndian(data[size:2*size])
	if whole > uint64(len(data)) {
		return errJSON
	}
	data = data[:whole]
	keys, values := uint64(2*size), uint64(2*size)
	if isObject {
		values += count * uint64(size+2)
	}
	if head := values + count*uint64(size+1); head > whole {
		return errJSON
	}
	open, closed := byte('['), byte(']')
	if isObject {
		open, closed = '{', '}'
	}
	d.bytes = append(d.bytes, open)
	for i := range count {
		if i > 0 {
			d.bytes = append(d.bytes, ", "...)
		}
		if isObject {
			if err := d.key(data, data[keys+i*uint64(size+2):], size); err != nil {
				return err
			}
		}
		if err := d.element(data, data[values+i*uint64(size+1):][:size+1], depth); err != nil {
			return err
		}
	}
	d.bytes = append(d.bytes, closed)
	return nil
}

// key prints the key that an entry of an object tells the place and the length of.
func (d *jsonPrinter) key(data, entry []byte, size int) error {
	at, n := littleEndian(entry[:size]), littleEndian(entry[size:size+2])
	if at+n > uint64(len(data)) {
		return errJSON
	}
	if err := d.spend(size + 2 + int(n)); err != nil {
		return err
	}
	d.quoted(data[at : at+n])
	d.bytes = append(d.bytes, ": "...)
	return nil
}

// element prints the value that an entry holds or tells the place of.
func (d *jsonPrinter) element(data, entry []byte, depth int) error {
	if err := d.spend(len(entry)); err != nil {
		return err
	}
	kind, place := entry[0], entry[1:]
	switch kind {
	case jsonLiteral, jsonInt16, jsonUint16:
		return d.scalar(kind, place)
	case jsonInt32, jsonUint32:
		if len(place) == 4 {
			return d.scalar(kind, place)
		}
	}
	at := littleEndian(place)
	if at > uint64(len(data)) {
		return errJSON
	}
	return d.value(kind, data[at:], depth)
}

// counted returns the bytes whose number stands in front of them, seven bits a byte.
func (d *jsonPrinter) counted(data []byte) ([]byte, error) {
	n, length := binary.Uvarint(data)
	if length <= 0 || n > uint64(len(data)-length) {
		return nil, errJSON
	}
	return data[length : length+int(n)], d.spend(int(n))
}
