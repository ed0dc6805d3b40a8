package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/kafkasync/kafkasync/source"
)

func decodeInt2(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 2 {
		return source.Value{}, wrongSize("smallint", wire, 2)
	}
	return intValue(b, source.Int, int64(int16(binary.BigEndian.Uint16(wire)))), nil
}

func decodeInt4(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 4 {
		return source.Value{}, wrongSize("integer", wire, 4)
	}
	return intValue(b, source.Int, int64(int32(binary.BigEndian.Uint32(wire)))), nil
}

func decodeInt8(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 8 {
		return source.Value{}, wrongSize("bigint", wire, 8)
	}
	return intValue(b, source.BigInt, int64(binary.BigEndian.Uint64(wire))), nil
}

// decodeUint4 is for oid and what is sent like it.
func decodeUint4(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 4 {
		return source.Value{}, wrongSize("oid", wire, 4)
	}
	return intValue(b, source.Int, int64(binary.BigEndian.Uint32(wire))), nil
}

func decodeUint8(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 8 {
		return source.Value{}, wrongSize("xid8", wire, 8)
	}
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], binary.BigEndian.Uint64(wire), 10)
	return source.Value{Kind: source.BigInt, Bytes: b.Copy(digits)}, nil
}

func intValue(b *source.Batch, kind source.Kind, n int64) source.Value {
	var buf [20]byte
	return source.Value{Kind: kind, Bytes: b.Copy(strconv.AppendInt(buf[:0], n, 10))}
}

func decodeFloat4(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 4 {
		return source.Value{}, wrongSize("real", wire, 4)
	}
	return floatValue(b, float64(math.Float32frombits(binary.BigEndian.Uint32(wire))), 32), nil
}

func decodeFloat8(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 8 {
		return source.Value{}, wrongSize("double precision", wire, 8)
	}
	return floatValue(b, math.Float64frombits(binary.BigEndian.Uint64(wire)), 64), nil
}

func floatValue(b *source.Batch, f float64, bits int) source.Value {
	var buf [32]byte
	return source.Value{Kind: source.Float, Bytes: b.Copy(source.AppendFloat(buf[:0], f, bits))}
}

func decodeBool(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 1 || wire[0] > 1 {
		return source.Value{}, fmt.Errorf("decoding a bool: got the bytes %x, want 00 or 01", wire)
	}
	return boolValue(b, wire[0] == 1), nil
}

func boolValue(b *source.Batch, is bool) source.Value {
	var buf [5]byte
	return source.Value{Kind: source.Bool, Bytes: b.Copy(strconv.AppendBool(buf[:0], is))}
}

func decodeUUID(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) != 16 {
		return source.Value{}, wrongSize("uuid", wire, 16)
	}
	var out [36]byte
	hex.Encode(out[0:], wire[0:4])
	hex.Encode(out[9:], wire[4:6])
	hex.Encode(out[14:], wire[6:8])
	hex.Encode(out[19:], wire[8:10])
	hex.Encode(out[24:], wire[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return textValue(b, out[:]), nil
}

// decodeJSONB reads a version, then the text.
func decodeJSONB(b *source.Batch, wire []byte) (source.Value, error) {
	if len(wire) == 0 || wire[0] != 1 {
		return source.Value{}, fmt.Errorf("decoding a jsonb: got %.2x, want version 1", wire)
	}
	return textValue(b, wire[1:]), nil
}
