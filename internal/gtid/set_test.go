package gtid_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/internal/gtid"
)

const (
	a = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	b = "00000000-71ca-11e1-9e33-c80aa9429562" // before a
)

// written are sets as people and servers write them, and as they are then printed.
var written = map[string]string{
	"":                               "",
	" \n":                            "",
	a + ":1":                         a + ":1",
	strings.ToUpper(a) + ":1-5":      a + ":1-5",
	a + ":5-7:1-4":                   a + ":1-7",
	a + ":1:3:2":                     a + ":1-3",
	a + ":1:3":                       a + ":1:3",
	a + ":1-10:3-4":                  a + ":1-10",
	a + ":3-4:1-10":                  a + ":1-10",
	a + ":1-3:2-9:20":                a + ":1-9:20",
	a + ":1-1":                       a + ":1",
	a + ":01":                        a + ":1",
	a + ": 1 - 3 : 5":                a + ":1-3:5",
	a + ":9223372036854775806":       a + ":9223372036854775806",
	a + ":1-9223372036854775806:4":   a + ":1-9223372036854775806",
	a + ":1,\n" + b + ":2":           b + ":2," + a + ":1",
	a + ":1," + b + ":2," + a + ":2": b + ":2," + a + ":1-2",
	// Tags, from MySQL 8.3 on: a sequence of their own, up to the next tag.
	a + ":Blue:1-2":                          a + ":blue:1-2",
	a + ":1-5:7:B_x:3-4:1:a:1:9":             a + ":1-5:7:a:1:9:b_x:1:3-4",
	a + ":b:1," + a + ":1":                   a + ":1:b:1",
	a + ":b:1," + a + ":b:2":                 a + ":b:1-2",
	a + ":b:1:a:1:b:2":                       a + ":a:1:b:1-2",
	a + ":" + strings.Repeat("x", 32) + ":1": a + ":" + strings.Repeat("x", 32) + ":1",
}

func TestSetsAreWrittenInOneWay(t *testing.T) {
	for text, want := range written {
		s, err := gtid.ParseSet(text)
		if err != nil || s.String() != want || s.Empty() != (want == "") {
			t.Errorf("%q: got %q %v, want %q", text, s, err, want)
		}
	}
}

func TestWhatIsNoSetIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		a:                                        "number is missing",
		a + ":":                                  "not a transaction number",
		a + ":1:":                                "not a transaction number",
		a + ":0":                                 "want 1 to",
		a + ":0-3":                               "want 1 to",
		a + ":-3":                                "not a transaction number",
		a + ":+3":                                "not a transaction number",
		a + ":1-":                                "not a transaction number",
		a + ":1-2-3":                             "not a transaction number",
		a + ":5-3":                               "ends before it begins",
		a + ":9223372036854775807":               "want 1 to",
		a + ":1-9223372036854775807":             "want 1 to",
		a + ":99999999999999999999":              "want 1 to",
		a + ":blue":                              "number is missing",
		a + ":1:blue":                            "number is missing",
		a + ":blue:red:1":                        `"blue" has no transaction number`,
		a + ":blue-1":                            "not a transaction number",
		a + ":1blue:1":                           "not a transaction number",
		a + ":" + strings.Repeat("x", 33) + ":1": "not a transaction number",
		a[:35] + ":1":                            "not a UUID",
		strings.ReplaceAll(a, "-", "") + ":1":    "not a UUID",
		"{" + a + "}:1":                          "not a UUID",
		"g" + a[1:] + ":1":                       "not a UUID",
		"0-1-100":                                "not a UUID",
		a + ":1,":                                "not a UUID",
		"," + a + ":1":                           "not a UUID",
	} {
		if s, err := gtid.ParseSet(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q %v, want %q", text, s, err, want)
		}
	}
}

func set(t *testing.T, text string) gtid.Set {
	t.Helper()
	s, err := gtid.ParseSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetArithmetic(t *testing.T) {
	tests := []struct{ s, other, minus, both, either string }{
		{a + ":1-10", "", a + ":1-10", "", a + ":1-10"},
		{a + ":1-10", a + ":1-10", "", a + ":1-10", a + ":1-10"},
		{a + ":1-10", a + ":4-6", a + ":1-3:7-10", a + ":4-6", a + ":1-10"},
		{a + ":4-6", a + ":1-10", "", a + ":4-6", a + ":1-10"},
		{a + ":1-10", a + ":1:3:10", a + ":2:4-9", a + ":1:3:10", a + ":1-10"},
		{a + ":1-5:8-9", a + ":5-8", a + ":1-4:9", a + ":5:8", a + ":1-9"},
		{a + ":1-3", a + ":5-8", a + ":1-3", "", a + ":1-3:5-8"},
		{a + ":1-3", a + ":4-8", a + ":1-3", "", a + ":1-8"},
		{a + ":1-3", b + ":1-3", a + ":1-3", "", b + ":1-3," + a + ":1-3"},
		// A tag's numbers are not those of its server without one, nor another tag's.
		{a + ":1-3", a + ":x:1-3", a + ":1-3", "", a + ":1-3:x:1-3"},
		{a + ":x:1-3", a + ":y:2", a + ":x:1-3", "", a + ":x:1-3:y:2"},
		{a + ":1-3:x:1-3", a + ":2:x:3", a + ":1:3:x:1-2", a + ":2:x:3", a + ":1-3:x:1-3"},
		{a + ":1-9223372036854775806", a + ":9223372036854775806", a + ":1-9223372036854775805", a + ":9223372036854775806", a + ":1-9223372036854775806"},
	}
	for _, tt := range tests {
		s, other := set(t, tt.s), set(t, tt.other)
		if got := s.Minus(other).String(); got != tt.minus {
			t.Errorf("%s minus %s: got %s, want %s", tt.s, tt.other, got, tt.minus)
		}
		if got := s.Intersect(other).String(); got != tt.both || s.Meets(other) != (tt.both != "") {
			t.Errorf("%s and %s: got %s, want %s", tt.s, tt.other, got, tt.both)
		}
		if got := s.Union(other).String(); got != tt.either {
			t.Errorf("%s or %s: got %s, want %s", tt.s, tt.other, got, tt.either)
		}
		if got := s.Contains(other); got != (tt.both == tt.other) {
			t.Errorf("%s contains %s: got %v", tt.s, tt.other, got)
		}
		if s.String() != tt.s || other.String() != tt.other {
			t.Errorf("%s and %s became %s and %s", tt.s, tt.other, s, other)
		}
	}
}

func TestASetNamesItsServers(t *testing.T) {
	first, err := gtid.ParseUUID(a)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"": false, a + ":1": true, a + ":x:1": true, b + ":1-9": false, b + ":1," + a + ":7": true} {
		if got := set(t, text).Names(first); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestTransactionsAreAddedInAnyOrder(t *testing.T) {
	var all []gtid.ID
	for _, tag := range []string{"", "blue"} {
		for n := range int64(300) {
			all = append(all, gtid.ID{Source: gtid.UUID{0: 1}, Tag: tag, Number: n + 1})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var s gtid.Set
	for n, id := range all {
		if s.Has(id) {
			t.Fatalf("%s is in %s already", id, s)
		}
		before := s.Clone()
		s.Add(id)
		s.Add(id) // again, as after a reconnect
		if !s.Has(id) || before.Has(id) || s.Count() != int64(n+1) || s.Minus(before).String() != id.String() {
			t.Fatalf("adding %s to %s: got %s", id, before, s)
		}
	}
	if want := "01000000-0000-0000-0000-000000000000:1-300:blue:1-300"; s.String() != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestAddingTheNextTransactionAllocatesNothing(t *testing.T) {
	s := set(t, b+":1-7:9,"+a+":1-5")
	id := gtid.ID{Number: 6}
	id.Source, _ = gtid.ParseUUID(a)
	if n := testing.AllocsPerRun(1000, func() { s.Add(id); id.Number++ }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestCountsEndAtTheLargestNumber(t *testing.T) {
	if got := set(t, a+":1-9223372036854775806,"+b+":1-9223372036854775806").Count(); got != 1<<63-1 {
		t.Errorf("got %d, want %d", got, int64(1<<63-1))
	}
	if got := set(t, a+":1-5:9:x:1-2,"+b+":7").Count(); got != 9 {
		t.Errorf("got %d, want 9", got)
	}
}

// Purged logs are told by what is missing, and so must not be mistaken for those
// that were read before they were purged.
func TestWhatAServerCannotGiveAnyMore(t *testing.T) {
	tests := []struct {
		name, ours, executed, purged string
		lost                         string // must be read and is gone
		unknown                      string // was read, and the server never had it
	}{
		{"nothing purged", a + ":1-5", a + ":1-9", "", "", ""},
		{"purged what was read", a + ":1-5", a + ":1-9", a + ":1-5", "", ""},
		{"purged one too many", a + ":1-5", a + ":1-9", a + ":1-6", a + ":6", ""},
		{"purged another server's", a + ":1-5", b + ":1-3," + a + ":1-9", b + ":1-3", b + ":1-3", ""},
		{"purged a tag's", a + ":1-5", a + ":1-9:x:1", a + ":x:1", a + ":x:1", ""},
		{"promoted too early", a + ":1-5", a + ":1-3," + b + ":1", a + ":1-3", "", a + ":4-5"},
		{"another server", a + ":1-5", b + ":1-900", b + ":1-100", b + ":1-100", a + ":1-5"},
		{"a hole that a replica left", a + ":1-2:4", a + ":1-9", a + ":1-4", a + ":3", ""},
	}
	for _, tt := range tests {
		ours, executed, purged := set(t, tt.ours), set(t, tt.executed), set(t, tt.purged)
		if got := purged.Minus(ours).String(); got != tt.lost {
			t.Errorf("%s: got %q lost, want %q", tt.name, got, tt.lost)
		}
		if got := ours.Minus(executed).String(); got != tt.unknown {
			t.Errorf("%s: got %q unknown, want %q", tt.name, got, tt.unknown)
		}
	}
}

func FuzzSet(f *testing.F) {
	for text := range written {
		f.Add(text, a+":2-3:blue:1")
	}
	f.Fuzz(func(t *testing.T, text, otherText string) {
		s, err := gtid.ParseSet(text)
		if err != nil {
			return
		}
		if again, err := gtid.ParseSet(s.String()); err != nil || again.String() != s.String() {
			t.Fatalf("%q became %q %v", s, again, err)
		}
		// What is handed to go-mysql must be the same to it.
		theirs, err := mysql.ParseMysqlGTIDSet(s.String())
		if err != nil || theirs.String() != s.String() {
			t.Fatalf("%q is %q %v to go-mysql", s, theirs, err)
		}
		if decoded, err := mysql.DecodeMysqlGTIDSet(theirs.Encode()); err != nil || decoded.String() != s.String() {
			t.Fatalf("%q is %q %v on the wire", s, decoded, err)
		}
		other, err := gtid.ParseSet(otherText)
		if err != nil {
			return
		}
		minus, both, either := s.Minus(other), s.Intersect(other), s.Union(other)
		switch {
		case minus.Meets(other), !other.Contains(both), !s.Contains(minus), !either.Contains(s), !either.Contains(other):
			t.Errorf("%q and %q: minus %q, both %q, either %q", s, other, minus, both, either)
		case minus.Union(both).String() != s.String():
			t.Errorf("%q and %q: minus %q and both %q are not all of it", s, other, minus, both)
		case either.Minus(minus).String() != other.String():
			t.Errorf("%q and %q: either %q less minus %q is not the other", s, other, either, minus)
		}
	})
}

// FuzzSetAgainstBits compares the arithmetic with that of bits.
func FuzzSetAgainstBits(f *testing.F) {
	f.Add(uint64(0b1011), uint64(0b0110))
	f.Add(^uint64(0), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, x, y uint64) {
		s, other := bits(x), bits(y)
		for what, tt := range map[string]struct{ got, want gtid.Set }{
			"minus":  {s.Minus(other), bits(x &^ y)},
			"both":   {s.Intersect(other), bits(x & y)},
			"either": {s.Union(other), bits(x | y)},
		} {
			if tt.got.String() != tt.want.String() {
				t.Errorf("%b and %b: %s: got %s, want %s", x, y, what, tt.got, tt.want)
			}
		}
		if got := s.Contains(other); got != (x&y == y) {
			t.Errorf("%b contains %b: got %v", x, y, got)
		}
	})
}

func bits(x uint64) gtid.Set {
	var s gtid.Set
	for n := range int64(64) {
		if x>>n&1 == 1 {
			s.Add(gtid.ID{Number: n + 1})
		}
	}
	return s
}
