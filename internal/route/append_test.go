package route_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

func TestWhatCannotBeToldFromTheLogStops(t *testing.T) {
	ids := table("a", "id", "id")
	keyed := table("a", "id", "id", "sku", "v")
	rule := route.Rule{Match: "public.*", Key: []string{"sku"}, Payload: column("id", "v")}
	absent, null := source.Value{}, source.Value{Kind: source.Null}
	const (
		lacks  = `the log does not hold key column "sku" of a changed row of public.a`
		isNull = `NULL stands in key column "sku" of a changed row of public.a`
	)
	tests := []struct {
		name    string
		rule    route.Rule
		change  *source.Change
		problem string
	}{
		{"a key that is absent from both rows", rule, change(keyed, kafkasync.Updated, row(number("1"), absent, text("")), row(number("1"), absent, absent)), lacks},
		{"a key that is absent without an old row", rule, change(keyed, kafkasync.Updated, row(number("1"), absent, text("")), nil), lacks},
		{"a deleted row's key that is no part of the replica identity", rule, change(keyed, kafkasync.Deleted, nil, row(number("1"), absent, absent)), lacks},
		{"a moved row's old key that is no part of the replica identity", rule, change(keyed, kafkasync.Updated, row(number("2"), text("x"), text("")), row(number("1"), absent, absent)), lacks},
		{"NULL in a key", rule, change(keyed, kafkasync.Created, row(number("1"), null, text("")), nil), isNull},
		{"NULL in the key before", rule, change(keyed, kafkasync.Updated, row(number("1"), text("x"), text("")), row(number("1"), null, text(""))), isNull},
		{"NULL in the key afterwards", rule, change(keyed, kafkasync.Updated, row(number("1"), null, text("")), row(number("1"), text("x"), text(""))), isNull},
		{"a NULL in a composite key", route.Rule{Match: "public.*", Key: []string{"id", "sku"}}, change(keyed, kafkasync.Created, row(number("1"), null, text("")), nil), isNull},
		{"a key that is not UTF-8", rule, change(keyed, kafkasync.Created, row(number("1"), text("\xff"), text("")), nil), `column "sku" of a changed row of public.a holds text that is not UTF-8`},
		{"a text that is not UTF-8", rule, change(keyed, kafkasync.Created, row(number("1"), text("x"), text("a\xc3(")), nil), `column "v" of a changed row of public.a holds text that is not UTF-8`},
		{"an integer with a leading zero", route.Rule{Match: "public.*"}, change(ids, kafkasync.Created, row(number("007")), nil), `column "id" of a changed row of public.a holds an integer that is no JSON number`},
		{"two zeros", route.Rule{Match: "public.*"}, change(ids, kafkasync.Created, row(value(source.Int, "-00")), nil), `column "id" of a changed row of public.a holds an integer that is no JSON number`},
		{"an empty integer", route.Rule{Match: "public.*"}, change(ids, kafkasync.Created, row(value(source.Int, "")), nil), `column "id" of a changed row of public.a holds an integer that is no JSON number`},
		{"a float that is none", rule, change(keyed, kafkasync.Created, row(number("1"), text("x"), value(source.Float, "1.")), nil), `column "v" of a changed row of public.a holds a float that is no JSON number`},
		{"a bool that is none", rule, change(keyed, kafkasync.Created, row(number("1"), text("x"), value(source.Bool, "t")), nil), `column "v" of a changed row of public.a holds a bool that is neither true nor false`},
		{"a kind that is none", rule, change(keyed, kafkasync.Created, row(number("1"), text("x"), value(99, "t")), nil), `column "v" of a changed row of public.a holds a value of an unknown kind`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf route.Buffer
			before := []kafkasync.Message{{Topic: "before"}}
			got, err := router(t, tt.rule).Append(before, &buf, tt.change)
			wantStop(t, err, tt.problem)
			if len(got) != 1 || got[0].Topic != "before" {
				t.Errorf("got %d messages after an error, want dst as it was", len(got))
			}
		})
	}
}

func TestChangesThatNoSourceMayMakeAreErrors(t *testing.T) {
	ids := table("a", "id", "id")
	one := row(number("1"))
	for name, c := range map[string]*source.Change{
		"created without a row":             change(ids, kafkasync.Created, nil, nil),
		"created with too many columns":     change(ids, kafkasync.Created, row(number("1"), number("2")), nil),
		"updated without a row":             change(ids, kafkasync.Updated, nil, one),
		"updated with an old row of none":   change(ids, kafkasync.Updated, one, []source.Value{}),
		"deleted without the old row":       change(ids, kafkasync.Deleted, one, nil),
		"refreshed, which is no change":     change(ids, kafkasync.Refreshed, one, nil),
		"of a table that no rule captures":  created(&source.Table{Name: "shop.a", Columns: []string{"id"}, PrimaryKey: []string{"id"}}, number("1")),
		"of a table without the key column": created(table("b", "id", "other"), number("1")),
	} {
		var buf route.Buffer
		if got, err := router(t, route.Rule{Match: "public.*"}).Append(nil, &buf, c); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

func TestMessagesStayValidWhileTheBufferGrows(t *testing.T) {
	r := router(t, route.Rule{Match: "public.*", Tombstones: true})
	ids := table("a", "id", "id")
	var buf route.Buffer
	for round := range 3 {
		buf.Reset()
		var msgs []kafkasync.Message
		for i := range 5000 {
			op, is, was := kafkasync.Updated, row(number(strconv.Itoa(i))), row(number(strconv.Itoa(i)))
			if i%2 == 1 {
				op, is = kafkasync.Deleted, nil
			}
			var err error
			if msgs, err = r.Append(msgs, &buf, change(ids, op, is, was)); err != nil {
				t.Fatal(err)
			}
		}
		at := 0
		for i := range 5000 {
			key := strconv.Itoa(i)
			want := []string{`{"id":` + key + `}`}
			if i%2 == 1 {
				want = append(want, "") // the tombstone
			}
			for _, value := range want {
				if m := msgs[at]; string(m.Key) != key || string(m.Value) != value || (m.Value == nil) != (value == "") {
					t.Fatalf("round %d, message %d: got %s %s, want %s %s", round, at, m.Key, m.Value, key, value)
				}
				at++
			}
		}
		if at != len(msgs) {
			t.Errorf("got %d messages, want %d", len(msgs), at)
		}
	}
}

func TestBytesOfAMessageCannotGrowIntoTheNext(t *testing.T) {
	r := router(t, route.Rule{Match: "public.*"})
	var buf route.Buffer
	msgs, err := r.Append(nil, &buf, created(table("a", "id", "id"), number("1")))
	if err != nil {
		t.Fatal(err)
	}
	if msgs, err = r.Append(msgs, &buf, created(table("a", "id", "id"), number("2"))); err != nil {
		t.Fatal(err)
	}
	_, _ = append(msgs[0].Key, "XXXX"...), append(msgs[0].Value, "XXXX"...)
	if got := string(msgs[0].Value) + string(msgs[1].Key); got != `{"id":1}2` {
		t.Errorf("got %s after appending to the first message's bytes, want no change", got)
	}
}

func TestAnEmptyKeyIsNotAMissingKey(t *testing.T) {
	var buf route.Buffer // never used before, so without memory
	empty := source.Value{Kind: source.Text}
	msgs, err := router(t, route.Rule{Match: "public.*"}).Append(nil, &buf, created(table("a", "id", "id"), empty))
	if err != nil {
		t.Fatal(err)
	}
	if msgs[0].Key == nil || len(msgs[0].Key) != 0 {
		t.Errorf("got the key %v, want an empty one: Kafka spreads messages without a key", msgs[0].Key)
	}
}

func TestASchemaChangeMakesANewPlan(t *testing.T) {
	r := router(t, route.Rule{Match: "public.*", Payload: column("id", "title")})
	before := table("a", "id", "id", "title")
	after := &source.Table{Name: "public.a", Columns: []string{"title", "id"}, PrimaryKey: []string{"title"}}
	var buf route.Buffer
	var msgs []kafkasync.Message
	for _, c := range []*source.Change{
		created(before, number("1"), text("Tea")),
		created(after, text("Tea"), number("1")),
	} {
		var err error
		if msgs, err = r.Append(msgs, &buf, c); err != nil {
			t.Fatal(err)
		}
	}
	var got strings.Builder
	for _, m := range msgs {
		got.WriteString(string(m.Key) + " " + string(m.Value) + "\n")
	}
	if want := "1 {\"id\":1,\"title\":\"Tea\"}\nTea {\"id\":1,\"title\":\"Tea\"}\n"; got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestABufferServesAnotherRouter(t *testing.T) {
	ids := table("a", "id", "id")
	var buf route.Buffer
	for _, topic := range []string{"one", "two"} {
		msgs, err := router(t, route.Rule{Match: "public.*", Topic: topic}).Append(nil, &buf, created(ids, number("1")))
		if err != nil {
			t.Fatal(err)
		}
		if msgs[0].Topic != topic {
			t.Errorf("got topic %s, want %s", msgs[0].Topic, topic)
		}
	}
}

// A pipeline's reader asks for columns while its publisher routes, and a check may run beside both.
func TestARouterServesManyGoroutines(t *testing.T) {
	r := router(t, route.Rule{Match: "public.*"})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			var buf route.Buffer
			for n := range 50 {
				one := table("t"+strconv.Itoa(n), "id", "id")
				if _, err := r.Append(nil, &buf, created(one, number("1"))); err != nil {
					t.Error(err)
				}
				if _, err := r.Columns(one.Name, one.Columns, one.PrimaryKey); err != nil {
					t.Error(err)
				}
				if _, err := r.Topics([]string{one.Name}); err != nil {
					t.Error(err, i)
				}
			}
		})
	}
	all.Wait()
}
