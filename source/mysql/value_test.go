package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/source"
)

// The bytes are those of real servers, or made to the rules of their formats where no server here writes them.
func TestAValueIsDecodedFromItsBytes(t *testing.T) {
	for _, c := range []struct {
		column logged
		wire   string
		want   string
	}{
		{logged{mysql.MYSQL_TYPE_TINY, 0, columnInfo{}}, "80", "-128"},
		{logged{mysql.MYSQL_TYPE_TINY, 0, columnInfo{unsigned: true}}, "80", "128"},
		{logged{mysql.MYSQL_TYPE_INT24, 0, columnInfo{}}, "000080", "-8388608"},
		{logged{mysql.MYSQL_TYPE_INT24, 0, columnInfo{unsigned: true}}, "ffffff", "16777215"},
		{logged{mysql.MYSQL_TYPE_LONGLONG, 0, columnInfo{}}, "ffffffffffffffff", "-1n"},
		{logged{mysql.MYSQL_TYPE_LONGLONG, 0, columnInfo{unsigned: true}}, "ffffffffffffffff", "18446744073709551615n"},
		{logged{mysql.MYSQL_TYPE_YEAR, 0, columnInfo{}}, "00", "0"},
		{logged{mysql.MYSQL_TYPE_YEAR, 0, columnInfo{}}, "ff", "2155"},
		{logged{mysql.MYSQL_TYPE_BIT, 1<<8 | 2, columnInfo{}}, "0301", "769"},
		{logged{mysql.MYSQL_TYPE_BIT, 8 << 8, columnInfo{}}, "ffffffffffffffff", "18446744073709551615n"},
		{logged{mysql.MYSQL_TYPE_FLOAT, 4, columnInfo{}}, "cdcccc3d", "0.1"},
		{logged{mysql.MYSQL_TYPE_FLOAT, 4, columnInfo{}}, "0000c07f", "NaN"}, // no server writes these three
		{logged{mysql.MYSQL_TYPE_FLOAT, 4, columnInfo{}}, "0000807f", "Infinity"},
		{logged{mysql.MYSQL_TYPE_FLOAT, 4, columnInfo{}}, "000080ff", "-Infinity"},
		{logged{mysql.MYSQL_TYPE_DOUBLE, 8, columnInfo{}}, "48afbc9af2d77a3e", "1e-7"},
		{logged{mysql.MYSQL_TYPE_DOUBLE, 8, columnInfo{}}, "0000000000000080", "0"},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 10<<8 | 2, columnInfo{}}, "8000000c32", `"12.50"`},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 14<<8 | 4, columnInfo{}}, "810dfb38d204d2", `"1234567890.1234"`},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 14<<8 | 4, columnInfo{}}, "7ef204c72dfb2d", `"-1234567890.1234"`},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 2<<8 | 2, columnInfo{}}, "80", `"0.00"`},
		{logged{mysql.MYSQL_TYPE_DATE, 0, columnInfo{}}, "75d50f", `"2026-11-21"`},
		{logged{mysql.MYSQL_TYPE_DATE, 0, columnInfo{}}, "000000", `"0000-00-00"`},
		{logged{mysql.MYSQL_TYPE_TIME, 0, columnInfo{}}, "590a80", `"-838:59:59"`},
		{logged{mysql.MYSQL_TYPE_DATETIME, 0, columnInfo{}}, "681ced686d120000", `"2026-11-21T10:50:00"`},
		{logged{mysql.MYSQL_TYPE_DATETIME, 0, columnInfo{}}, "0000000000000000", `"0000-00-00 00:00:00"`},
		{logged{mysql.MYSQL_TYPE_TIMESTAMP, 0, columnInfo{}}, "01000000", `"1970-01-01T00:00:01Z"`},
		{logged{mysql.MYSQL_TYPE_TIMESTAMP, 0, columnInfo{}}, "00000000", `"0000-00-00 00:00:00"`},
		{logged{mysql.MYSQL_TYPE_TIMESTAMP2, 6, columnInfo{}}, "ffffffff 0f423f", `"2106-02-07T06:28:15.999999Z"`}, // MariaDB from 11.5 on
		{logged{mysql.MYSQL_TYPE_TIMESTAMP2, 6, columnInfo{}}, "00000000 000000", `"0000-00-00 00:00:00.000000"`},
		{logged{mysql.MYSQL_TYPE_TIME2, 2, columnInfo{}}, "7fffff ff", `"-00:00:00.01"`},
		{logged{mysql.MYSQL_TYPE_TIME2, 2, columnInfo{}}, "7fffff 9d", `"-00:00:00.99"`},
		{logged{mysql.MYSQL_TYPE_TIME2, 2, columnInfo{}}, "7fffff 00", `"-00:00:01"`},
		{logged{mysql.MYSQL_TYPE_TIME2, 2, columnInfo{}}, "7ffffe f6", `"-00:00:01.1"`},
		{logged{mysql.MYSQL_TYPE_TIME2, 6, columnInfo{}}, "800000 000001", `"00:00:00.000001"`},
		{logged{mysql.MYSQL_TYPE_DATETIME2, 0, columnInfo{}}, "8000000000", `"0000-00-00 00:00:00"`},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 3, columnInfo{charset: charsetBinary}}, "02 6100", "610000"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 16, columnInfo{charset: charsetBinary, dataType: "uuid"}}, "01 7f", `"7f000000-0000-0000-0000-000000000000"`},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 16, columnInfo{charset: charsetBinary, dataType: "inet6"}}, "00", `"::"`},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 2, columnInfo{charset: "utf8mb4", elements: []string{"a", "b"}}}, "0200", `"b"`},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 1, columnInfo{charset: "utf8mb4", elements: []string{"a", "b"}}}, "00", `""`},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf8<<8 | 8, columnInfo{charset: "utf8mb4", elements: []string{"a", "b"}}}, "0300000000000000", `"a,b"`},
		{logged{mysql.MYSQL_TYPE_STRING, 100, columnInfo{charset: "latin1"}}, "01 e9", `"é"`}, // from before 5.0
		{logged{mysql.MYSQL_TYPE_JSON, 4, columnInfo{}}, "00000000", `"null"`},
		{logged{mysql.MYSQL_TYPE_NULL, 0, columnInfo{}}, "", "refused"},
		// What no server writes.
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 10<<8 | 2, columnInfo{}}, "8000000c64", "error"}, // 100 hundredths
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 10<<8 | 2, columnInfo{}}, "ffffffff00", "error"},
		{logged{mysql.MYSQL_TYPE_DATETIME2, 0, columnInfo{}}, "7fffffffff", "error"}, // negative
		{logged{mysql.MYSQL_TYPE_DATETIME2, 0, columnInfo{}}, "80ffffffff", "error"}, // 31 hours
		{logged{mysql.MYSQL_TYPE_TIME2, 0, columnInfo{}}, "80003c", "error"},         // 60 seconds
		{logged{mysql.MYSQL_TYPE_DATETIME, 0, columnInfo{}}, "ffffffffffffffff", "error"},
		{logged{mysql.MYSQL_TYPE_TIMESTAMP2, 2, columnInfo{}}, "00000001 64", "error"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 2, columnInfo{charset: charsetBinary}}, "03 616263", "error"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 16, columnInfo{charset: charsetBinary, dataType: "uuid"}}, "11 0102030405060708090a0b0c0d0e0f1011", "error"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 1, columnInfo{charset: "utf8mb4", elements: []string{"a", "b"}}}, "03", "error"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf8<<8 | 1, columnInfo{charset: "utf8mb4", elements: []string{"a", "b"}}}, "04", "error"},
		{logged{mysql.MYSQL_TYPE_VARCHAR, 80, columnInfo{charset: "utf16"}}, "01 61", "error"},
	} {
		f, err := newField(c.column.code, c.column.meta)
		if err != nil {
			t.Fatal(err)
		}
		convert, err := decoderOf(f, &c.column.info)
		if err != nil {
			if c.want != "refused" {
				t.Errorf("type %d: %v", c.column.code, err)
			}
			continue
		}
		r := rowReader{rest: unhex(t, c.wire)}
		wire := r.value(&f)
		if r.broken || len(r.rest) != 0 {
			t.Errorf("type %d, %s: got %d bytes", c.column.code, c.wire, len(wire))
			continue
		}
		got, err := convert(&arena{bytes: []byte("of another column")}, wire)
		if err != nil && c.want == "error" {
			continue
		}
		if err != nil || shown([]source.Value{got}) != c.want {
			t.Errorf("type %d, %s: got %s %v, want %s", c.column.code, c.wire, shown([]source.Value{got}), err, c.want)
		}
	}
}

func TestWhatTheLogCannotSayOfAColumnIsRefused(t *testing.T) {
	for _, c := range []struct {
		column logged
		want   string
	}{
		{logged{mysql.MYSQL_TYPE_DECIMAL, 0, columnInfo{}}, "the log has type 0 for it, which is not known here"},
		{logged{200, 0, columnInfo{}}, "the log has type 200 for it, which is not known here"},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 2<<8 | 3, columnInfo{}}, "the log has a decimal of 2 digits, 3 of them behind the point"},
		{logged{mysql.MYSQL_TYPE_NEWDECIMAL, 66 << 8, columnInfo{}}, "the log has a decimal of 66 digits"},
		{logged{mysql.MYSQL_TYPE_BLOB, 5, columnInfo{}}, "whose length has 5 bytes, want 1 to 4"},
		{logged{mysql.MYSQL_TYPE_TIME2, 7, columnInfo{}}, "the log has 7 digits of a second for it, want at most 6"},
		{logged{mysql.MYSQL_TYPE_BIT, 8<<8 | 1, columnInfo{}}, "the log has 65 bits for it, want at most 64"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 3, columnInfo{}}, "an enum or a set of 3 bytes"},
		{logged{mysql.MYSQL_TYPE_STRING, 0x01<<8 | 3, columnInfo{}}, "a string of type 1 for it"},
		{logged{mysql.MYSQL_TYPE_VARCHAR, 9, columnInfo{}}, "its charset is not known"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf7<<8 | 1, columnInfo{charset: "utf8mb4"}}, "its elements are not known"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf8<<8 | 1, columnInfo{charset: "klingon"}}, "its charset klingon cannot be converted"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xf8<<8 | 1, columnInfo{charset: "utf8mb4", elements: slices.Repeat([]string{"a"}, 9)}}, "its description has 9 elements, and the log 1 bytes for them"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 4, columnInfo{dataType: "uuid"}}, "it is uuid now, but the log has 4 bytes for it"},
		{logged{mysql.MYSQL_TYPE_STRING, 0xfe<<8 | 8, columnInfo{charset: charsetBinary, dataType: "macaddr"}}, "its type macaddr is not known here"},
		{logged{typeBlobCompressed, 0, columnInfo{}}, "it is COMPRESSED, and the description in the log was not mended"},
		{logged{typeVarcharCompressed, 9, columnInfo{}}, "it is COMPRESSED, which cannot be read from the log"},
	} {
		f, err := newField(c.column.code, c.column.meta)
		if err == nil {
			_, err = decoderOf(f, &c.column.info)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("type %d, %x: got %v, want %s", c.column.code, c.column.meta, err, c.want)
		}
	}
}

func TestADocumentThatIsDamagedIsAnError(t *testing.T) {
	for wire, want := range map[string]string{
		"04":                                "it is damaged",
		"0403":                              "it has a literal 3, which is not known",
		"0500":                              "it is damaged",
		"0d0000":                            "it has a value of type 13, which is not known",
		"0c":                                "it is damaged",
		"0c01ff":                            "it is damaged", // no UTF-8
		"0c0561":                            "it is damaged",
		"0cffffffffffffffffffff01":          "it is damaged",
		"0f":                                "it is damaged",
		"0ff605":                            "it is damaged",
		"0ff60105":                          "it is damaged", // half a decimal
		"0ff60402030000":                    "the log has a decimal of 2 digits, 3 of them",
		"0ff6040a020000":                    "it is damaged",
		"0ff607 0a02 8000000c64":            "has a group of too many digits",
		"0f0c0101":                          "it is damaged", // a time of one byte
		"0001":                              "it is damaged",
		"02 0100 0700 04 0100 00":           "", // [true]
		"02 0100 0900 04 0100 00":           "it is damaged",
		"02 0200 0700 04 0100 00":           "it is damaged",
		"02 0100 0700 0c ff00 00":           "it is damaged",
		"02 0100 0700 05 0100":              "", // [1]
		"03 01000000 0d000000 0701000000":   "", // [1]
		"03 01000000 0e000000 0701000000":   "it is damaged",
		"00 0100 0c00 0b00 0100 04 0000 61": "", // {"a": null}
		"00 0100 0c00 0c00 0100 04 0000 61": "it is damaged",
		"02 0100 0700 02 0000":              "it is damaged", // in itself
		"02 0100 0700 02 0000" + strings.Repeat("00", 400): "nested more than 100 deep",
	} {
		var a arena
		got, err := decodeJSON(&a, unhex(t, wire))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %q %v, want %q", wire, got.Bytes, err, want)
		}
	}
}

// In this document each array holds the next one twice, and so the last one 2^30 times.
func TestADocumentDoesNotExplode(t *testing.T) {
	wire := []byte{jsonSmallArray}
	for level := range 30 {
		size := 10*(30-level) + 4
		wire = append(wire, 2, 0, byte(size), byte(size>>8), jsonSmallArray, 10, 0, jsonSmallArray, 10, 0)
	}
	wire = append(wire, 0, 0, 4, 0)
	if got, err := decodeJSON(new(arena), wire); err == nil {
		t.Errorf("got %d bytes, want an error", len(got.Bytes))
	}
}
