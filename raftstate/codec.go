package raftstate

import (
	"encoding/binary"
	"errors"
	"math"
)

// errMalformed is for bytes that no release has written.
var errMalformed = errors.New("malformed")

// The encoding is canonical: integers are eight bytes, big-endian; a string
// follows its length in four bytes; a bool is the byte 0 or 1. So equal values
// are equal bytes, and what decodes encodes to the same bytes again.

func putInt(b []byte, v int64) []byte   { return binary.BigEndian.AppendUint64(b, uint64(v)) }
func putUint(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func putString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func putBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// reader takes values off the front of rest. After the first that is not there it returns zero values.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return nil
	}
	head := r.rest[:n]
	r.rest = r.rest[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) int() int64 { return int64(r.uint()) }

func (r *reader) count() int {
	b := r.take(4)
	if b == nil {
		return 0
	}
	n := binary.BigEndian.Uint32(b)
	if n > math.MaxInt32 {
		r.failed = true
		return 0
	}
	return int(n)
}

func (r *reader) string() string { return string(r.take(r.count())) }

func (r *reader) bool() bool {
	b := r.byte()
	r.failed = r.failed || b > 1
	return b == 1
}

// end fails unless everything was there and nothing is left.
func (r *reader) end() error {
	if r.failed || len(r.rest) > 0 {
		return errMalformed
	}
	return nil
}
