package mysql

import (
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// clock is a moment of a calendar, of a day or of a stopwatch, as the log holds it:
// none of its numbers need be possible.
type clock struct {
	year, month, day     int
	hour, minute, second int
	micros               int
}

// isNoDate reports whether it is one of the dates that only MySQL has, with a month
// or a day 0. They are printed as the server does.
func (c clock) isNoDate() bool { return c.month == 0 || c.day == 0 }

// decodeDate reads 15 bits of the year, 4 of the month, 5 of the day.
func decodeDate(a *arena, wire []byte) (source.Value, error) {
	n := int(littleEndian(wire))
	at := len(a.bytes)
	a.date(clock{year: n >> 9, month: n >> 5 & 15, day: n & 31})
	return a.value(source.Text, at)
}

// datetimeDecoder is for DATETIME with so many digits behind the second: 17 bits of year and
// month (13 months to a year), 5 of the day, 5 of the hour, 6 of the minute, 6 of the second, above a sign.
func datetimeDecoder(digits int) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		const sign = 1 << 39
		n := bigEndian(wire[:5])
		if n&sign == 0 {
			return source.Value{}, fmt.Errorf("decoding a DATETIME: %x is negative", wire)
		}
		n &^= sign
		months := int(n >> 22)
		c := clock{
			year: months / 13, month: months % 13, day: int(n >> 17 & 31),
			hour: int(n >> 12 & 31), minute: int(n >> 6 & 63), second: int(n & 63),
			micros: fraction(wire[5:], digits),
		}
		return a.datetime(c, digits)
	}
}

// timestampDecoder is for TIMESTAMP: seconds since 1970, and a fraction. 0 is the date 0000-00-00.
func timestampDecoder(digits int) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		return a.timestamp(int64(bigEndian(wire[:4])), fraction(wire[4:], digits), digits)
	}
}

func (a *arena) timestamp(seconds int64, micros, digits int) (source.Value, error) {
	if seconds == 0 {
		return a.datetime(clock{micros: micros}, digits)
	}
	t := time.Unix(seconds, 0).UTC()
	at := len(a.bytes)
	c := clock{micros: micros}
	var month time.Month
	c.year, month, c.day = t.Date()
	c.month = int(month)
	c.hour, c.minute, c.second = t.Clock()
	if _, err := a.datetime(c, digits); err != nil {
		return source.Value{}, err
	}
	a.bytes = append(a.bytes, 'Z')
	return a.value(source.Text, at)
}

// timeDecoder is for TIME: a sign, 10 bits of the hour, 6 of the minute, 6 of the second, then
// the fraction; what is negative is so as a whole.
func timeDecoder(digits int) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		fractionBits := 8 * (len(wire) - 3)
		n := int64(bigEndian(wire)) - 1<<(23+fractionBits)
		negative := n < 0
		if negative {
			n = -n
		}
		whole := n >> fractionBits
		c := clock{hour: int(whole >> 12 & 1023), minute: int(whole >> 6 & 63), second: int(whole & 63)}
		c.micros = scaled(uint64(n&(1<<fractionBits-1)), digits)
		return a.stopwatch(c, negative)
	}
}

// decodeOldTime reads the form of servers before 5.6: the digits hhmmss as a number.
func decodeOldTime(a *arena, wire []byte) (source.Value, error) {
	n := int32(littleEndian(wire)<<8) >> 8
	negative := n < 0
	if negative {
		n = -n
	}
	return a.stopwatch(clock{hour: int(n / 10000), minute: int(n / 100 % 100), second: int(n % 100)}, negative)
}

// decodeOldDatetime reads the form of servers before 5.6: the digits YYYYMMDDhhmmss as a number.
func decodeOldDatetime(a *arena, wire []byte) (source.Value, error) {
	n := littleEndian(wire)
	day, second := int(n/1_000_000), int(n%1_000_000)
	if n > 99991231_235959 {
		return source.Value{}, fmt.Errorf("decoding a DATETIME: %d is none", n)
	}
	return a.datetime(clock{
		year: day / 10000, month: day / 100 % 100, day: day % 100,
		hour: second / 10000, minute: second / 100 % 100, second: second % 100,
	}, 0)
}

func decodeOldTimestamp(a *arena, wire []byte) (source.Value, error) {
	return a.timestamp(int64(littleEndian(wire)), 0, 0)
}

// fraction reads the microseconds of a value with so many digits behind the second.
func fraction(wire []byte, digits int) int { return scaled(bigEndian(wire), digits) }

// scaled makes microseconds of what is counted in hundredths, for 1 or 2 digits, ten
// thousandths or millionths.
func scaled(n uint64, digits int) int {
	for range 3 - (digits+1)/2 {
		n *= 100
	}
	return int(n)
}

// datetime writes a date and a time as ISO 8601 does. What is no date stays as the
// server prints it, with all its digits.
func (a *arena) datetime(c clock, digits int) (source.Value, error) {
	if c.hour > 23 || c.minute > 59 || c.second > 59 || c.micros > 999_999 {
		return source.Value{}, fmt.Errorf("decoding a time: %02d:%02d:%02d.%06d is none", c.hour, c.minute, c.second, c.micros)
	}
	at := len(a.bytes)
	a.date(c)
	if c.isNoDate() {
		a.bytes = append(a.bytes, ' ')
		a.timeOfDay(c)
		a.digits(c.micros, digits)
	} else {
		a.bytes = append(a.bytes, 'T')
		a.timeOfDay(c)
		a.fraction(c.micros)
	}
	return a.value(source.Text, at)
}

func (a *arena) stopwatch(c clock, negative bool) (source.Value, error) {
	if c.minute > 59 || c.second > 59 || c.micros > 999_999 {
		return source.Value{}, fmt.Errorf("decoding a TIME: %d:%02d:%02d.%06d is none", c.hour, c.minute, c.second, c.micros)
	}
	at := len(a.bytes)
	if negative {
		a.bytes = append(a.bytes, '-')
	}
	a.timeOfDay(c)
	a.fraction(c.micros)
	return a.value(source.Text, at)
}

func (a *arena) date(c clock) {
	a.two(c.year / 100)
	a.two(c.year % 100)
	a.bytes = append(a.bytes, '-')
	a.two(c.month)
	a.bytes = append(a.bytes, '-')
	a.two(c.day)
}

func (a *arena) timeOfDay(c clock) {
	if c.hour > 99 { // of a stopwatch
		a.bytes = append(a.bytes, byte('0'+c.hour/100%10))
	}
	a.two(c.hour % 100)
	a.bytes = append(a.bytes, ':')
	a.two(c.minute)
	a.bytes = append(a.bytes, ':')
	a.two(c.second)
}

func (a *arena) two(n int) {
	a.bytes = append(a.bytes, byte('0'+n/10%10), byte('0'+n%10))
}

// fraction writes microseconds without trailing zeros.
func (a *arena) fraction(micros int) {
	digits := 6
	for ; digits > 0 && micros%10 == 0; digits-- {
		micros /= 10
	}
	for unit := digits; unit < 6; unit++ {
		micros *= 10
	}
	a.digits(micros, digits)
}

// digits writes the first digits of microseconds, behind a point.
func (a *arena) digits(micros, digits int) {
	if digits == 0 {
		return
	}
	a.bytes = append(a.bytes, '.')
	for unit := 100_000; digits > 0; digits-- {
		a.bytes = append(a.bytes, byte('0'+micros/unit%10))
		unit /= 10
	}
}
