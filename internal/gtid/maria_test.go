package gtid_test

import (
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/internal/gtid"
)

var writtenPositions = map[string]string{
	"":                       "",
	"0-1-100":                "0-1-100",
	"00-01-0100":             "0-1-100",
	"10-1-1, 2-1-5 ,\n0-3-4": "0-3-4,2-1-5,10-1-1", // by number, not by letter
	"4294967295-4294967295-18446744073709551615": "4294967295-4294967295-18446744073709551615",
}

func TestMariaPositionsAreWrittenInOneWay(t *testing.T) {
	for text, want := range writtenPositions {
		p, err := gtid.ParseMariaPosition(text)
		if err != nil || p.String() != want || p.Empty() != (want == "") {
			t.Errorf("%q: got %q %v, want %q", text, p, err, want)
		}
	}
}

func TestWhatIsNoMariaPositionIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"0-1":                      "want domain-server-sequence",
		"0-1-2-3":                  "want domain-server-sequence",
		"0-1-2,":                   "want domain-server-sequence",
		a + ":1":                   "want domain-server-sequence",
		"0-1-x":                    "not a number",
		"+0-1-2":                   "not a number",
		"0--2":                     "not a number",
		"4294967296-1-1":           "not a number of 32 bits",
		"0-1-18446744073709551616": "not a number of 64 bits",
		"0-1-5,0-2-6":              "of one domain",
		"0-1-5,0-1-5":              "of one domain",
	} {
		if p, err := gtid.ParseMariaPosition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q %v, want %q", text, p, err, want)
		}
	}
}

func position(t *testing.T, text string) gtid.MariaPosition {
	t.Helper()
	p, err := gtid.ParseMariaPosition(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAMariaPositionIsBehindItsNewestTransaction(t *testing.T) {
	p := position(t, "0-1-100,3-1-7")
	before := p.Clone()
	for _, tt := range []struct {
		id   gtid.MariaID
		want string
	}{
		{gtid.MariaID{Domain: 0, Server: 1, Sequence: 101}, "0-1-101,3-1-7"},
		{gtid.MariaID{Domain: 0, Server: 2, Sequence: 102}, "0-2-102,3-1-7"}, // promoted
		{gtid.MariaID{Domain: 1, Server: 2, Sequence: 1}, "0-2-102,1-2-1,3-1-7"},
		{gtid.MariaID{Domain: 0, Server: 1, Sequence: 90}, "0-1-90,1-2-1,3-1-7"}, // gtid_strict_mode=OFF: the log's order counts
	} {
		if p.Add(tt.id); p.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.id, p, tt.want)
		}
	}
	if got := before.String(); got != "0-1-100,3-1-7" {
		t.Errorf("the clone became %s", got)
	}
}

func TestWhatAMariaPositionHasReached(t *testing.T) {
	for _, tt := range []struct {
		p, other string
		want     bool
	}{
		{"", "", true},
		{"0-1-5", "", true},
		{"", "0-1-5", false},
		{"0-1-5", "0-1-5", true},
		{"0-1-6", "0-1-5", true},
		{"0-2-6", "0-1-5", true}, // its primary changed
		{"0-1-5", "0-1-6", false},
		{"0-1-5", "0-2-5", false}, // both took writes
		{"0-1-9", "0-1-5,1-1-1", false},
		{"0-1-9,1-1-1", "1-1-1", true},
	} {
		if got := position(t, tt.p).Reached(position(t, tt.other)); got != tt.want {
			t.Errorf("%q reached %q: got %v, want %v", tt.p, tt.other, got, tt.want)
		}
	}
}

func TestWhatAMariaDBNeverHad(t *testing.T) {
	for _, tt := range []struct{ name, ours, history, lacks string }{
		{"the same server", "0-1-100", "0-1-120", ""},
		{"a promoted replica", "0-1-100", "0-1-100,0-2-150", ""},
		{"promoted too early", "0-1-100", "0-1-90,0-2-150", "0-1-100"},
		{"another server", "0-1-100", "0-5-5000", "0-1-100"},
		{"a log that was reset", "0-1-100,1-1-2", "", "0-1-100 1-1-2"},
		{"another domain's is gone", "0-1-100,1-1-2", "0-1-100", "1-1-2"},
		{"the beginning", "", "0-1-100", ""},
	} {
		h, err := gtid.ParseMariaHistory(tt.history)
		if err != nil {
			t.Fatal(err)
		}
		var lacks []string
		for _, id := range h.Lacks(position(t, tt.ours)) {
			lacks = append(lacks, id.String())
		}
		if got := strings.Join(lacks, " "); got != tt.lacks {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.lacks)
		}
	}
	if _, err := gtid.ParseMariaHistory("0-1"); err == nil {
		t.Error("got no error for what is no history")
	}
}

func TestWhatAMariaDBHasOfAServer(t *testing.T) {
	h, err := gtid.ParseMariaHistory("0-1-100,0-2-50,1-1-7")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[gtid.MariaID]bool{
		{Domain: 0, Server: 1, Sequence: 900}: true, {Domain: 0, Server: 2, Sequence: 1}: true,
		{Domain: 1, Server: 2, Sequence: 7}: false, {Domain: 2, Server: 1, Sequence: 1}: false,
	} {
		if got := h.Knows(id); got != want {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
	if got := position(t, "0-1-100,1-1-7").Len(); got != 2 {
		t.Errorf("got %d domains, want 2", got)
	}
}

func FuzzMariaPosition(f *testing.F) {
	for text := range writtenPositions {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := gtid.ParseMariaPosition(text)
		if err != nil {
			return
		}
		if again, err := gtid.ParseMariaPosition(p.String()); err != nil || again.String() != p.String() || !again.Reached(p) {
			t.Fatalf("%q became %q %v", p, again, err)
		}
		// What is handed to go-mysql must be the same to it, but for the order.
		theirs, err := mysql.ParseMariadbGTIDSet(p.String())
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if strings.Contains(","+p.String()+",", ",0-0-0,") {
			return // which go-mysql writes as nothing, and no server gives to a transaction
		}
		if back, err := gtid.ParseMariaPosition(theirs.String()); err != nil || back.String() != p.String() {
			t.Fatalf("%q is %q %v to go-mysql", p, theirs, err)
		}
	})
}
