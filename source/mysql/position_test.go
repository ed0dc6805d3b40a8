package mysql

import (
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/gtid"
	"github.com/kafkasync/kafkasync/source"
)

const (
	serverA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	serverB = "00000000-71ca-11e1-9e33-c80aa9429562"
)

var positions = []source.Position{
	"mysql:", // the beginning of a log is a position, and not none
	"mysql:" + serverA + ":1-23",
	"mysql:" + serverB + ":7," + serverA + ":1-5:9:blue:1-2",
	"mariadb:",
	"mariadb:0-1-100",
	"mariadb:0-1-100,2-1-5,10-4294967295-18446744073709551615",
	"file:" + serverA + ":binlog.000003:157",
	"file:" + serverA + ":my:log.bin.1000000:4294967295",
}

func TestPositionsReadBackEqual(t *testing.T) {
	for _, want := range positions {
		at, err := parsePosition(want)
		if err != nil || at.position() != want {
			t.Errorf("got %q %v, want %q", at.position(), err, want)
		}
	}
}

func TestWhatIsNoPositionIsRefused(t *testing.T) {
	for p, want := range map[source.Position]string{
		"":                                "want mysql:<GTID set>",
		"mysql":                           `want it as "mysql:"`,
		"MySQL:":                          "want mysql:<GTID set>",
		serverA + ":1-23":                 "want mysql:<GTID set>",
		"7380012345678901234:1:0/16B3748": "want mysql:<GTID set>", // a Postgres'
		"mysql:0-1-100":                   "not a UUID",
		"mysql:" + serverA:                "number is missing",
		"mysql: " + serverA + ":1":        "want it as",
		"mysql:" + serverA + ":1:2":       `want it as "mysql:` + serverA + `:1-2"`,
		"mysql:" + serverA + ":1:Blue:1":  "want it as",
		"mysql:" + serverA + ":1," + serverB + ":1":                 "want it as",
		"mysql:" + source.Position(strings.ToUpper(serverA)) + ":1": "want it as",
		"mariadb:" + serverA + ":1":                                 "want domain-server-sequence",
		"mariadb:0-1-2,0-1-3":                                       "of one domain",
		"mariadb:10-1-1,2-1-1":                                      `want it as "mariadb:2-1-1,10-1-1"`,
		"mariadb:0-1-01":                                            "want it as",
		"file:" + serverA:                                           "want <UUID of the server>:<file>:<offset>",
		"file:binlog.000003:157":                                    "not a UUID",
		"file:" + serverA + ":binlog.000003":                        "want <UUID of the server>:<file>:<offset>",
		"file:" + serverA + "::157":                                 "like binlog.000003",
		"file:" + serverA + ":binlog:157":                           "like binlog.000003",
		"file:" + serverA + ":.000003:157":                          "like binlog.000003",
		"file:" + serverA + ":binlog.3:157":                         "like binlog.000003",
		"file:" + serverA + ":binlog.0000003:157":                   "like binlog.000003",
		"file:" + serverA + ":binlog.000000:157":                    "like binlog.000003",
		"file:" + serverA + ":binlog.index:157":                     "like binlog.000003",
		"file:" + serverA + ":binlog.000003:3":                      "not an offset",
		"file:" + serverA + ":binlog.000003:":                       "not an offset",
		"file:" + serverA + ":binlog.000003:0157":                   "want it as",
		"file:" + serverA + ":binlog.000003:4294967296":             "not an offset", // behind 4 GiB
	} {
		if at, err := parsePosition(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q %v, want %q", p, at.position(), err, want)
		}
	}
}

func TestPlacesInFilesHaveAnOrderOnOneServer(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{serverA + ":binlog.000003:157", serverA + ":binlog.000003:157", 0},
		{serverA + ":binlog.000003:157", serverA + ":binlog.000003:1000", -1},
		{serverA + ":binlog.000003:157", serverA + ":binlog.000002:1000", 1},
		{serverA + ":binlog.999999:157", serverA + ":binlog.1000000:4", -1},
	} {
		got, err := offsetOf(t, tt.a).compare(offsetOf(t, tt.b))
		if err != nil || got != tt.want {
			t.Errorf("%s and %s: got %d %v, want %d", tt.a, tt.b, got, err, tt.want)
		}
		if back, err := offsetOf(t, tt.b).compare(offsetOf(t, tt.a)); err != nil || back != -tt.want {
			t.Errorf("%s and %s: got %d %v, want %d", tt.b, tt.a, back, err, -tt.want)
		}
	}
	here := offsetOf(t, serverA+":binlog.000003:157")
	for other, want := range map[string]string{
		serverB + ":binlog.000003:157":    "two servers",
		serverA + ":mysql-bin.000003:157": "renamed",
	} {
		if got, err := here.compare(offsetOf(t, other)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %d %v, want %q", other, got, err, want)
		}
	}
}

func offsetOf(t *testing.T, text string) offset {
	t.Helper()
	o, err := parseOffset(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAPositionFollowsTheTransactionsRead(t *testing.T) {
	at, err := parsePosition("mysql:" + serverA + ":1-5")
	if err != nil {
		t.Fatal(err)
	}
	source, err := gtid.ParseUUID(serverA)
	if err != nil {
		t.Fatal(err)
	}
	at.set.Add(gtid.ID{Source: source, Number: 7}) // a replica applies in parallel: 6 comes later
	at.set.Add(gtid.ID{Source: source, Tag: "blue", Number: 1})
	if got, want := string(at.position()), "mysql:"+serverA+":1-5:7:blue:1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if at, err = parsePosition("mariadb:"); err != nil {
		t.Fatal(err)
	}
	at.maria.Add(gtid.MariaID{Domain: 0, Server: 1, Sequence: 100})
	if got, want := string(at.position()), "mariadb:0-1-100"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzPosition(f *testing.F) {
	for _, p := range positions {
		f.Add(string(p))
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parsePosition(source.Position(text))
		if err == nil && at.position() != source.Position(text) {
			t.Errorf("%q became %q", text, at.position())
		}
	})
}
