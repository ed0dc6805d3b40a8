package mysql

import (
	"fmt"
	"slices"

	"github.com/kafkasync/kafkasync/source"
)

// valueKind is a type of column with values of it.
type valueKind struct {
	name   string // as SQL has it
	only   string // the server that has it, "": both
	kind   source.Kind
	shown  string // SQL for what the server prints of column v; "": v
	values []valueSample
}

// valueSample is a value as SQL writes it, and as it is decoded; a want of "" is what the server prints.
type valueSample struct{ sql, want string }

// printedSamples are values that are decoded as the server prints them.
func printedSamples(sql ...string) (samples []valueSample) {
	for _, s := range sql {
		samples = append(samples, valueSample{sql: s})
	}
	return samples
}

func valueKinds() []valueKind {
	return slices.Concat(numberKinds(), floatKinds(), textKinds(), binaryKinds(), timeKinds(), zeroDateKinds(), pluginKinds())
}

func numberKinds() []valueKind {
	kinds := []valueKind{
		{name: "decimal(65,30)", kind: source.Text, values: printedSamples("0", "-0.000000000000000000000000000001",
			"99999999999999999999999999999999999.999999999999999999999999999999", "-99999999999999999999999999999999999.999999999999999999999999999999", "1.5")},
		{name: "decimal(65,0)", kind: source.Text, values: printedSamples("99999999999999999999999999999999999999999999999999999999999999999", "-1", "1000000000", "0")},
		{name: "decimal(30,30)", kind: source.Text, values: printedSamples("0.1", "-0.000000001", "0", "0.999999999999999999999999999999")},
		{name: "decimal(10,2) unsigned", kind: source.Text, values: printedSamples("12345678.90", "0.05")},
		{name: "bit(1)", kind: source.Int, shown: "v + 0", values: printedSamples("b'0'", "b'1'")},
		{name: "bit(10)", kind: source.Int, shown: "v + 0", values: printedSamples("b'1111111111'", "b'1'", "256")},
		{name: "bit(32)", kind: source.Int, shown: "v + 0", values: printedSamples("4294967295")},
		{name: "bit(64)", kind: source.BigInt, shown: "v + 0", values: printedSamples("18446744073709551615", "1")},
		{name: "year", kind: source.Int, values: []valueSample{{"2026", "2026"}, {"1901", "1901"}, {"2155", "2155"}, {"'0000'", "0"}}},
		{name: "tinyint(1)", kind: source.Int, values: printedSamples("1", "-128")},
		{name: "int zerofill", kind: source.Int, values: []valueSample{{"42", "42"}}},
	}
	for precision := 1; precision <= 20; precision++ {
		for _, scale := range []int{0, 1, precision / 2, precision} {
			kinds = append(kinds, valueKind{name: fmt.Sprintf("decimal(%d,%d)", precision, scale), kind: source.Text, values: printedSamples(
				"-0.1", "0.9", fmt.Sprintf("1e%d - 1e-%d", precision-scale, scale), fmt.Sprintf("1e-%d - 1e%d", scale, precision-scale), "987654321.123456789 MOD 1e"+fmt.Sprintf("%d", precision-scale),
			)})
		}
	}
	for _, i := range []struct{ name, least, most, unsigned string }{
		{"tinyint", "-128", "127", "255"},
		{"smallint", "-32768", "32767", "65535"},
		{"mediumint", "-8388608", "8388607", "16777215"},
		{"int", "-2147483648", "2147483647", "4294967295"},
		{"bigint", "-9223372036854775808", "9223372036854775807", "18446744073709551615"},
	} {
		kind := source.Int
		if i.name == "bigint" {
			kind = source.BigInt
		}
		kinds = append(kinds,
			valueKind{name: i.name, kind: kind, values: printedSamples(i.least, i.most, "0", "-1")},
			valueKind{name: i.name + " unsigned", kind: kind, values: printedSamples("0", i.most, i.unsigned)})
	}
	return kinds
}

func floatKinds() []valueKind {
	return []valueKind{
		{name: "float", kind: source.Float, values: []valueSample{
			{"0.1", "0.1"}, {"3.4028235e38", "3.4028235e+38"}, {"-1.4e-45", "-1e-45"}, {"16777216", "16777216"}, {"1e21", "1e+21"}, {"1e-7", "1e-7"}, {"0.000001", "0.000001"}, {"-0e0", "0"},
		}},
		{name: "double", kind: source.Float, values: []valueSample{
			{"0.1", "0.1"},
			{"1e20", "100000000000000000000"},
			{"1e21", "1e+21"},
			{"1e23", "1e+23"},
			{"5e-324", "5e-324"},
			{"1.7976931348623157e308", "1.7976931348623157e+308"},
			{"1e-7", "1e-7"},
			{"9007199254740993", "9007199254740992"},
			{"0.1e0 + 0.2e0", "0.30000000000000004"},
			{"-2.5", "-2.5"},
		}},
		{name: "float(7,2)", kind: source.Float, values: []valueSample{{"1234.567", "1234.57"}}},
		{name: "double(10,3)", kind: source.Float, values: []valueSample{{"1234.5678", "1234.568"}}},
	}
}

func textKinds() []valueKind {
	long := func(n int) string { return fmt.Sprintf("REPEAT('é', %d)", n) }
	kinds := []valueKind{
		{name: "char(5)", kind: source.Text, values: printedSamples("''", "'ab'", "'ab  '", "'日本🍵'", "'a b c'")},
		{name: "char(255)", kind: source.Text, values: printedSamples(long(255), "'x'")}, // longer than 255 bytes
		{name: "char(64)", kind: source.Text, values: printedSamples(long(64), "'x'")},   // 256 bytes
		{name: "char(63)", kind: source.Text, values: printedSamples(long(63), "'x'")},
		{name: "char(0)", kind: source.Text, values: []valueSample{{"''", ""}}},
		{name: "varchar(63)", kind: source.Text, values: printedSamples(long(63), "'v  '", `'a"b\\c\n\t€🍵'`, "'a\\0b'")},
		{name: "varchar(64)", kind: source.Text, values: printedSamples(long(64), "''")},
		{name: "varchar(5000)", kind: source.Text, values: printedSamples(long(5000))},
		{name: "tinytext", kind: source.Text, values: printedSamples(long(127))},
		{name: "text", kind: source.Text, values: printedSamples(long(20000), "''")},
		{name: "mediumtext", kind: source.Text, values: printedSamples(long(40000))},
		{name: "longtext", kind: source.Text, values: printedSamples(long(500000))},
		{name: "enum('a', 'b,c', 'é', '')", kind: source.Text, values: printedSamples("'a'", "'b,c'", "'é'", "''", "'nothing'", "0")},
		{name: "enum('é', 'ü') character set latin1", kind: source.Text, values: printedSamples("'é'", "'ü'")},
		{name: "enum('é', '日本') character set ucs2", kind: source.Text, values: printedSamples("'é'", "'日本'")},
		{name: "enum('a', 'é') character set binary", kind: source.Text, values: printedSamples("'é'")},
		{name: "set('a', 'b', 'é')", kind: source.Text, values: printedSamples("''", "'a'", "'é,a'", "7")},
		{name: "set('é', 'ü') character set cp850", kind: source.Text, values: printedSamples("'ü,é'")},
		{name: "json", kind: source.Text, only: "mariadb", values: printedSamples(`'{"b":  1, "a": "€"}'`)},
	}
	var many, numbers string
	for i := range 300 {
		many += fmt.Sprintf(", 'e%d'", i)
		if i < 63 {
			numbers += fmt.Sprintf(", 's%d'", i)
		}
	}
	kinds = append(kinds,
		valueKind{name: "enum(" + many[2:] + ")", kind: source.Text, values: printedSamples("'e0'", "'e255'", "'e299'")},
		valueKind{name: "set('first'" + numbers + ")", kind: source.Text, values: printedSamples("'first'", "'s62'", "18446744073709551615", "'s7,s62'")})
	for charset, texts := range charsetSamples() {
		for _, name := range []string{"char(20)", "varchar(20)", "text"} {
			kinds = append(kinds, valueKind{name: name + " character set " + charset, kind: source.Text, values: printedSamples(texts...)})
		}
	}
	return kinds
}

func charsetSamples() map[string][]string {
	return map[string][]string{
		"latin1":   {"'Straße €'", "X'8081'"},
		"utf8mb3":  {"'é日本'"},
		"utf8mb4":  {"'é日本🍵'"},
		"ascii":    {"'plain'"},
		"ucs2":     {"'é日本'", "'x '"},
		"utf16":    {"'é日本🍵'"},
		"utf16le":  {"'é日本🍵'"},
		"utf32":    {"'é日本🍵'"},
		"gbk":      {"'日本中文'"},
		"gb2312":   {"'日本中文―'"},
		"big5":     {"'日本中文あ'"},
		"sjis":     {"'日本テスト～ｱ'"},
		"cp932":    {"'日本テスト～ｱ'", "X'F040'"},
		"ujis":     {"'日本テストｱ'"},
		"eucjpms":  {"'日本テストｱ～髙'"},
		"euckr":    {"'한국어'"},
		"koi8r":    {"'Привет'"},
		"cp1251":   {"'Привет'"},
		"greek":    {"'Ελλάς'"},
		"hebrew":   {"'שלום'"},
		"tis620":   {"'ไทย'"},
		"swe7":     {"'Åre @'"},
		"latin2":   {"'Łódź'"},
		"armscii8": {"'Հայ'"},
	}
}

func binaryKinds() []valueKind {
	return []valueKind{
		{name: "binary(4)", only: "mysql", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("''", "'a'", "X'00ff00'", "X'00000000'", "'abcd'")},
		{name: "binary(5)", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("''", "'a  '", "X'00ff00'")},
		{name: "binary(255)", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("'a'", "REPEAT('x', 255)")},
		{name: "varbinary(5)", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("''", "X'00ff00'")},
		{name: "varbinary(300)", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("REPEAT(X'00', 300)")},
		{name: "char(5) character set binary", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("X'ff00'")},
		{name: "tinyblob", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("X'00ff'")},
		{name: "blob", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("X'00ff'", "''", "REPEAT(X'fe', 65535)")},
		{name: "mediumblob", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("REPEAT(X'fe', 70000)")},
		{name: "longblob", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("REPEAT(X'fe', 70000)")},
		{name: "geometry", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326)")},
		{name: "point", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("ST_GeomFromText('POINT(1 2)')")},
		{name: "vector(3)", only: "mysql", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("TO_VECTOR('[1, 2, 3]')")},
	}
}

func timeKinds() []valueKind {
	return []valueKind{
		{name: "date", kind: source.Text, values: printedSamples("'2026-11-21'", "'1000-01-01'", "'9999-12-31'", "'0001-02-03'")},
		{name: "time", kind: source.Text, values: printedSamples("'10:50:00'", "'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'")},
		{name: "time(1)", kind: source.Text, values: []valueSample{{"'10:50:00.5'", "10:50:00.5"}, {"'-00:00:00.1'", "-00:00:00.1"}, {"'-1:02:03'", "-01:02:03"}}},
		{name: "time(2)", kind: source.Text, values: []valueSample{{"'-00:00:01.99'", "-00:00:01.99"}, {"'-00:00:02.00'", "-00:00:02"}, {"'838:59:58.99'", "838:59:58.99"}}},
		{name: "time(3)", kind: source.Text, values: []valueSample{{"'-100:00:01.999'", "-100:00:01.999"}, {"'00:00:00.010'", "00:00:00.01"}}},
		{name: "time(4)", kind: source.Text, values: []valueSample{{"'-00:00:00.0001'", "-00:00:00.0001"}}},
		{name: "time(5)", kind: source.Text, values: []valueSample{{"'-00:00:00.00001'", "-00:00:00.00001"}}},
		{name: "time(6)", kind: source.Text, values: []valueSample{{"'-838:59:58.999999'", "-838:59:58.999999"}, {"'00:00:00.000001'", "00:00:00.000001"}, {"'1:00:00'", "01:00:00"}}},
		{name: "datetime", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00'", "2026-11-21T10:50:00"}, {"'9999-12-31 23:59:59'", "9999-12-31T23:59:59"}, {"'1000-01-01 00:00:00'", "1000-01-01T00:00:00"}}},
		{name: "datetime(1)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.5'", "2026-11-21T10:50:00.5"}}},
		{name: "datetime(2)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.05'", "2026-11-21T10:50:00.05"}}},
		{name: "datetime(3)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.120'", "2026-11-21T10:50:00.12"}}},
		{name: "datetime(4)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.0001'", "2026-11-21T10:50:00.0001"}}},
		{name: "datetime(5)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.00001'", "2026-11-21T10:50:00.00001"}}},
		{name: "datetime(6)", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.999999'", "2026-11-21T10:50:00.999999"}, {"'2026-11-21 10:50:00'", "2026-11-21T10:50:00"}}},
		{name: "timestamp null", kind: source.Text, values: []valueSample{{"'1970-01-01 00:00:01'", "1970-01-01T00:00:01Z"}, {"'2038-01-19 03:14:07'", "2038-01-19T03:14:07Z"}, {"'2024-02-29 23:59:59'", "2024-02-29T23:59:59Z"}}},
		{name: "timestamp(1) null", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.5'", "2026-11-21T10:50:00.5Z"}}},
		{name: "timestamp(3) null", kind: source.Text, values: []valueSample{{"'2026-11-21 10:50:00.12'", "2026-11-21T10:50:00.12Z"}}},
		{name: "timestamp(6) null", kind: source.Text, values: []valueSample{{"'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999Z"}, {"'2026-11-21 10:50:00'", "2026-11-21T10:50:00Z"}}},
	}
}

// zeroDateKinds are what is no date.
func zeroDateKinds() []valueKind {
	return []valueKind{
		{name: "date", kind: source.Text, values: printedSamples("'0000-00-00'", "'2026-00-00'", "'2026-11-00'", "'0000-01-00'")},
		{name: "datetime", kind: source.Text, values: printedSamples("'0000-00-00 00:00:00'", "'2026-00-00 10:50:00'", "'2026-11-00 00:00:00'")},
		{name: "datetime(3)", kind: source.Text, values: printedSamples("'0000-00-00 00:00:00'", "'2026-00-01 10:50:00.5'")},
		{name: "timestamp null", kind: source.Text, values: printedSamples("'0000-00-00 00:00:00'")},
		{name: "timestamp(6) null", kind: source.Text, values: printedSamples("'0000-00-00 00:00:00'")},
		// Not a leap year, and not checked with this sql_mode.
		{name: "date", kind: source.Text, values: printedSamples("'2026-02-31'")},
	}
}

func pluginKinds() []valueKind {
	return []valueKind{
		{name: "uuid", only: "mariadb", kind: source.Text, values: printedSamples("'7F9C24E8-3B12-1FEF-91E0-56A2D5A5A5A5'", "'01932c07-209c-7b2a-a123-000000000000'", "'00000000-0000-0000-0000-000000000000'")},
		{name: "inet4", only: "mariadb", kind: source.Text, values: printedSamples("'10.0.0.1'", "'0.0.0.0'", "'10.0.0.0'", "'255.255.255.255'")},
		{name: "inet6", only: "mariadb", kind: source.Text, values: printedSamples("'::'", "'::1'", "'2001:DB8::'", "'::ffff:192.0.2.1'", "'::192.0.2.1'", "'::1:2'", "'::ffff:0:1'",
			"'1:0:2:3:4:5:6:7'", "'1:0:0:2:0:0:0:3'", "'1:2:3:4:5:6:7:0'", "'fe80::1:0:0:1'", "'0:0:1::'", "'::0.0.1.0'", "'1:0:0:2:3:0:0:4'")},
		{name: "binary(16)", only: "mariadb", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("'a'")},
		{name: "binary(4)", only: "mariadb", kind: source.Binary, shown: "LOWER(HEX(v))", values: printedSamples("''", "'abcd'")},
	}
}
