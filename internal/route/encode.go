package route

import (
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync/source"
)

// appendJSON appends a value as DESIGN section 4 writes it in a payload. The
// returned problem says why it cannot; "" if it can. It is a string because the
// caller knows the column, and an error would be made for nothing per row.
func appendJSON(dst []byte, v *source.Value, enc Encoding) (out []byte, problem string) {
	switch v.Kind {
	case source.Null:
		return append(dst, "null"...), ""
	case source.Int, source.BigInt:
		if !isInteger(v.Bytes) {
			return dst, notInteger
		}
		if v.Kind == source.BigInt && enc.BigintAsString {
			return quoted(dst, v.Bytes), ""
		}
		return append(dst, v.Bytes...), ""
	case source.Float:
		switch string(v.Bytes) {
		case "NaN", "Infinity", "-Infinity":
			return quoted(dst, v.Bytes), ""
		}
		if !isNumber(v.Bytes) {
			return dst, "a float that is no JSON number"
		}
		return append(dst, v.Bytes...), ""
	case source.Bool:
		if s := string(v.Bytes); s != "true" && s != "false" {
			return dst, "a bool that is neither true nor false"
		}
		return append(dst, v.Bytes...), ""
	case source.Text:
		if !utf8.Valid(v.Bytes) {
			return dst, notUTF8
		}
		return appendString(dst, v.Bytes), ""
	case source.Binary:
		return append(appendBinary(append(dst, '"'), v.Bytes, enc), '"'), ""
	default:
		return dst, "a value of an unknown kind"
	}
}

const (
	notUTF8    = "text that is not UTF-8"
	notInteger = "an integer that is no JSON number"
)

// appendBare appends a value as the key of a message has it: as in the payload,
// but strings unquoted and unescaped.
func appendBare(dst []byte, v *source.Value, enc Encoding) (out []byte, problem string) {
	switch v.Kind {
	case source.Text:
		if !utf8.Valid(v.Bytes) {
			return dst, notUTF8
		}
		return append(dst, v.Bytes...), ""
	case source.BigInt:
		if !isInteger(v.Bytes) {
			return dst, notInteger
		}
		return append(dst, v.Bytes...), ""
	case source.Binary:
		return appendBinary(dst, v.Bytes, enc), ""
	case source.Float:
		// The names of what is no number are not quoted here.
		at := len(dst)
		dst, problem = appendJSON(dst, v, enc)
		if len(dst) > at && dst[at] == '"' {
			dst = append(dst[:at], v.Bytes...)
		}
		return dst, problem
	default:
		return appendJSON(dst, v, enc)
	}
}

func quoted(dst, text []byte) []byte { return append(append(append(dst, '"'), text...), '"') }

func appendBinary(dst, raw []byte, enc Encoding) []byte {
	if enc.BinaryAsBase64 {
		return base64.StdEncoding.AppendEncode(dst, raw)
	}
	return hex.AppendEncode(dst, raw)
}

// appendString appends a JSON string, escaping only what JSON demands: a
// payload is then the same bytes whatever language it is compared in.
func appendString[S []byte | string](dst []byte, s S) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // what has not been copied yet
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// isInteger reports whether b is a JSON number without fraction and exponent.
func isInteger(b []byte) bool {
	n := integer(b)
	return n > 0 && n == len(b)
}

// integer returns the length of the integer that b begins with, 0 if with none.
func integer(b []byte) int {
	i := 0
	if len(b) > 0 && b[0] == '-' {
		i = 1
	}
	n := digits(b[i:])
	if n == 0 || n > 1 && b[i] == '0' {
		return 0
	}
	return i + n
}

// digits returns how many digits b begins with.
func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// isNumber reports whether b is a JSON number.
func isNumber(b []byte) bool {
	n := integer(b)
	if n == 0 {
		return false
	}
	b = b[n:]
	if len(b) > 0 && b[0] == '.' {
		if n = digits(b[1:]); n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if n = digits(b); n == 0 {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}
