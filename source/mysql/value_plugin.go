package mysql

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/kafkasync/kafkasync/source"
)

// pluginDecoder is for MariaDB's types that the log has as bytes of a fixed length, without
// the zeros at their end.
func pluginDecoder(dataType string, width int) (decoder, error) {
	var write func(a *arena, whole [16]byte) // not a slice, which would have to be allocated
	want := 16
	switch dataType {
	case "uuid":
		write = (*arena).uuid
	case "inet6":
		write = (*arena).inet6
	case "inet4":
		want = 4
		write = func(a *arena, whole [16]byte) { a.inet4(whole[:4]) }
	}
	if width != want {
		return nil, fmt.Errorf("it is %s now, but the log has %d bytes for it: it was written when the table was another", dataType, width)
	}
	return func(a *arena, wire []byte) (source.Value, error) {
		if len(wire) > want {
			return source.Value{}, wrongSize(dataType, wire, want)
		}
		var whole [16]byte
		copy(whole[:], wire)
		at := len(a.bytes)
		write(a, whole)
		return a.value(source.Text, at)
	}, nil
}

func (a *arena) uuid(u [16]byte) {
	at := len(a.bytes)
	a.bytes = append(a.bytes, "00000000-0000-0000-0000-000000000000"...)
	out := a.bytes[at:]
	hex.Encode(out[0:], u[0:4])
	hex.Encode(out[9:], u[4:6])
	hex.Encode(out[14:], u[6:8])
	hex.Encode(out[19:], u[8:10])
	hex.Encode(out[24:], u[10:16])
}

func (a *arena) inet4(whole []byte) {
	for i, b := range whole {
		if i > 0 {
			a.bytes = append(a.bytes, '.')
		}
		a.bytes = strconv.AppendUint(a.bytes, uint64(b), 10)
	}
}

// inet6 prints an address as MariaDB does: one group of zeros is left out, too, and any address
// that begins with zeros like one of version 4 ends like one.
func (a *arena) inet6(whole [16]byte) {
	const groups = 8
	gap, zeros := longestZeros(whole[:])
	for i := 0; i < groups; i++ {
		switch {
		case i == gap:
			if i == 0 {
				a.bytes = append(a.bytes, ':')
			}
			a.bytes = append(a.bytes, ':')
			i += zeros - 1
		case i == 6 && gap == 0 && (zeros == 6 || zeros == 5 && whole[10] == 0xff && whole[11] == 0xff):
			a.inet4(whole[12:])
			return
		default:
			a.bytes = strconv.AppendUint(a.bytes, bigEndian(whole[2*i:2*i+2]), 16)
			if i < groups-1 {
				a.bytes = append(a.bytes, ':')
			}
		}
	}
}

// longestZeros returns the first of the longest runs of groups that are zero; -1 if there is none.
func longestZeros(whole []byte) (at, n int) {
	at = -1
	for i := 0; i < len(whole)/2; i++ {
		run := 0
		for j := 2 * i; j < len(whole) && whole[j] == 0 && whole[j+1] == 0; j += 2 {
			run++
		}
		if run > n {
			at, n = i, run
		}
	}
	return at, n
}
