package mysql

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/kafkasync/kafkasync/source"
)

// integerDecoder is for integers of any width.
func integerDecoder(kind source.Kind, unsigned bool) decoder {
	if unsigned {
		return func(a *arena, wire []byte) (source.Value, error) {
			at := len(a.bytes)
			a.bytes = strconv.AppendUint(a.bytes, littleEndian(wire), 10)
			return a.value(kind, at)
		}
	}
	return func(a *arena, wire []byte) (source.Value, error) {
		at, unused := len(a.bytes), 64-8*len(wire)
		a.bytes = strconv.AppendInt(a.bytes, int64(littleEndian(wire)<<unused)>>unused, 10)
		return a.value(kind, at)
	}
}

// decodeYear reads years since 1900; 0 is the year 0000.
func decodeYear(a *arena, wire []byte) (source.Value, error) {
	at, year := len(a.bytes), uint64(wire[0])
	if year != 0 {
		year += 1900
	}
	a.bytes = strconv.AppendUint(a.bytes, year, 10)
	return a.value(source.Int, at)
}

// bitDecoder is for BIT(n), which is a number in so many bytes.
func bitDecoder(width int) decoder {
	kind := source.Int
	if width > 4 {
		kind = source.BigInt
	}
	return func(a *arena, wire []byte) (source.Value, error) {
		at := len(a.bytes)
		a.bytes = strconv.AppendUint(a.bytes, bigEndian(wire), 10)
		return a.value(kind, at)
	}
}

func decodeFloat(a *arena, wire []byte) (source.Value, error) {
	at := len(a.bytes)
	a.bytes = source.AppendFloat(a.bytes, float64(math.Float32frombits(binary.LittleEndian.Uint32(wire))), 32)
	return a.value(source.Float, at)
}

func decodeDouble(a *arena, wire []byte) (source.Value, error) {
	at := len(a.bytes)
	a.bytes = source.AppendFloat(a.bytes, math.Float64frombits(binary.LittleEndian.Uint64(wire)), 64)
	return a.value(source.Float, at)
}

// groupDigits is how many digits a decimal has in each four bytes. Those that are left over
// at its two ends are in as few bytes as hold them.
const groupDigits = 9

// leftoverSize is the number of bytes for so many digits.
func leftoverSize(digits int) int { return (digits + 1) / 2 }

// decimalSize is the number of bytes for digits on one side of the point.
func decimalSize(digits int) int {
	return digits/groupDigits*4 + leftoverSize(digits%groupDigits)
}

func decimalDecoder(precision, scale int) decoder {
	return func(a *arena, wire []byte) (source.Value, error) { return a.decimal(wire, precision, scale) }
}

// decimal prints a DECIMAL(precision, scale). Negative numbers have all their bits inverted, then the
// first is inverted in all, so that the bytes have the order of the numbers.
func (a *arena) decimal(wire []byte, precision, scale int) (source.Value, error) {
	first, whole := leftoverSize((precision-scale)%groupDigits), decimalSize(precision-scale)
	last := whole + scale/groupDigits*4
	at := len(a.bytes)
	if len(wire) == 0 {
		return source.Value{}, wrongSize("DECIMAL", wire, 1)
	}
	var invert byte
	if wire[0]&0x80 == 0 {
		invert = 0xff
		a.bytes = append(a.bytes, '-')
	}
	var plain [32]byte // 65 digits need 30
	n := copy(plain[:], wire)
	plain[0] ^= 0x80
	for i := range plain[:n] {
		plain[i] ^= invert
	}
	digits := len(a.bytes)
	ok := a.decimalGroup(plain[:first], (precision-scale)%groupDigits)
	ok = a.decimalGroups(plain[first:whole]) && ok
	a.withoutLeadingZeros(digits)
	if scale > 0 {
		a.bytes = append(a.bytes, '.')
		ok = a.decimalGroups(plain[whole:last]) && ok
		ok = a.decimalGroup(plain[last:n], scale%groupDigits) && ok
	}
	if !ok {
		return source.Value{}, fmt.Errorf("decoding a DECIMAL(%d,%d): %x has a group of too many digits", precision, scale, wire)
	}
	return a.value(source.Text, at)
}

// decimalGroups appends the digits of whole groups. It fails if one has too many digits.
func (a *arena) decimalGroups(groups []byte) bool {
	ok := true
	for ; len(groups) > 0; groups = groups[4:] {
		ok = a.decimalGroup(groups[:4], groupDigits) && ok
	}
	return ok
}

func (a *arena) decimalGroup(group []byte, digits int) bool {
	n := bigEndian(group)
	end := len(a.bytes) + digits
	for range digits {
		a.bytes = append(a.bytes, '0')
	}
	for i := end - 1; i >= end-digits; i-- {
		a.bytes[i] = byte('0' + n%10)
		n /= 10
	}
	return n == 0
}

// withoutLeadingZeros leaves one digit at least behind a place in the arena.
func (a *arena) withoutLeadingZeros(at int) {
	if at == len(a.bytes) {
		a.bytes = append(a.bytes, '0')
		return
	}
	zeros := 0
	for zeros < len(a.bytes)-at-1 && a.bytes[at+zeros] == '0' {
		zeros++
	}
	a.bytes = append(a.bytes[:at], a.bytes[at+zeros:]...)
}
