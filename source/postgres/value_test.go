package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kafkasync/kafkasync/source"
)

func TestValuesAreDecodedAsTheContractSays(t *testing.T) {
	for _, c := range []struct {
		oid  uint32
		text string
		kind source.Kind
		want string
	}{
		{pgtype.Int2OID, "-32768", source.Int, "-32768"},
		{pgtype.Int4OID, "2147483647", source.Int, "2147483647"},
		{pgtype.Int8OID, "-9223372036854775808", source.BigInt, "-9223372036854775808"},
		{pgtype.TextOID, "a 'quoted' \"text\"", source.Text, "a 'quoted' \"text\""},
		{pgtype.BPCharOID, "ab   ", source.Text, "ab   "},
		{pgtype.BoolOID, "t", source.Bool, "true"},
		{pgtype.BoolOID, "f", source.Bool, "false"},
		{pgtype.TimestampOID, "2026-11-21 10:50:00", source.Text, "2026-11-21T10:50:00"},
		{pgtype.TimestampOID, "2026-11-21 10:50:00.12", source.Text, "2026-11-21T10:50:00.12"},
		{pgtype.TimestamptzOID, "2026-11-21 10:50:00.123456+00", source.Text, "2026-11-21T10:50:00.123456Z"},
		{pgtype.TimestamptzOID, "infinity", source.Text, "infinity"},
		{pgtype.TimestampOID, "-infinity", source.Text, "-infinity"},
		{pgtype.TimestamptzOID, "0044-03-15 00:00:00+00 BC", source.Text, "0044-03-15 00:00:00+00 BC"},
		{pgtype.TimestampOID, "12026-01-01 00:00:00", source.Text, "12026-01-01T00:00:00"},
	} {
		var b source.Batch
		got, err := decoderOf(c.oid)(&b, []byte(c.text))
		if err != nil || got.Kind != c.kind || string(got.Bytes) != c.want {
			t.Errorf("decoding %q of type %d: got %d %q %v, want %d %q", c.text, c.oid, got.Kind, got.Bytes, err, c.kind, c.want)
		}
	}
}

func TestATypeWithoutDecoderHasNone(t *testing.T) {
	if decoderOf(pgtype.NumericOID) != nil {
		t.Error("got a decoder for numeric, want none yet")
	}
}
