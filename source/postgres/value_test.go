package postgres

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kafkasync/kafkasync/source"
)

// The forms are those of a real server; TestEveryTypeReads... compares them with one.
func TestBothFormsOfAValueAreDecodedAsTheContractSays(t *testing.T) {
	for _, c := range []struct {
		oid          uint32
		text, binary string // binary in hex; "-": not decoded
		kind         source.Kind
		want         string
	}{
		{pgtype.Int2OID, "-32768", "8000", source.Int, "-32768"},
		{pgtype.Int4OID, "2147483647", "7fffffff", source.Int, "2147483647"},
		{pgtype.Int8OID, "-9223372036854775808", "8000000000000000", source.BigInt, "-9223372036854775808"},
		{pgtype.OIDOID, "4294967295", "ffffffff", source.Int, "4294967295"},
		{xid8OID, "18446744073709551615", "ffffffffffffffff", source.BigInt, "18446744073709551615"},
		{pgtype.Float4OID, "0.1", "3dcccccd", source.Float, "0.1"},
		{pgtype.Float4OID, "1e+21", "6258d727", source.Float, "1e+21"},
		{pgtype.Float8OID, "-0", "8000000000000000", source.Float, "0"},
		{pgtype.Float8OID, "1e-07", "3e7ad7f29abcaf48", source.Float, "1e-7"},
		{pgtype.Float8OID, "9.999999999999999e+22", "44b52d02c7e14af6", source.Float, "1e+23"}, // the server does not trust a reader to round to even
		{pgtype.Float8OID, "1.7976931348623157e+308", "7fefffffffffffff", source.Float, "1.7976931348623157e+308"},
		{pgtype.Float8OID, "NaN", "7ff8000000000000", source.Float, "NaN"},
		{pgtype.Float8OID, "-Infinity", "fff0000000000000", source.Float, "-Infinity"},
		{pgtype.NumericOID, "0.00", "0000000000000002", source.Text, "0.00"},
		{pgtype.NumericOID, "-10000.0001", "0003000140000004000100000001", source.Text, "-10000.0001"},
		{pgtype.NumericOID, "NaN", "00000000c0000000", source.Text, "NaN"},
		{pgtype.TextOID, "a 'quoted' \"text\"", hex.EncodeToString([]byte("a 'quoted' \"text\"")), source.Text, "a 'quoted' \"text\""},
		{pgtype.BPCharOID, "ab   ", "6162202020", source.Text, "ab   "},
		{pgtype.QCharOID, "\xe9", "-", source.Text, `\351`},
		{pgtype.BoolOID, "t", "01", source.Bool, "true"},
		{pgtype.BoolOID, "f", "00", source.Bool, "false"},
		{pgtype.UUIDOID, "7f9c24e8-3b12-4fef-91e0-56a2d5a5a5a5", "7f9c24e83b124fef91e056a2d5a5a5a5", source.Text, "7f9c24e8-3b12-4fef-91e0-56a2d5a5a5a5"},
		{pgtype.ByteaOID, `\x00ff`, "00ff", source.Binary, "\x00\xff"},
		{pgtype.DateOID, "0044-03-15 BC", "fff49d7b", source.Text, "0044-03-15 BC"},
		{pgtype.TimeOID, "24:00:00", "000000141dd76000", source.Text, "24:00:00"},
		{pgtype.TimetzOID, "10:50:00.5+05:30", "00000009149c6720ffffb2a8", source.Text, "10:50:00.5+05:30"},
		{pgtype.TimestampOID, "2026-11-21 10:50:00.12", "000303c5e4147ac0", source.Text, "2026-11-21T10:50:00.12"},
		{pgtype.TimestamptzOID, "2026-11-21 10:50:00.12+00", "000303c5e4147ac0", source.Text, "2026-11-21T10:50:00.12Z"},
		{pgtype.TimestamptzOID, "infinity", "7fffffffffffffff", source.Text, "infinity"},
		{pgtype.TimestampOID, "-infinity", "8000000000000000", source.Text, "-infinity"},
		{pgtype.JSONBOID, `{"a": 1}`, "01" + hex.EncodeToString([]byte(`{"a": 1}`)), source.Text, `{"a": 1}`},
		{pgtype.InetOID, "10.0.0.1/8", "-", source.Text, "10.0.0.1/8"},
	} {
		var b source.Batch
		types := codecOf(c.oid)
		got, err := types.text(&b, []byte(c.text))
		if err != nil || got.Kind != c.kind || string(got.Bytes) != c.want {
			t.Errorf("decoding %q of type %d: got %d %q %v, want %d %q", c.text, c.oid, got.Kind, got.Bytes, err, c.kind, c.want)
		}
		if (types.binary == nil) != (c.binary == "-") {
			t.Errorf("type %d: got a binary decoder %v, want %v", c.oid, types.binary != nil, c.binary != "-")
		}
		if c.binary == "-" {
			continue
		}
		wire, err := hex.DecodeString(c.binary)
		if err != nil {
			t.Fatal(err)
		}
		got, err = types.binary(&b, wire)
		if err != nil || got.Kind != c.kind || string(got.Bytes) != c.want {
			t.Errorf("decoding %s of type %d: got %d %q %v, want %d %q", c.binary, c.oid, got.Kind, got.Bytes, err, c.kind, c.want)
		}
	}
}

func TestABrokenFormIsAnError(t *testing.T) {
	for _, c := range []struct {
		oid  uint32
		wire string
	}{
		{pgtype.Int2OID, "00"},
		{pgtype.Int4OID, "0000000000"},
		{pgtype.Int8OID, ""},
		{pgtype.OIDOID, "00"},
		{xid8OID, "00"},
		{pgtype.Float4OID, "00"},
		{pgtype.Float8OID, "00000000"},
		{pgtype.BoolOID, "02"},
		{pgtype.UUIDOID, "7f9c24e83b124fef91e056a2d5a5a5"},
		{pgtype.DateOID, "00"},
		{pgtype.TimeOID, "ffffffffffffffff"},
		{pgtype.TimetzOID, "000000000000000000015180"},
		{pgtype.TimestamptzOID, "00000000"},
		{pgtype.JSONBOID, "027b7d"},
		{pgtype.JSONBOID, ""},
		{pgtype.NumericOID, "00000000000000"},
		{pgtype.NumericOID, "00020000000000000001"},
		{pgtype.NumericOID, "00010000000000002710"}, // a group of five digits
		{pgtype.NumericOID, "0000000012340000"},
		{pgtype.NumericOID, "0000000000004000"},
	} {
		var b source.Batch
		wire, err := hex.DecodeString(c.wire)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := codecOf(c.oid).binary(&b, wire); err == nil {
			t.Errorf("type %d, %s: got %q, want an error", c.oid, c.wire, got.Bytes)
		}
	}
	for oid, text := range map[uint32]string{
		pgtype.BoolOID: "true", pgtype.ByteaOID: "abc", pgtype.Float8OID: "1,5", pgtype.Float4OID: "1e400",
	} {
		var b source.Batch
		if got, err := codecOf(oid).text(&b, []byte(text)); err == nil {
			t.Errorf("type %d, %q: got %q, want an error", oid, text, got.Bytes)
		}
	}
	var b source.Batch
	for _, text := range []string{`\x0`, `\x0g`} {
		if got, err := decodeByteaText(&b, []byte(text)); err == nil {
			t.Errorf("%q: got %q, want an error", text, got.Bytes)
		}
	}
}

func TestDatesAreThoseOfTheCalendar(t *testing.T) {
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		days := r.Int64N(4_000_000) - 2_451_545 // 4714 BC to about 6200
		date := epoch.AddDate(0, 0, int(days))
		year, era := date.Year(), false
		if year <= 0 {
			year, era = 1-year, true
		}
		want := fmt.Sprintf("%04d-%02d-%02d", year, date.Month(), date.Day())
		if got, bc := appendDate(nil, days); string(got) != want || bc != era {
			t.Fatalf("day %d: got %s %v, want %s %v", days, got, bc, want, era)
		}
	}
}

// FuzzBinary holds the decoders of binary forms to errors.
func FuzzBinary(f *testing.F) {
	for i := range builtins() {
		f.Add(uint8(i), []byte{0, 2, 0, 1, 0x40, 0, 0, 4, 0, 1, 0, 9})
		f.Add(uint8(i), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	types := builtins()
	f.Fuzz(func(t *testing.T, i uint8, wire []byte) {
		is := types[int(i)%len(types)]
		if is.binary == nil {
			return
		}
		var b source.Batch
		v, err := is.binary(&b, wire)
		if err != nil {
			return
		}
		if v.Kind <= source.Null {
			t.Errorf("%s %x: got kind %d, want a value", is.name, wire, v.Kind)
		}
		if v.Kind == source.Float && strings.Trim(string(v.Bytes), "NaInfity") != "" {
			if _, err := strconv.ParseFloat(string(v.Bytes), 64); err != nil {
				t.Errorf("%s %x: got %s, want a number", is.name, wire, v.Bytes)
			}
		}
	})
}
