package postgres

import (
	"bytes"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kafkasync/kafkasync/source"
)

// decoder turns the text form of a column, as the settings of connConfig make
// the server print it, into a Value whose bytes live in b.
type decoder func(b *source.Batch, text []byte) (source.Value, error)

// decoderOf returns the decoder of a type, or nil for one that is not decoded yet.
func decoderOf(typeOID uint32) decoder {
	switch typeOID {
	case pgtype.Int2OID, pgtype.Int4OID:
		return verbatim(source.Int)
	case pgtype.Int8OID:
		return verbatim(source.BigInt)
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.UUIDOID:
		return verbatim(source.Text)
	case pgtype.BoolOID:
		return decodeBool
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return decodeTimestamp
	}
	return nil
}

// verbatim is for types whose text form needs no change.
func verbatim(kind source.Kind) decoder {
	return func(b *source.Batch, text []byte) (source.Value, error) {
		return source.Value{Kind: kind, Bytes: b.Copy(text)}, nil
	}
}

func decodeBool(b *source.Batch, text []byte) (source.Value, error) {
	switch string(text) {
	case "t":
		return source.Value{Kind: source.Bool, Bytes: b.Copy([]byte("true"))}, nil
	case "f":
		return source.Value{Kind: source.Bool, Bytes: b.Copy([]byte("false"))}, nil
	}
	return source.Value{}, fmt.Errorf("decoding a bool: got %q, want t or f", text)
}

// decodeTimestamp makes "2026-11-21 10:50:00.5+00" of DateStyle ISO in UTC an
// ISO 8601 time, "2026-11-21T10:50:00.5Z". What that form cannot say (infinity,
// years before Christ) stays as the database prints it. The server prints the
// fraction without trailing zeros already.
func decodeTimestamp(b *source.Batch, text []byte) (source.Value, error) {
	out := b.Copy(text)
	at := bytes.IndexByte(out, ' ')
	if at < 0 || bytes.HasSuffix(out, []byte(" BC")) {
		return source.Value{Kind: source.Text, Bytes: out}, nil
	}
	out[at] = 'T'
	if zone, isUTC := bytes.CutSuffix(out, []byte("+00")); isUTC {
		out = append(zone, 'Z') // in place: the zone is longer
	}
	return source.Value{Kind: source.Text, Bytes: out}, nil
}
