package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kafkasync/kafkasync/source"
)

// The signs of a numeric in binary form.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInf      = 0xD000
	numericMinusInf = 0xF000
	maxNumericScale = 0x3FFF
)

// decodeNumeric reads groups of four decimal digits: how many there are, the
// weight of the first (a power of 10000), the sign, how many digits to print
// behind the point, then the groups. Groups that are not there are zero.
func decodeNumeric(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) < 8 {
		return source.Value{}, fmt.Errorf("decoding a numeric: got %d bytes, want at least 8", len(wire))
	}
	count := int(binary.BigEndian.Uint16(wire))
	weight := int(int16(binary.BigEndian.Uint16(wire[2:])))
	sign := binary.BigEndian.Uint16(wire[4:])
	scale := int(binary.BigEndian.Uint16(wire[6:]))
	groups := wire[8:]
	if len(groups) != 2*count || scale > maxNumericScale {
		return source.Value{}, fmt.Errorf("decoding a numeric: got %d bytes for %d groups and scale %d", len(wire), count, scale)
	}
	var buf [64]byte
	out := buf[:0]
	switch sign {
	case numericPositive:
	case numericNegative:
		out = append(out, '-')
	case numericNaN:
		return textValue(b, []byte("NaN")), nil
	case numericInf:
		return textValue(b, []byte("Infinity")), nil
	case numericMinusInf:
		return textValue(b, []byte("-Infinity")), nil
	default:
		return source.Value{}, fmt.Errorf("decoding a numeric: unknown sign %#x", sign)
	}
	out, ok := appendNumeric(out, groups, weight, scale)
	if !ok {
		return source.Value{}, errors.New("decoding a numeric: got a group of more than four digits")
	}
	return textValue(b, out), nil
}

// appendNumeric appends the digits. It fails if a group is none.
func appendNumeric(dst, groups []byte, weight, scale int) (out []byte, ok bool) {
	for i := 0; i < len(groups); i += 2 {
		if binary.BigEndian.Uint16(groups[i:]) > 9999 {
			return dst, false
		}
	}
	if weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= weight; i++ {
		dst = appendGroup(dst, groups, i)
		if i == 0 { // without leading zeros
			first := dst[len(dst)-4:]
			for len(first) > 1 && first[0] == '0' {
				first = first[1:]
			}
			dst = append(dst[:len(dst)-4], first...)
		}
	}
	if scale == 0 {
		return dst, true
	}
	dst = append(dst, '.')
	end := len(dst) + scale
	for i := weight + 1; len(dst) < end; i++ {
		dst = appendGroup(dst, groups, i)
	}
	return dst[:end], true
}

// appendGroup appends the four digits of a group.
func appendGroup(dst, groups []byte, i int) []byte {
	n := uint16(0)
	if i >= 0 && 2*i < len(groups) {
		n = binary.BigEndian.Uint16(groups[2*i:])
	}
	return append(dst, byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}
