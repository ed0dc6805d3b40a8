package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

// shown is a row for people: values, with their kinds where these are not seen.
func shown(row []source.Value) string {
	if row == nil {
		return "-"
	}
	var all []string
	for _, v := range row {
		switch v.Kind {
		case source.Absent:
			all = append(all, "absent")
		case source.Null:
			all = append(all, "null")
		case source.Int, source.Float, source.Bool:
			all = append(all, string(v.Bytes))
		case source.BigInt:
			all = append(all, string(v.Bytes)+"n")
		case source.Text:
			all = append(all, fmt.Sprintf("%q", v.Bytes))
		case source.Binary:
			all = append(all, fmt.Sprintf("%x", v.Bytes))
		}
	}
	return strings.Join(all, " ")
}

// changes are the rows of events, old -> new.
func (r *rowLog) changes(t testing.TB, columns ...string) (all []string) {
	t.Helper()
	for _, e := range r.events(t) {
		rows, err := copyRows(r.layout(t, e, columns...), e)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			all = append(all, shown(row.old)+" -> "+shown(row.new))
		}
	}
	return all
}

func TestRowsAreReadInEveryImage(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		r.run(t, `CREATE TABLE a (t text, id int PRIMARY KEY, n bigint unsigned, s varchar(300))`)
		write := `INSERT INTO a VALUES ('x', 1, 2, NULL), ('y', 2, 18446744073709551615, 's');
			UPDATE a SET n = 3 WHERE id = 1; UPDATE a SET t = 'z', id = 9 WHERE id = 2; DELETE FROM a WHERE id = 9;
			UPDATE a SET s = NULL, n = 4; INSERT INTO a (id) VALUES (7); DELETE FROM a`
		for image, want := range map[string][]string{
			"FULL": {
				`- -> "x" 1 2n null`, `- -> "y" 2 18446744073709551615n "s"`,
				`"x" 1 2n null -> "x" 1 3n null`, `"y" 2 18446744073709551615n "s" -> "z" 9 18446744073709551615n "s"`,
				`"z" 9 18446744073709551615n "s" -> -`,
				`"x" 1 3n null -> "x" 1 4n null`, `- -> null 7 null null`, `"x" 1 4n null -> -`, `null 7 null null -> -`,
			},
			"NOBLOB": {
				`- -> "x" 1 2n null`, `- -> "y" 2 18446744073709551615n "s"`,
				`absent 1 2n null -> absent 1 3n null`, `absent 2 18446744073709551615n "s" -> "z" 9 18446744073709551615n "s"`,
				`absent 9 18446744073709551615n "s" -> -`,
				`absent 1 3n null -> absent 1 4n null`, `- -> absent 7 null null`, `absent 1 4n null -> -`, `absent 7 null null -> -`,
			},
			"MINIMAL": {
				`- -> "x" 1 2n null`, `- -> "y" 2 18446744073709551615n "s"`,
				`absent 1 absent absent -> absent absent 3n absent`, `absent 2 absent absent -> "z" 9 absent absent`,
				`absent 9 absent absent -> -`,
				`absent 1 absent absent -> absent absent 4n null`, `- -> absent 7 absent absent`,
				`absent 1 absent absent -> -`, `absent 7 absent absent -> -`,
			},
		} {
			r.run(t, "SET binlog_row_image = "+image+"; "+write)
			got := r.changes(t)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: got\n\t%s\nwant\n\t%s", image, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		}
	})
}

func TestOnlyWhatIsWantedIsDecoded(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		r.run(t, `CREATE TABLE a (c char(3) CHARACTER SET swe7, id int, b blob, e enum('a', 'b'), PRIMARY KEY (id));
			INSERT INTO a VALUES ('abc', 1, 'xyz', 'b')`)
		got := r.changes(t, "id", "e")
		if want := `- -> 1 "b"`; len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %s", got, want)
		}
	})
}
