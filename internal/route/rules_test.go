package route_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

var _ source.Selector = (*route.Router)(nil)

func TestNewReportsAllProblems(t *testing.T) {
	_, err := route.New("", []route.Rule{
		{Match: "products"},
		{Match: "public.a", Topic: "no blanks"},
		{Match: "public.b", Topic: "{schema}.{tabel}"},
		{Match: "public.c", Topic: ".."},
		{Match: "public.d", Topic: strings.Repeat("x", 250)},
		{Match: "public.e", Payload: column("id", "id=other"), Key: []string{"k", "k"}},
		{Match: "public.f", Payload: column("=id"), Key: []string{""}},
		{Match: "public.g", Delay: -time.Second},
		{Match: "public.h", Delay: time.Millisecond + 1},
		{Match: "public.i", Delay: time.Second, Tombstones: true},
		{Match: "public.*", Topic: "all", Tombstones: true},
	}, route.Encoding{})
	if err == nil {
		t.Fatal("got no error")
	}
	want := []string{
		"the pipeline has no name",
		"rule 1 (products): match cannot name a table: it has no dot",
		`rule 2 (public.a): Kafka allows no topic named "no blanks": use at most 249 of a-z, A-Z, 0-9, ., _ and -`,
		"rule 3 (public.b): topic has the unknown placeholder {tabel}; there are {pipeline}, {schema} and {table}",
		`rule 4 (public.c): Kafka allows no topic named "..": use at most 249 of a-z, A-Z, 0-9, ., _ and -`,
		`rule 5 (public.d): Kafka allows no topic named "` + strings.Repeat("x", 250) + `": use at most 249 of a-z, A-Z, 0-9, ., _ and -`,
		`rule 6 (public.e): payload holds the name "id" twice`,
		`rule 6 (public.e): key holds "k" twice`,
		"rule 7 (public.f): payload has a column without a name",
		"rule 7 (public.f): key has a column without a name",
		"rule 8 (public.g): delay is -1s, want 0 or whole milliseconds",
		"rule 9 (public.h): delay is 1.000001ms, want 0 or whole milliseconds",
		"rule 10 (public.i): tombstones need delay: 0, because a late delay message would bring a deleted row back",
		"rule 11 (public.*): tombstones need a topic of their own, but all tables of the pattern share one",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARouterNeedsARule(t *testing.T) {
	if _, err := route.New("shop", nil, route.Encoding{}); err == nil {
		t.Error("got no error for no rules")
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	r := router(t,
		route.Rule{Match: "public.schema_migrations", Skip: true},
		route.Rule{Match: "public.products", Topic: "wares"},
		route.Rule{Match: "public.*"},
		route.Rule{Match: "public.orders", Topic: "never-reached"},
	)
	tests := []struct {
		table, topic    string
		captured, known bool
	}{
		{"public.schema_migrations", "", false, true},
		{"public.products", "wares", true, true},
		{"public.orders", "{table}", true, true},
		{"shop.orders", "", false, false},
	}
	for _, tt := range tests {
		if got := r.Captures(tt.table); got != tt.captured {
			t.Errorf("%s: captured %v, want %v", tt.table, got, tt.captured)
		}
		rule, known := r.Rule(tt.table)
		if known != tt.known || known && tt.captured && rule.Topic != tt.topic {
			t.Errorf("%s: got rule %+v, %v, want topic %s, %v", tt.table, rule, known, tt.topic, tt.known)
		}
	}
}

func TestUnmatchedNamesTablesThatAreMissing(t *testing.T) {
	r := router(t,
		route.Rule{Match: "public.gone", Skip: true},
		route.Rule{Match: "public.prodcuts"},
		route.Rule{Match: "public.orders"},
		route.Rule{Match: "shop.*"},
	)
	got := r.Unmatched([]string{"public.products", "public.orders"})
	if want := []string{"public.prodcuts"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestKeyIsThatOfTheRuleElseThePrimaryKey(t *testing.T) {
	r := router(t, route.Rule{Match: "public.a", Key: []string{"sku"}}, route.Rule{Match: "public.*"})
	primary := []string{"tenant", "id"}
	for table, want := range map[string][]string{"public.a": {"sku"}, "public.b": primary, "shop.c": primary} {
		if got := r.Key(table, primary); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", table, got, want)
		}
	}
}

func TestColumnsAreThoseOfPayloadAndKey(t *testing.T) {
	all := []string{"title", "line", "tenant", "sku"}
	tests := []struct {
		name    string
		rule    route.Rule
		primary []string
		want    []string
		problem string
	}{
		{"primary key", route.Rule{}, []string{"tenant", "line"}, []string{"tenant", "line"}, ""},
		{"key instead of a primary key", route.Rule{Key: []string{"sku"}}, nil, []string{"sku"}, ""},
		{"key beside a primary key", route.Rule{Key: []string{"sku"}}, []string{"line"}, []string{"line", "sku"}, ""},
		{"payload", route.Rule{Payload: column("name=title", "line")}, []string{"tenant", "line"}, []string{"title", "line", "tenant"}, ""},
		{"a column twice", route.Rule{Payload: column("line", "number=line")}, []string{"line"}, []string{"line"}, ""},
		{"no key", route.Rule{Payload: column("line")}, nil, nil, "public.lines has no primary key, and its rule (match: public.*) names no key"},
		{
			"missing columns",
			route.Rule{Payload: column("line", "a=titel", "b=titel"), Key: []string{"SKU"}},
			nil, nil, `public.lines has no column "SKU", "titel", which its rule (match: public.*) needs`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Match = "public.*"
			got, err := router(t, tt.rule).Columns("public.lines", all, tt.primary)
			wantStop(t, err, tt.problem)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestColumnsOfATableWithoutARuleIsAnError(t *testing.T) {
	if _, err := router(t, route.Rule{Match: "public.a"}).Columns("public.b", []string{"id"}, []string{"id"}); err == nil {
		t.Error("got no error")
	}
}

// wantStop fails unless err is a Fault of class Stop that says what, with a way
// out; or nil if what is "".
func wantStop(t *testing.T, err error, what string) {
	t.Helper()
	if what == "" {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) {
		t.Errorf("got %v, want the fault %q", err, what)
		return
	}
	if fault.What != what || fault.Class != kafkasync.Stop || fault.Fix == "" {
		t.Errorf("got %q of class %s with the fix %q, want %q of class stop with a fix", fault.What, fault.Class, fault.Fix, what)
	}
}
