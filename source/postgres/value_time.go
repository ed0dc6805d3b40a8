package postgres

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/kafkasync/kafkasync/source"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
	// From 0000-03-01, where the leap day ends a year, to 2000-01-01.
	marchToEpoch = 730_425
)

// decodeDate reads days since 2000-01-01.
func decodeDate(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 4 {
		return source.Value{}, wrongSize("date", wire, 4)
	}
	days := int32(binary.BigEndian.Uint32(wire))
	var buf [32]byte
	out := buf[:0]
	switch days {
	case math.MaxInt32:
		out = append(out, "infinity"...)
	case math.MinInt32:
		out = append(out, "-infinity"...)
	default:
		var bc bool
		if out, bc = appendDate(out, int64(days)); bc {
			out = append(out, " BC"...)
		}
	}
	return textValue(b, out), nil
}

// decodeTime reads microseconds since midnight, to the end of the day.
func decodeTime(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 8 {
		return source.Value{}, wrongSize("time", wire, 8)
	}
	micros := int64(binary.BigEndian.Uint64(wire))
	if micros < 0 || micros > microsPerDay {
		return source.Value{}, notInADay(micros)
	}
	var buf [32]byte
	return textValue(b, appendTime(buf[:0], micros)), nil
}

// decodeTimetz reads a time, then the seconds that its zone lies west of Greenwich.
func decodeTimetz(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 12 {
		return source.Value{}, wrongSize("time with time zone", wire, 12)
	}
	micros, west := int64(binary.BigEndian.Uint64(wire)), int32(binary.BigEndian.Uint32(wire[8:]))
	if micros < 0 || micros > microsPerDay || west <= -86_400 || west >= 86_400 {
		return source.Value{}, notInADay(micros)
	}
	var buf [32]byte
	out := appendTime(buf[:0], micros)
	sign, east := byte('+'), uint32(-west)
	if west > 0 {
		sign, east = '-', uint32(west)
	}
	out = appendTwo(append(out, sign), east/3600)
	if east%3600 != 0 {
		out = appendTwo(append(out, ':'), east/60%60)
	}
	if east%60 != 0 {
		out = appendTwo(append(out, ':'), east%60)
	}
	return textValue(b, out), nil
}

func notInADay(micros int64) error {
	return fmt.Errorf("decoding a time: %d microseconds, or its zone, are not within a day", micros)
}

func decodeTimestamp(b *source.Batch, wire []byte) (source.Value, error) {
	return timestampValue(b, wire, "", "")
}

func decodeTimestamptz(b *source.Batch, wire []byte) (source.Value, error) {
	return timestampValue(b, wire, "+00", "Z")
}

// timestampValue reads microseconds since 2000-01-01. It prints what
// decodeTimestampText makes of the text form, where the zone is printed before
// it is made ISO 8601.
func timestampValue(b *source.Batch, wire []byte, printedZone, zone string) (source.Value, error) {
	if len(wire) != 8 {
		return source.Value{}, wrongSize("timestamp", wire, 8)
	}
	micros := int64(binary.BigEndian.Uint64(wire))
	var buf [48]byte
	out := buf[:0]
	switch micros {
	case math.MaxInt64:
		return textValue(b, append(out, "infinity"...)), nil
	case math.MinInt64:
		return textValue(b, append(out, "-infinity"...)), nil
	}
	days := micros / microsPerDay
	micros -= days * microsPerDay
	if micros < 0 {
		days, micros = days-1, micros+microsPerDay
	}
	out, bc := appendDate(out, days)
	if bc {
		out = appendTime(append(out, ' '), micros)
		out = append(append(out, printedZone...), " BC"...)
	} else {
		out = append(appendTime(append(out, 'T'), micros), zone...)
	}
	return textValue(b, out), nil
}

// appendDate appends year, month and day of the Gregorian calendar, and reports
// whether the year is before Christ. It counts in years that begin in March, so
// that the leap day is the last.
func appendDate(dst []byte, days int64) (out []byte, bc bool) {
	const perEra = 146_097 // days of 400 years
	days += marchToEpoch
	era := days / perEra
	day := days - era*perEra
	if day < 0 {
		era, day = era-1, day+perEra
	}
	year := (day - day/1460 + day/36524 - day/146096) / 365
	day -= 365*year + year/4 - year/100
	month := (5*day + 2) / 153 // 0 is March
	day -= (153*month+2)/5 - 1
	year += 400 * era
	if month += 3; month > 12 {
		month, year = month-12, year+1
	}
	if bc = year <= 0; bc {
		year = 1 - year
	}
	dst = appendYear(dst, uint32(year))
	dst = appendTwo(append(dst, '-'), uint32(month))
	return appendTwo(append(dst, '-'), uint32(day)), bc
}

// appendYear appends at least four digits.
func appendYear(dst []byte, year uint32) []byte {
	if year > 9999 {
		dst = appendYear(dst, year/10)
		return append(dst, byte('0'+year%10))
	}
	return appendTwo(appendTwo(dst, year/100), year%100)
}

func appendTwo(dst []byte, n uint32) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// appendTime appends hours, minutes and seconds, and the fraction without trailing zeros.
func appendTime(dst []byte, micros int64) []byte {
	seconds, fraction := uint32(micros/microsPerSecond), uint32(micros%microsPerSecond)
	dst = appendTwo(dst, seconds/3600)
	dst = appendTwo(append(dst, ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint32(microsPerSecond / 10); fraction > 0; unit /= 10 {
		dst = append(dst, byte('0'+fraction/unit))
		fraction %= unit
	}
	return dst
}
