package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kafkasync/kafkasync/source"
)

// decoder turns what the wire holds of a column into a Value whose bytes live in b.
type decoder func(b *source.Batch, wire []byte) (source.Value, error)

// codec decodes the two forms in which the server sends values of a type: text,
// as the settings of connConfig make it print, and what the type's send function
// makes. Both give the same Value.
type codec struct {
	text   decoder
	binary decoder // nil: not decoded here, so the log is read in text form
}

// builtin is a type of schema pg_catalog whose values are more than their text,
// or whose binary form is decoded.
type builtin struct {
	oid  uint32
	name string
	codec
}

// xid8OID is not among pgtype's.
const xid8OID = 5069

// builtins is the table of types in docs/messages.md. What is not in it is a
// string as the database prints it.
func builtins() []builtin {
	number, bigNumber, text := verbatim(source.Int), verbatim(source.BigInt), verbatim(source.Text)
	return []builtin{
		{pgtype.Int2OID, "int2", codec{number, decodeInt2}},
		{pgtype.Int4OID, "int4", codec{number, decodeInt4}},
		{pgtype.Int8OID, "int8", codec{bigNumber, decodeInt8}},
		{pgtype.OIDOID, "oid", codec{number, decodeUint4}},
		{pgtype.XIDOID, "xid", codec{number, decodeUint4}},
		{pgtype.CIDOID, "cid", codec{number, decodeUint4}},
		{xid8OID, "xid8", codec{bigNumber, decodeUint8}},
		{pgtype.Float4OID, "float4", codec{decodeFloatText(32), decodeFloat4}},
		{pgtype.Float8OID, "float8", codec{decodeFloatText(64), decodeFloat8}},
		{pgtype.NumericOID, "numeric", codec{text, decodeNumeric}},
		{pgtype.BoolOID, "bool", codec{decodeBoolText, decodeBool}},
		{pgtype.TextOID, "text", codec{text, text}},
		{pgtype.VarcharOID, "varchar", codec{text, text}},
		{pgtype.BPCharOID, "bpchar", codec{text, text}},
		{pgtype.NameOID, "name", codec{text, text}},
		// Only the server knows how a byte beyond ASCII reads in its encoding.
		{pgtype.QCharOID, "char", codec{decodeCharText, nil}},
		{pgtype.UUIDOID, "uuid", codec{text, decodeUUID}},
		{pgtype.ByteaOID, "bytea", codec{decodeByteaText, verbatim(source.Binary)}},
		{pgtype.DateOID, "date", codec{text, decodeDate}},
		{pgtype.TimeOID, "time", codec{text, decodeTime}},
		{pgtype.TimetzOID, "timetz", codec{text, decodeTimetz}},
		{pgtype.TimestampOID, "timestamp", codec{decodeTimestampText, decodeTimestamp}},
		{pgtype.TimestamptzOID, "timestamptz", codec{decodeTimestampText, decodeTimestamptz}},
		{pgtype.JSONOID, "json", codec{text, text}},
		{pgtype.JSONBOID, "jsonb", codec{text, decodeJSONB}},
	}
}

// codecOf returns the codec of a built-in type.
func codecOf(oid uint32) codec {
	return findCodec(func(t *builtin) bool { return t.oid == oid })
}

// codecNamed returns the codec of a type of schema pg_catalog.
func codecNamed(name string) codec {
	return findCodec(func(t *builtin) bool { return t.name == name })
}

func findCodec(is func(*builtin) bool) codec {
	all := builtins()
	for i := range all {
		if is(&all[i]) {
			return all[i].codec
		}
	}
	return printed()
}

// printed is the codec of all other types: ranges, arrays, composite types, those of extensions.
func printed() codec { return codec{text: verbatim(source.Text)} }

// verbatim is for forms that need no change.
func verbatim(kind source.Kind) decoder {
	return func(b *source.Batch, wire []byte) (source.Value, error) {
		return source.Value{Kind: kind, Bytes: b.Copy(wire)}, nil
	}
}

func textValue(b *source.Batch, text []byte) source.Value {
	return source.Value{Kind: source.Text, Bytes: b.Copy(text)}
}

// wrongSize is the error of a binary form that is not as long as its type says.
func wrongSize(name string, wire []byte, want int) error {
	return fmt.Errorf("decoding a %s: got %d bytes, want %d", name, len(wire), want)
}
