package mysql

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/kafkasync/kafkasync/source"
)

// pluginDecoder is for MariaDB's types that the log has as bytes of a fixed length, without
// the zeros at their end.
func pluginDecoder(dataType string, width int) (decoder, error) {
	var write func(a *arena, whole []byte)
	want := 16
	switch dataType {
	case "uuid":
		write = (*arena).uuid
	case "inet6":
		write = func(a *arena, whole []byte) { a.bytes = netip.AddrFrom16([16]byte(whole)).AppendTo(a.bytes) }
	case "inet4":
		want = 4
		write = func(a *arena, whole []byte) { a.bytes = netip.AddrFrom4([4]byte(whole)).AppendTo(a.bytes) }
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
		write(a, whole[:want])
		return a.value(source.Text, at)
	}, nil
}

func (a *arena) uuid(u []byte) {
	at := len(a.bytes)
	a.bytes = append(a.bytes, "00000000-0000-0000-0000-000000000000"...)
	out := a.bytes[at:]
	hex.Encode(out[0:], u[0:4])
	hex.Encode(out[9:], u[4:6])
	hex.Encode(out[14:], u[6:8])
	hex.Encode(out[19:], u[8:10])
	hex.Encode(out[24:], u[10:16])
}
