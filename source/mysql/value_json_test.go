package mysql

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
)

// jsonSamples are documents as SQL makes them.
func jsonSamples() []string {
	samples := []string{
		`'null'`, `'true'`, `'false'`, `'0'`, `'-32768'`, `'65535'`, `'-32769'`, `'65536'`, `'-2147483648'`, `'4294967295'`, `'4294967296'`,
		`'9223372036854775807'`, `'-9223372036854775808'`, `'18446744073709551615'`, `'18446744073709551616'`,
		`'1.0'`, `'-0.0'`, `'0.1'`, `'1e15'`, `'1e14'`, `'123456789012345.6'`, `'1234567890123456.7'`, `'1e-14'`, `'1e-15'`, `'1e-16'`, `'1.5e-15'`, `'1e23'`, `'5e-324'`, `'1.7976931348623157e308'`, `'-1.5e300'`,
		`'""'`, `'"a\\"b\\\\c\\n\\t\\b\\f\\r\\u0001\\u001f\\u007f€🍵/"'`, `'[]'`, `'{}'`, `'[1, [2, [3, {}]], null, true]'`,
		`'{"b": 1, "a": {"x": [1, 2.50]}, "": "empty", "aa": "€", "k\\"": 1}'`,
		`JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST(-123456789.987654321 AS DECIMAL(30,10)), CAST(0 AS DECIMAL))`,
		`JSON_ARRAY(CAST('2026-11-21' AS DATE), CAST('10:50:00.5' AS TIME(1)), CAST('-838:59:59' AS TIME), CAST('2026-11-21 10:50:00.123456' AS DATETIME(6)), TIMESTAMP('2026-11-21'))`,
		`JSON_ARRAY(CAST('00:00:00' AS TIME), CAST('-00:00:00.5' AS TIME(1)))`,
		`JSON_ARRAY(CAST('0000-00-00' AS DATE), CAST('0000-00-00 00:00:00' AS DATETIME))`,
		`JSON_ARRAY(CAST('2026' AS YEAR))`,
		`JSON_ARRAY(X'00ff', b'101', REPEAT(X'ab', 57), REPEAT(X'cd', 58), REPEAT(X'ef', 114), X'', CAST('x' AS BINARY(3)))`,
		`JSON_OBJECT('g', ST_GeomFromText('POINT(1 2)'))`,
		`JSON_ARRAY(REPEAT('x', 127), REPEAT('x', 128), REPEAT('x', 16384), REPEAT('é', 40000))`,                      // a large array
		`JSON_OBJECT('small', 1, 'large', REPEAT('x', 70000), 'i32', 70000, 'u32', 4294967295, 'i16', -1, 'n', NULL)`, // inlined in four bytes
	}
	deep := "'" + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "'"
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf(`"key%d": [%d]`, i, i))
	}
	return append(samples, deep, "'{"+strings.Join(many, ", ")+"}'")
}

func TestAJSONDocumentIsPrintedAsTheServerDoes(t *testing.T) {
	r := newRowLog(t, devtest.MySQL(t))
	sql := []string{"SET sql_mode = '', time_zone = '+00:00'", "CREATE TABLE j (id int PRIMARY KEY, v json)"}
	samples := jsonSamples()
	random := rand.New(rand.NewPCG(5, 6))
	var doubles []string
	for range 10_000 {
		f := math.Float64frombits(random.Uint64())
		if random.IntN(2) == 0 {
			f = (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(40)-20))
		}
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			doubles = append(doubles, strconv.FormatFloat(f, 'e', -1, 64))
		}
	}
	samples = append(samples, "'["+strings.Join(doubles, ",")+"]'")
	for i, s := range samples {
		sql = append(sql, fmt.Sprintf("INSERT INTO j VALUES (%d, %s)", i, s))
	}
	sql = append(sql, fmt.Sprintf("INSERT IGNORE INTO j SELECT %d, NULL", len(samples)))
	r.run(t, strings.Join(sql, "; "))
	printed := r.query(t, "SELECT v FROM j ORDER BY id")
	seen := 0
	for _, e := range r.events(t) {
		rows, err := copyRows(r.layout(t, e, "v"), e)
		if err != nil {
			t.Fatalf("document %d: %v", seen, err)
		}
		for _, row := range rows {
			if row.new[0].Kind != source.Null {
				compareDocuments(t, string(row.new[0].Bytes), printed[seen][0])
			}
			seen++
		}
	}
	if seen != len(samples)+1 {
		t.Errorf("got %d documents, want %d", seen, len(samples)+1)
	}
}

// compareDocuments shows where two documents part.
func compareDocuments(t *testing.T, got, want string) {
	t.Helper()
	gots, wants := strings.Split(got, ", "), strings.Split(want, ", ")
	for i := range min(len(gots), len(wants)) {
		if gots[i] != wants[i] {
			t.Errorf("element %d: got %q, want %q", i, gots[i], wants[i])
		}
	}
	if len(gots) != len(wants) {
		t.Errorf("got %.80q, want %.80q", got, want)
	}
}
