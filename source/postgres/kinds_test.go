package postgres

import "slices"

// kind is a type of the database with values of it, as SQL writes them and as
// a payload holds them. A want of "" is a string of what the database prints.
type kind struct {
	name   string // as SQL has it
	binary bool   // its binary form is decoded
	keyed  bool   // it can be a primary key
	values []sample
}

type sample struct{ sql, want string }

func kinds() []kind {
	return slices.Concat(numberKinds(), textKinds(), timeKinds(), madeKinds(), otherKinds())
}

func numberKinds() []kind {
	return []kind{
		{"smallint", true, true, []sample{{"-32768", "-32768"}, {"0", "0"}, {"32767", "32767"}}},
		{"integer", true, true, []sample{{"-2147483648", "-2147483648"}, {"7", "7"}}},
		{"bigint", true, true, []sample{{"-9223372036854775808", "-9223372036854775808"}, {"9223372036854775807", "9223372036854775807"}}},
		{"oid", true, true, []sample{{"4294967295", "4294967295"}}},
		{"xid", true, false, []sample{{"'4294967295'", "4294967295"}}},
		{"xid8", true, true, []sample{{"'18446744073709551615'", "18446744073709551615"}}},
		{"real", true, true, []sample{
			{"0.1", "0.1"},
			{"3.4028235e38", "3.4028235e+38"},
			{"1.4e-45", "1e-45"},
			{"'-0'", "0"},
			{"16777216", "16777216"},
			{"1e21", "1e+21"},
			{"1e-7", "1e-7"},
			{"1e-6", "0.000001"},
			{"'NaN'", `"NaN"`},
			{"'-Infinity'", `"-Infinity"`},
		}},
		{"double precision", true, true, []sample{
			{"0.1", "0.1"},
			{"1e20", "100000000000000000000"},
			{"1e21", "1e+21"},
			{"1e23", "1e+23"},
			{"'5e-324'", "5e-324"},
			{"1e15", "1000000000000000"},
			{"1.7976931348623157e308", "1.7976931348623157e+308"},
			{"0.000001", "0.000001"},
			{"1e-7", "1e-7"},
			{"'-0'", "0"},
			{"9007199254740993", "9007199254740992"},
			{"0.1::float8 + 0.2", "0.30000000000000004"},
			{"'NaN'", `"NaN"`},
			{"'Infinity'", `"Infinity"`},
		}},
		{"numeric", true, true, []sample{
			{"0", ""},
			{"-0.001", ""},
			{"12345678901234567890.10", `"12345678901234567890.10"`},
			{"1e-20", ""},
			{"1e100", ""},
			{"10000", `"10000"`},
			{"9999.9999", ""},
			{"0.0001", ""},
			{"0.00020", ""},
			{"100000000", ""},
			{"-99990000.00009999", ""},
			{"1e-400 + 1e400", ""},
			{"'NaN'", `"NaN"`},
			{"'-Infinity'", `"-Infinity"`},
		}},
		{"numeric(12,3)", true, true, []sample{{"1", `"1.000"`}, {"-1234567.8905", `"-1234567.891"`}}},
		{"money", false, true, []sample{{"'-1234.5'", ""}}},
		{"boolean", true, true, []sample{{"true", "true"}, {"false", "false"}}},
	}
}

func textKinds() []kind {
	return []kind{
		{"text", true, true, []sample{{"''", `""`}, {`E'a"b\\c\n\t€\U0001F375'`, `"a\"b\\c\n\t€🍵"`}, {"repeat('long ', 400)", ""}}},
		{"varchar(20)", true, true, []sample{{"'v  '", `"v  "`}}},
		{"char(5)", true, true, []sample{{"'ab'", `"ab   "`}, {"'日本'", `"日本   "`}}},
		{`"char"`, false, true, []sample{{"'a'", `"a"`}, {"(-23)::\"char\"", `"\\351"`}, {"0::\"char\"", `""`}}},
		{"name", true, true, []sample{{"'Pg_Catalog'", `"Pg_Catalog"`}}},
		{"uuid", true, true, []sample{{"'7F9C24E8-3B12-4FEF-91E0-56A2D5A5A5A5'", `"7f9c24e8-3b12-4fef-91e0-56a2d5a5a5a5"`}, {"'00000000-0000-0000-0000-000000000000'", ""}}},
		{"inet", false, true, []sample{{"'::1'", `"::1"`}, {"'10.0.0.1'", `"10.0.0.1"`}, {"'10.0.0.1/8'", `"10.0.0.1/8"`}}},
		{"cidr", false, true, []sample{{"'10.0.0.0/8'", `"10.0.0.0/8"`}, {"'2001:db8::/32'", ""}}},
		{"macaddr", false, true, []sample{{"'08-00-2B-01-02-03'", `"08:00:2b:01:02:03"`}}},
		{"macaddr8", false, true, []sample{{"'08-00-2b-01-02-03-04-05'", ""}}},
		{"bytea", true, true, []sample{{`''`, `""`}, {`'\x00ff6b0a'`, `"00ff6b0a"`}}},
		{"json", true, false, []sample{{`'{"b":  1, "a": "\u20ac"}'`, ""}, {"'null'", `"null"`}}},
		{"jsonb", true, true, []sample{{`'{"b":  1.50, "a": null}'`, `"{\"a\": null, \"b\": 1.50}"`}}},
	}
}

func timeKinds() []kind {
	return []kind{
		{"date", true, true, []sample{
			{"'2026-11-21'", `"2026-11-21"`},
			{"'2000-02-29'", ""},
			{"'1900-02-28'", ""},
			{"'1999-12-31'", ""},
			{"'5874897-12-31'", `"5874897-12-31"`},
			{"'0001-01-01'", ""},
			{"'0001-12-31 BC'", ""},
			{"'4714-11-24 BC'", `"4714-11-24 BC"`},
			{"'infinity'", `"infinity"`},
			{"'-infinity'", `"-infinity"`},
		}},
		{"time", true, true, []sample{{"'00:00'", `"00:00:00"`}, {"'24:00'", `"24:00:00"`}, {"'10:50:00.500'", `"10:50:00.5"`}, {"'23:59:59.000001'", `"23:59:59.000001"`}}},
		{"timetz", true, true, []sample{
			{"'10:50:00.5+05:30'", `"10:50:00.5+05:30"`}, {"'10:50-08'", `"10:50:00-08"`}, {"'10:50Z'", `"10:50:00+00"`}, {"'24:00+15:59:59'", ""}, {"'10:00-00:00:30'", ""},
		}},
		{"timestamp", true, true, []sample{
			{"'2026-11-21 10:50:00'", `"2026-11-21T10:50:00"`},
			{"'2026-11-21 10:50:00.120'", `"2026-11-21T10:50:00.12"`},
			{"'1999-12-31 23:59:59.999999'", `"1999-12-31T23:59:59.999999"`},
			{"'294276-12-31 23:59:59.999999'", `"294276-12-31T23:59:59.999999"`},
			{"'4714-11-24 00:00:00 BC'", `"4714-11-24 00:00:00 BC"`},
			{"'0044-03-15 12:00:00.5 BC'", `"0044-03-15 12:00:00.5 BC"`},
			{"'infinity'", `"infinity"`},
			{"'-infinity'", `"-infinity"`},
		}},
		{"timestamptz", true, true, []sample{
			{"'2026-11-21 10:50:00.5-05'", `"2026-11-21T15:50:00.5Z"`},
			{"'1970-01-01 00:00:00+14'", `"1969-12-31T10:00:00Z"`},
			{"'0001-01-01 00:00:00+00'", `"0001-01-01T00:00:00Z"`},
			{"'0044-03-15 12:00:00+00 BC'", `"0044-03-15 12:00:00+00 BC"`},
			{"'infinity'", `"infinity"`},
			{"'-infinity'", `"-infinity"`},
		}},
		{"timestamp(3)", true, true, []sample{{"'2026-11-21 10:50:00.12055'", `"2026-11-21T10:50:00.121"`}}},
		{"interval", false, true, []sample{{"'1 year 2 mons -3 days 04:05:06.7'", `"1 year 2 mons -3 days +04:05:06.7"`}, {"'0'", `"00:00:00"`}}},
	}
}

// madeTypes are what users make.
const madeTypes = `
	CREATE SCHEMA "my types";
	CREATE TYPE "my types"."My Mood" AS ENUM ('good', 'so "so"', 'it''s');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
	CREATE DOMAIN small_positive AS positive CHECK (VALUE < 1000);
	CREATE DOMAIN price AS numeric(10,2);
	CREATE DOMAIN at_time AS timestamptz;
	CREATE DOMAIN calm AS "my types"."My Mood";
	CREATE DOMAIN ints AS int[];
	CREATE DOMAIN raw AS bytea;
	CREATE DOMAIN flag AS boolean;
	CREATE EXTENSION citext;
	CREATE EXTENSION hstore;`

func madeKinds() []kind {
	return []kind{
		{`"my types"."My Mood"`, true, true, []sample{{"'good'", `"good"`}, {`'so "so"'`, `"so \"so\""`}, {"'it''s'", `"it's"`}}},
		{"pair", false, true, []sample{{`(1, 'x "y"')`, `"(1,\"x \"\"y\"\"\")"`}, {"(NULL, '')", ""}}},
		{"positive", true, true, []sample{{"9223372036854775807", "9223372036854775807"}}},
		{"small_positive", true, true, []sample{{"1", "1"}}},
		{"price", true, true, []sample{{"9.9", `"9.90"`}}},
		{"at_time", true, true, []sample{{"'2026-11-21 10:50:00.5-05'", `"2026-11-21T15:50:00.5Z"`}}},
		{"calm", true, true, []sample{{`'so "so"'`, `"so \"so\""`}}},
		{"ints", false, true, []sample{{"'{1,2}'", `"{1,2}"`}}},
		{"raw", true, true, []sample{{`'\xab'`, `"ab"`}}},
		{"flag", true, true, []sample{{"true", "true"}}},
		{"citext", true, true, []sample{{"'Me@Example.org'", `"Me@Example.org"`}}},
		{"hstore", false, true, []sample{{"'a=>1'", `"\"a\"=>\"1\""`}}},
	}
}

func otherKinds() []kind {
	return []kind{
		{"integer[]", false, true, []sample{{"'{}'", `"{}"`}, {"'{{1,2},{3,NULL}}'", `"{{1,2},{3,NULL}}"`}}},
		{"text[]", false, true, []sample{{`ARRAY['a', 'b,"c"', NULL]`, `"{a,\"b,\\\"c\\\"\",NULL}"`}}},
		{"double precision[]", false, true, []sample{{"'{0.1,1e-7,NaN}'", ""}}},
		{"timestamptz[]", false, true, []sample{{"ARRAY['2026-11-21 10:50:00-05'::timestamptz]", `"{\"2026-11-21 15:50:00+00\"}"`}}},
		{"bytea[]", false, true, []sample{{`ARRAY['\xab'::bytea]`, ""}}},
		{`"my types"."My Mood"[]`, false, true, []sample{{`'{good}'`, `"{good}"`}}},
		{"int4range", false, true, []sample{{"'[1,5)'", `"[1,5)"`}, {"'empty'", ""}}},
		{"int4multirange", false, true, []sample{{"'{[1,3),[5,9)}'", ""}}},
		{"tstzrange", false, true, []sample{{"'[2026-11-21 10:50:00-05,)'", ""}}},
		{"tsvector", false, true, []sample{{"'a fat cat'", ""}}},
		{"xml", false, false, []sample{{"'<a b=\"1\">x</a>'", `"<a b=\"1\">x</a>"`}}},
		{"point", false, false, []sample{{"'(1.5,-2)'", `"(1.5,-2)"`}}},
		{"bit(3)", false, true, []sample{{"B'101'", `"101"`}}},
		{"varbit", false, true, []sample{{"B''", `""`}, {"B'10'", `"10"`}}},
		{"pg_lsn", false, true, []sample{{"'0/16B3748'", `"0/16B3748"`}}},
		{"regclass", false, true, []sample{{"'pg_class'", `"pg_class"`}}},
		{"aclitem", false, false, []sample{{"'=r/postgres'", ""}}}, // it has no binary form at all
	}
}
