package mysql

import (
	"reflect"
	"strings"
	"testing"
)

func TestStatementsAreReadAsFarAsTheyMatter(t *testing.T) {
	for sql, want := range map[string]statement{
		"BEGIN":                             {verb: beginVerb},
		"START TRANSACTION":                 {verb: beginVerb},
		"commit":                            {verb: commitVerb},
		"COMMIT /* added by mysqlbinlog */": {verb: commitVerb},
		"ROLLBACK":                          {verb: commitVerb},
		"ROLLBACK TO `s`":                   {verb: innerVerb},
		"ROLLBACK WORK TO s":                {verb: innerVerb},
		"SAVEPOINT `s`":                     {verb: innerVerb},
		"XA START X'61',X'',1":              {verb: xaVerb},
		"FLUSH TABLES":                      {},
		"GRANT SELECT ON t TO u":            {},
		"CREATE VIEW v AS SELECT 1":         {},
		"CREATE TEMPORARY TABLE t (id int)": {},
		"":                                  {},
		"/* only a comment":                 {},

		"INSERT INTO t VALUES (1)":                                    {verb: rowsVerb},
		"/* app:shop */ update t set a = 1":                           {verb: rowsVerb},
		"-- app\n# more\n DELETE FROM t":                              {verb: rowsVerb},
		"/*!40101 REPLACE */ INTO t VALUES (1)":                       {verb: rowsVerb},
		"WITH x AS (SELECT 1) UPDATE t SET a = 1":                     {verb: rowsVerb},
		"(SELECT f())":                                                {verb: rowsVerb},
		"LOAD DATA INFILE 'x' INTO TABLE t":                           {verb: rowsVerb},
		"TRUNCATE t":                                                  {verb: truncateVerb, tables: []string{"shop.t"}},
		"TRUNCATE TABLE `other` . `t``x`":                             {verb: truncateVerb, tables: []string{"other.t`x"}},
		"truncate/**/table/*!50000 other.*/t":                         {verb: truncateVerb, tables: []string{"other.t"}},
		"TRUNCATE `table`":                                            {verb: truncateVerb, tables: []string{"shop.table"}},
		"TRUNCATE TABLE größe":                                        {verb: truncateVerb, tables: []string{"shop.größe"}},
		"CREATE TABLE t (id int)":                                     {verb: createVerb, proven: true, tables: []string{"shop.t"}},
		"CREATE TABLE IF NOT EXISTS `t` (id int)":                     {verb: createVerb, tables: []string{"shop.t"}},
		"CREATE OR REPLACE TABLE t (id int)":                          {verb: createVerb, tables: []string{"shop.t"}},
		"DROP TEMPORARY TABLE t":                                      {},
		"DROP TABLE t":                                                {verb: alterVerb},
		"DROP DATABASE shop":                                          {verb: alterVerb},
		"RENAME TABLE a TO b, c.d TO `e`":                             {verb: renameVerb, old: []string{"shop.a", "c.d"}, tables: []string{"shop.b", "shop.e"}},
		"RENAME TABLE IF EXISTS a WAIT 5 TO b":                        {verb: renameVerb, old: []string{"shop.a"}, tables: []string{"shop.b"}},
		"RENAME USER a TO b":                                          {verb: alterVerb},
		"ALTER TABLE a ADD COLUMN b int, RENAME TO c":                 {verb: renameVerb, old: []string{"shop.a"}, tables: []string{"shop.c"}},
		"ALTER TABLE a RENAME c":                                      {verb: renameVerb, old: []string{"shop.a"}, tables: []string{"shop.c"}},
		"ALTER TABLE a RENAME COLUMN b TO c":                          {verb: alterVerb},
		"ALTER TABLE a COMMENT 'DROP PARTITION' RENAME INDEX b TO c":  {verb: alterVerb},
		"ALTER TABLE a TRUNCATE PARTITION p":                          {verb: alterVerb, discard: []string{"shop.a"}},
		"ALTER TABLE a DROP PARTITION p":                              {verb: alterVerb, discard: []string{"shop.a"}},
		"ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b.c":           {verb: alterVerb, discard: []string{"shop.a", "b.c"}},
		"ALTER ONLINE IGNORE TABLE a IMPORT TABLESPACE":               {verb: alterVerb, discard: []string{"shop.a"}},
		"ALTER TABLE a ADD PARTITION (PARTITION q VALUES IN (1))":     {verb: alterVerb},
		"ALTER USER u IDENTIFIED BY 'ALTER TABLE a DROP PARTITION p'": {verb: alterVerb},
	} {
		if got := parseStatement(sql, "shop", false); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", sql, got, want)
		}
	}
}

func TestTablesThatAStatementMentionsAreFound(t *testing.T) {
	captures := func(table string) bool { return table == "shop.t" }
	for sql, want := range map[string]struct{ ansi, found bool }{
		"UPDATE t SET a = 1":                    {false, true},
		"UPDATE shop.t SET a = 1":               {false, true},
		"UPDATE `shop`.`t` SET a = 1":           {false, true},
		"UPDATE a JOIN t SET a.x = 1":           {false, true},
		"INSERT INTO \"t\" VALUES (1)":          {true, true},
		"INSERT INTO a VALUES (\"t\", 't')":     {false, false},
		"INSERT INTO a VALUES ('it''s t', 1)":   {false, false},
		`INSERT INTO a VALUES ('\' t', 1)`:      {false, false},
		"UPDATE a SET x = 1 /* t */ -- t":       {false, false},
		"UPDATE other.x SET y = 1":              {false, false},
		"UPDATE tt SET t2 = 1":                  {false, false},
		"/*!50000 UPDATE t */ SET x = 1":        {false, true},
		"INSERT INTO a VALUES ('unterminated t": {false, false},
	} {
		if table, found := mentions(sql, "shop", want.ansi, captures); found != want.found || found && table != "shop.t" {
			t.Errorf("%q: got %q %v, want %v", sql, table, found, want.found)
		}
	}
}

func TestAnOutlineTellsNothingOfRows(t *testing.T) {
	const sql, want = "UPDATE `users` SET password = 'it''s secret', pin = 1234 /* 5678 */ WHERE \"name\" = 'ann'", "UPDATE `users` SET password = ? , pin = ? WHERE ? = ?"
	if got := outline(sql, false); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := outline("UPDATE t SET a = "+strings.Repeat("x ", 1000), false); len(got) > 210 {
		t.Errorf("got %d bytes, want a line that can be read", len(got))
	}
}

// Whatever a statement holds, reading it ends.
func FuzzStatement(f *testing.F) {
	for _, sql := range []string{"ALTER TABLE a RENAME TO b", "RENAME TABLE a TO b, c", "/*! TRUNCATE", "'\\", "`", "CREATE TABLE", "XA COMMIT X'61',X'',1"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, ansi := range []bool{false, true} {
			parseStatement(sql, "shop", ansi)
			if _, found := mentions(sql, "shop", ansi, func(string) bool { return false }); found {
				t.Errorf("%q: found what nobody captures", sql)
			}
		}
	})
}
