package source

import (
	"math"
	"strconv"
)

// AppendFloat appends the shortest number that reads back equal, laid out as
// ECMAScript does: without exponent from 1e-6 to below 1e21, and zero has no sign.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		return append(dst, '0')
	}
	size := math.Abs(f)
	if bits == 64 && size >= 1e-6 && size < 1e21 || bits == 32 && float32(size) >= 1e-6 && float32(size) < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	// strconv gives an exponent two digits at least: 1e-07.
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}
