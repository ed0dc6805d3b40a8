package route_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

var update = flag.Bool("update", false, "write the golden files from what the code does now")

const goldenFile = "testdata/messages.golden"

// story is one rule, one change, and its lines in the golden file. A diff there
// is a change of the message format: a decision, not a repair.
type story struct {
	name   string
	rule   route.Rule
	enc    route.Encoding
	change *source.Change
}

func stories() []story {
	var all []story
	all = append(all, topicStories()...)
	all = append(all, keyStories()...)
	all = append(all, payloadStories()...)
	all = append(all, typeStories()...)
	all = append(all, operationStories()...)
	return all
}

// column names columns of the payload, as name or name=column.
func column(specs ...string) []route.Column {
	var all []route.Column
	for _, spec := range specs {
		name, from, renamed := strings.Cut(spec, "=")
		if !renamed {
			from = name
		}
		all = append(all, route.Column{Name: name, Source: from})
	}
	return all
}

func created(t *source.Table, values ...source.Value) *source.Change {
	return change(t, kafkasync.Created, values, nil)
}

func topicStories() []story {
	one := created(table("products", "id", "id"), number("42"))
	return []story{
		{name: "the topic is the table", rule: route.Rule{Match: "public.products"}, change: one},
		{name: "the topic is named", rule: route.Rule{Match: "public.products", Topic: "search.products-v2"}, change: one},
		{name: "the topic is a template", rule: route.Rule{Match: "public.*", Topic: "{pipeline}.{schema}.{table}"}, change: one},
		{name: "a delay", rule: route.Rule{Match: "public.*", Delay: 5 * time.Minute}, change: one},
		{name: "a delay of odd milliseconds", rule: route.Rule{Match: "public.*", Delay: 1001 * time.Millisecond}, change: one},
	}
}

func keyStories() []story {
	plain := route.Rule{Match: "public.*"}
	lines := &source.Table{Name: "public.lines", Columns: []string{"tenant", "line"}, PrimaryKey: []string{"tenant", "line"}}
	return []story{
		{name: "a uuid as key", rule: plain, change: created(table("a", "id", "id"), text("7f9c24e8-3b12-4fef-91e0-56a2d5a1c7b2"))},
		{name: "a key with quotes and line breaks is unescaped", rule: plain, change: created(table("a", "id", "id"), text("say \"hi\"\\\n"))},
		{name: "an empty text is a key", rule: plain, change: created(table("a", "id", "id"), text(""))},
		{name: "a composite key is an array in key order", rule: plain, change: created(lines, text("ac\"me"), value(source.Int, "7"))},
		{
			name: "the payload keeps the order of the rule, the key that of the primary key", rule: route.Rule{Match: "public.*", Payload: column("line", "tenant")},
			change: created(lines, text("acme"), value(source.Int, "7")),
		},
		{
			name: "the key of the rule stands in for a missing primary key, in the payload too", rule: route.Rule{Match: "public.*", Key: []string{"sku"}},
			change: created(table("a", "", "sku"), text("X-1")),
		},
		{
			name: "the key of the rule beside a primary key", rule: route.Rule{Match: "public.*", Key: []string{"sku"}},
			change: created(table("a", "id", "id", "sku"), number("42"), text("X-1")),
		},
		{name: "bigint as string, bare in the key", rule: plain, enc: route.Encoding{BigintAsString: true}, change: created(table("a", "id", "id"), number("42"))},
		{
			name: "bigint as string, quoted in a composite key; smaller integers stay numbers", rule: plain, enc: route.Encoding{BigintAsString: true},
			change: created(lines, number("42"), value(source.Int, "7")),
		},
		{name: "binary as key", rule: plain, change: created(table("a", "id", "id"), value(source.Binary, "\x00\xffk"))},
		{name: "binary as key in base64", rule: plain, enc: route.Encoding{BinaryAsBase64: true}, change: created(table("a", "id", "id"), value(source.Binary, "\x00\xffk"))},
		{name: "a bool as key", rule: plain, change: created(table("a", "id", "id"), value(source.Bool, "true"))},
		{name: "a float as key", rule: plain, change: created(table("a", "id", "id"), value(source.Float, "-Infinity"))},
	}
}

func payloadStories() []story {
	wide := table("a", "id", "id", "title", "price")
	rule := route.Rule{Match: "public.*", Payload: column("id", "name=title", "price")}
	return []story{
		{name: "more columns, one renamed", rule: rule, change: created(wide, number("42"), text("Tea"), text("9.90"))},
		{name: "NULL is null", rule: rule, change: created(wide, number("42"), value(source.Null, ""), text("9.90"))},
		{
			name: "what the log does not hold is omitted", rule: rule,
			change: change(wide, kafkasync.Updated, row(number("42"), source.Value{}, text("9.90")), nil),
		},
		{
			name: "an unchanged column comes from a full old row", rule: rule,
			change: change(wide, kafkasync.Updated, row(number("42"), source.Value{}, text("9.90")), row(number("42"), text("Tea"), text("9.80"))),
		},
		{
			name: "a delete sends what the old row holds", rule: rule,
			change: change(wide, kafkasync.Deleted, nil, row(number("42"), text("Tea"), value(source.Null, ""))),
		},
		{
			name: "a delete under the default replica identity", rule: rule,
			change: change(wide, kafkasync.Deleted, nil, row(number("42"), source.Value{}, source.Value{})),
		},
		{
			name: "a payload without any of its columns", rule: route.Rule{Match: "public.*", Payload: column("title")},
			change: change(wide, kafkasync.Deleted, nil, row(number("42"), source.Value{}, source.Value{})),
		},
		{
			name: "one column under two names", rule: route.Rule{Match: "public.*", Payload: column("id", "Id=id")},
			change: created(wide, number("42"), text("Tea"), text("9.90")),
		},
		{
			name: "a name that needs escaping", rule: route.Rule{Match: "public.*", Payload: column("a\"b\\=id")},
			change: created(wide, number("42"), text("Tea"), text("9.90")),
		},
	}
}

func typeStories() []story {
	rule := route.Rule{Match: "public.*", Payload: column("id", "v")}
	one := func(name string, v source.Value) story {
		return story{name: name, rule: rule, change: created(table("a", "id", "id", "v"), value(source.Int, "1"), v)}
	}
	with := func(s story, enc route.Encoding) story { s.enc = enc; return s }
	return []story{
		one("a negative integer", value(source.Int, "-2147483648")),
		one("an unsigned 64-bit integer is exact", number("18446744073709551615")),
		with(one("a 64-bit integer as string", number("-9223372036854775808")), route.Encoding{BigintAsString: true}),
		one("a float as given", value(source.Float, "1e+21")),
		one("a float with fraction", value(source.Float, "-0.1")),
		one("not a number", value(source.Float, "NaN")),
		one("infinity", value(source.Float, "Infinity")),
		one("true", value(source.Bool, "true")),
		one("false", value(source.Bool, "false")),
		one("numeric is text and exact", text("12345678901234567890.10")),
		one("a time is text", text("2026-11-21T10:50:00.5Z")),
		one("padding stays", text("ab   ")),
		one("all that is escaped", text("\"\\\b\f\n\r\t\x00\x01\x1f")),
		one("what is not escaped", text("/<>&'\x7f\u2028ü日本🍵")),
		one("hex", value(source.Binary, "\x00\x01\xab\xff")),
		with(one("base64", value(source.Binary, "\x00\x01\xab\xff")), route.Encoding{BinaryAsBase64: true}),
		one("empty binary", value(source.Binary, "")),
	}
}

func operationStories() []story {
	plain := route.Rule{Match: "public.*", Delay: time.Minute}
	graves := route.Rule{Match: "public.*", Tombstones: true}
	ids := table("a", "id", "id")
	titled := table("a", "id", "id", "title")
	lines := &source.Table{Name: "public.lines", Columns: []string{"order_id", "line", "note"}, PrimaryKey: []string{"order_id", "line"}}
	absent := source.Value{}
	return []story{
		{name: "an update", rule: plain, change: change(ids, kafkasync.Updated, row(number("42")), nil)},
		{name: "an update with an old row and the same key", rule: plain, change: change(ids, kafkasync.Updated, row(number("42")), row(number("42")))},
		{name: "a delete", rule: plain, change: change(ids, kafkasync.Deleted, nil, row(number("42")))},
		{name: "a delete with a tombstone", rule: graves, change: change(ids, kafkasync.Deleted, nil, row(number("42")))},
		{name: "a new key is two messages", rule: plain, change: change(ids, kafkasync.Updated, row(number("43")), row(number("42")))},
		{name: "a new key with a tombstone for the old one", rule: graves, change: change(ids, kafkasync.Updated, row(number("43")), row(number("42")))},
		{
			name: "one column of a composite key changes", rule: plain,
			change: change(lines, kafkasync.Updated, row(number("42"), number("8"), text("n")), row(number("42"), number("7"), absent)),
		},
		{
			name: "an absent column of the new row is unchanged", rule: plain,
			change: change(lines, kafkasync.Updated, row(absent, number("8"), absent), row(number("42"), number("7"), absent)),
		},
		{
			name: "a key that the new row does not hold is unchanged, so it is the same row", rule: plain,
			change: change(lines, kafkasync.Updated, row(absent, absent, text("n")), row(number("42"), number("7"), absent)),
		},
		{
			name: "a column of the payload that is not of the primary key changes", rule: route.Rule{Match: "public.*", Payload: column("id", "title")},
			change: change(titled, kafkasync.Updated, row(number("42"), text("new")), row(number("42"), text("old"))),
		},
		{
			name: "a moved row: extra columns of the old one as far as the log holds them", rule: route.Rule{Match: "public.*", Payload: column("id", "title")},
			change: change(titled, kafkasync.Updated, row(number("43"), text("Tea")), row(number("42"), absent)),
		},
		{
			name: "the primary key in the payload changes beside the rule's key", rule: route.Rule{Match: "public.*", Key: []string{"title"}},
			change: change(titled, kafkasync.Updated, row(number("43"), text("Tea")), row(number("42"), text("Tea"))),
		},
		{
			name:   "the rule's key changes beside the primary key",
			rule:   route.Rule{Match: "public.*", Key: []string{"title"}},
			change: change(titled, kafkasync.Updated, row(number("42"), text("new")), row(number("42"), text("old"))),
		},
		{
			name:   "a primary key that neither key nor payload hold changes",
			rule:   route.Rule{Match: "public.*", Key: []string{"title"}, Payload: column("title")},
			change: change(titled, kafkasync.Updated, row(number("43"), text("Tea")), row(number("42"), text("Tea"))),
		},
		{name: "a truncate has no twin", rule: plain, change: change(ids, kafkasync.Truncated, nil, nil)},
		{name: "a truncate with tombstones", rule: graves, change: change(ids, kafkasync.Truncated, nil, nil)},
		{name: "a truncate of a composite key", rule: route.Rule{Match: "public.*"}, change: change(lines, kafkasync.Truncated, nil, nil)},
		{
			name: "a truncate holds only ids", rule: route.Rule{Match: "public.*", Payload: column("title", "ID=id")},
			change: change(titled, kafkasync.Truncated, nil, nil),
		},
		{
			name: "a truncate where no id is in the payload", rule: route.Rule{Match: "public.*", Payload: column("title")},
			change: change(titled, kafkasync.Truncated, nil, nil),
		},
		{name: "a truncate is skipped", rule: route.Rule{Match: "public.*", Truncate: route.SkipTruncate}, change: change(ids, kafkasync.Truncated, nil, nil)},
	}
}

func TestMessagesAreAsTheContractSays(t *testing.T) {
	var got bytes.Buffer
	for _, s := range stories() {
		fmt.Fprintf(&got, "## %s\n", s.name)
		r, err := route.New("shop", []route.Rule{s.rule}, s.enc)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		var buf route.Buffer
		msgs, err := r.Append(nil, &buf, s.change)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for i := range msgs {
			show(&got, &msgs[i])
		}
		got.WriteString("\n")
	}
	if *update {
		if err := os.WriteFile(goldenFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	gotStories, wantStories := strings.Split(got.String(), "\n\n"), strings.Split(string(want), "\n\n")
	if len(gotStories) != len(wantStories) {
		t.Errorf("got %d stories, want %d: run the test with -update and read the diff", len(gotStories), len(wantStories))
	}
	for i := range min(len(gotStories), len(wantStories)) {
		if gotStories[i] != wantStories[i] {
			t.Errorf("got\n%s\nwant\n%s", gotStories[i], wantStories[i])
		}
	}
}

// printable shows bytes between bars, what has no glyph as ⟨hex⟩, and nil as none.
func printable(p []byte) string {
	if p == nil {
		return "none"
	}
	var out strings.Builder
	for _, r := range string(p) {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "⟨%02x⟩", r)
		}
	}
	return "|" + out.String() + "|"
}

// show writes a message as a person reads it. Its seq is 0: the pipeline stamps it.
func show(w *bytes.Buffer, m *kafkasync.Message) {
	fmt.Fprintf(w, "topic %s key %s value %s\n ", m.Topic, printable(m.Key), printable(m.Value))
	headers, _ := m.AppendHeaders(nil, nil)
	for _, h := range headers {
		fmt.Fprintf(w, " %s=%s", h.Key, h.Value)
	}
	w.WriteString("\n")
}
