package mysql

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync/source"
)

// codesOf is SQL for the bytes of characters of a charset, from rows n of bytes.
func codesOf(charset string) []string {
	codes := []string{"SELECT CHAR(i USING binary) raw FROM n"}
	const from = " FROM n a JOIN n b WHERE "
	switch charset {
	case "gb18030": // those with four bytes, and others, are found from Unicode
		codes = append(codes, "SELECT CONVERT(CONVERT(CHAR(256 * a.i + b.i USING utf32) USING gb18030) USING binary) raw"+from+"a.i NOT BETWEEN 0xd8 AND 0xdf AND b.i MOD 3 = 0",
			"SELECT CONVERT(CONVERT(CHAR(0x10000 + 256 * a.i + b.i USING utf32) USING gb18030) USING binary) raw"+from+"b.i MOD 16 = 0")
	case "ujis", "eucjpms":
		codes = append(codes, "SELECT CHAR(0x8f0000 + 256 * a.i + b.i USING binary) raw"+from+"a.i > 0xa0 AND b.i > 0xa0")
	}
	if doubleByteOf(charset) != nil {
		codes = append(codes, "SELECT CHAR(256 * a.i + b.i USING binary) raw"+from+"a.i >= 0x80 AND b.i >= 0x30")
	}
	return codes
}

func TestEveryCharacterIsReadAsTheServerDoes(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		r.run(t, "CREATE TABLE n (i int); INSERT INTO n WITH RECURSIVE r AS (SELECT 0 i UNION ALL SELECT i + 1 FROM r WHERE i < 255) SELECT i FROM r")
		for _, row := range r.query(t, "SELECT character_set_name FROM information_schema.character_sets") {
			charset := row[0]
			convert, err := textDecoder(charset)
			if err != nil {
				t.Error(err)
				continue
			}
			if highHalf(charset) == "" && doubleByteOf(charset) == nil && charset != "ascii" {
				continue // bytes, or Unicode
			}
			compared := 0
			for _, codes := range codesOf(charset) {
				rows := r.query(t, fmt.Sprintf("SELECT HEX(raw), CONVERT(CONVERT(raw USING %s) USING utf8mb4) FROM (%s) r", charset, codes))
				compared += compareCharacters(t, charset, convert, rows)
			}
			if compared < 127 { // swe7 has one less than ASCII
				t.Errorf("%s: %d characters were compared, want more", charset, compared)
			}
		}
	})
}

// compareCharacters compares what the server makes of bytes, where it is one character. What has no place in
// Unicode is "?" for the server, and U+FFFD or what it is elsewhere for us.
func compareCharacters(t *testing.T, charset string, convert decoder, rows [][]string) (compared int) {
	t.Helper()
	for _, row := range rows {
		raw, err := hex.DecodeString(row[0])
		if err != nil {
			t.Fatal(err)
		}
		if utf8.RuneCountInString(row[1]) != 1 || row[1] == "?" && row[0] != "3F" {
			continue
		}
		compared++
		var a arena
		got, err := convert(&a, raw)
		if err != nil || got.Kind != source.Text || string(got.Bytes) != row[1] {
			t.Errorf("%s %x: got kind %d %+q %v, want %+q", charset, raw, got.Kind, got.Bytes, err, row[1])
		}
	}
	return compared
}

func TestACollationTellsTheCharset(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		sql := "SELECT id, character_set_name FROM information_schema.collations WHERE id IS NOT NULL"
		if r.mariaDB() {
			sql = "SELECT id, character_set_name FROM information_schema.collation_character_set_applicability"
		}
		rows := r.query(t, sql)
		if len(rows) < 200 {
			t.Errorf("got %d collations, want more", len(rows))
		}
		for _, row := range rows {
			id, err := strconv.ParseUint(row[0], 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			if got := charsetOf(id); got != row[1] {
				t.Errorf("collation %d: got %s, want %s", id, got, row[1])
			}
		}
	})
}

func TestAnUnknownCharsetIsRefusedBeforeItsRows(t *testing.T) {
	for charset, want := range map[string]string{
		"":        "its charset is not known",
		"klingon": "its charset klingon cannot be converted to UTF-8 here: ALTER TABLE ... MODIFY it with CHARACTER SET utf8mb4",
	} {
		if _, err := textDecoder(charset); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", charset, err, want)
		}
	}
	for _, collation := range []uint64{0, 17, 900, 4000, 1 << 40, 1024} {
		if got := charsetOf(collation); got != "" {
			t.Errorf("collation %d: got %q, want none", collation, got)
		}
	}
}

func TestTextThatIsDamagedIsStillUTF8(t *testing.T) {
	for _, c := range []struct{ charset, wire, want string }{
		{"utf8mb4", "a\xff\xc3(", "a\ufffd\ufffd("},
		{"utf8mb3", "\xed\xa0\x80b", "\ufffd\ufffd\ufffdb"},
		{"utf16", "\xd8\x3c\x00a", "\ufffda"},
		{"utf16", "\xdc\x00", "\ufffd"},
		{"ucs2", "\xd8\x3c", "\ufffd"},
		{"utf32", "\x00\x11\x00\x00", "\ufffd"},
		{"utf32", "\xff\xff\xff\xff", "\ufffd"},
		{"sjis", "a\x81", "a\ufffd"},
		{"cp932", "\xf0", "\ufffd"},
		{"ujis", "\x8f\xf5", "\ufffd"},
		{"gb18030", "\x81\x30\x81", "\ufffd0\ufffd"},
		{"big5", "\xa1", "\ufffd"},
		{"latin1", "\x81", "\u0081"},
		{"greek", "\xff", "\ufffd"},
	} {
		convert, err := textDecoder(c.charset)
		if err != nil {
			t.Fatal(err)
		}
		var a arena
		got, err := convert(&a, []byte(c.wire))
		if err != nil || got.Kind != source.Text || string(got.Bytes) != c.want {
			t.Errorf("%s %q: got kind %d %+q %v, want %+q", c.charset, c.wire, got.Kind, got.Bytes, err, c.want)
		}
	}
	for _, charset := range []string{"utf16", "utf16le", "ucs2", "utf32"} {
		convert, err := textDecoder(charset)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := convert(new(arena), []byte("abc")); err == nil {
			t.Errorf("%s of three bytes: got %q, want an error", charset, got.Bytes)
		}
	}
}
