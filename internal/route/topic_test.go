package route_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

func TestTopicsAreThoseOfRulesAndTables(t *testing.T) {
	r := router(t,
		route.Rule{Match: "public.log", Skip: true},
		route.Rule{Match: "public.products", Topic: "search", Delay: time.Minute},
		route.Rule{Match: "public.articles", Topic: "search", Delay: time.Hour},
		route.Rule{Match: "public.old_*", Tombstones: true},
		route.Rule{Match: "public.*", Topic: "{pipeline}.{table}"},
	)
	got, err := r.Topics([]string{"public.orders", "public.log", "other.orders", "public.old_orders", "public.products"})
	if err != nil {
		t.Fatal(err)
	}
	want := []route.Topic{
		{Name: "old_orders", Tables: []string{"public.old_orders"}, Tombstones: true},
		{Name: "search", Tables: []string{"public.articles", "public.products"}, Delay: time.Hour},
		{Name: "shop.orders", Tables: []string{"public.orders"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTopicsReportsEveryTableAtOnce(t *testing.T) {
	r := router(t, route.Rule{Match: "*.*"})
	got, err := r.Topics([]string{"a.x", "b.x", "a.größe", "a.fine"})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"topic x is reached by a.x and by b.x, and not both rules name it",
		`the topic of a.größe would be "größe", which Kafka does not allow`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want also %q", err, want)
		}
	}
	if len(got) != 2 || got[0].Name != "fine" || got[1].Name != "x" {
		t.Errorf("got %+v, want the topics fine and x", got)
	}
}

func TestTopicsClaimsNothing(t *testing.T) {
	r := router(t, route.Rule{Match: "*.*"})
	if _, err := r.Topics([]string{"shop.products"}); err != nil {
		t.Fatal(err)
	}
	var buf route.Buffer
	if _, err := r.Append(nil, &buf, created(table("products", "id", "id"), number("1"))); err != nil {
		t.Errorf("got %v after asking about another table with the same topic, want no error", err)
	}
}

func TestATopicIsSharedOnlyOnPurpose(t *testing.T) {
	const accident = "topic products is reached by public.products and by shop.products, and not both rules name it"
	tests := []struct {
		name    string
		rules   []route.Rule
		problem string
	}{
		{"one template", []route.Rule{{Match: "*.*"}}, accident},
		{"a template that keeps them apart", []route.Rule{{Match: "*.*", Topic: "{schema}.{table}"}}, ""},
		{"two templates", []route.Rule{{Match: "public.*"}, {Match: "shop.*"}}, accident},
		{"one of them names it", []route.Rule{{Match: "public.*", Topic: "products"}, {Match: "shop.*"}}, accident},
		{"both name it", []route.Rule{{Match: "public.*", Topic: "products"}, {Match: "shop.*", Topic: "products"}}, ""},
		{"one rule names it for both", []route.Rule{{Match: "*.*", Topic: "products"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := router(t, tt.rules...)
			var buf route.Buffer
			var err error
			for _, name := range []string{"public.products", "shop.products"} {
				c := created(&source.Table{Name: name, Columns: []string{"id"}, PrimaryKey: []string{"id"}}, number("1"))
				if _, err = r.Append(nil, &buf, c); err != nil {
					break
				}
			}
			wantStop(t, err, tt.problem)
		})
	}
}

func TestTombstonesNeedATopicOfTheirOwn(t *testing.T) {
	const what = "topic products is reached by public.products and by shop.products, and tombstones need a topic of their own"
	_, err := route.New("p", []route.Rule{
		{Match: "public.products", Topic: "products"},
		{Match: "shop.products", Topic: "products", Tombstones: true},
	}, route.Encoding{})
	wantStop(t, err, what)

	r := router(t, route.Rule{Match: "*.products", Tombstones: true})
	_, err = r.Topics([]string{"public.products", "shop.products"})
	wantStop(t, err, what)
}

func TestASharedTopicIsFoundAtLoadWhereRulesNameTheirTables(t *testing.T) {
	_, err := route.New("p", []route.Rule{{Match: "public.products"}, {Match: "shop.products"}}, route.Encoding{})
	wantStop(t, err, "topic products is reached by public.products and by shop.products, and not both rules name it")

	_, err = route.New("p", []route.Rule{{Match: "public.größe"}}, route.Encoding{})
	wantStop(t, err, `the topic of public.größe would be "größe", which Kafka does not allow`)

	_, err = route.New("p", []route.Rule{{Match: "*.*"}, {Match: "public.products"}, {Match: "shop.products"}}, route.Encoding{})
	wantStop(t, err, "") // the first rule takes them all
}

func TestATableThatTurnsUpCannotTakeTheTopicOfANamedOne(t *testing.T) {
	r := router(t, route.Rule{Match: "shop.products"}, route.Rule{Match: "*.*"})
	var buf route.Buffer
	_, err := r.Append(nil, &buf, created(table("products", "id", "id"), number("1")))
	wantStop(t, err, "topic products is reached by shop.products and by public.products, and not both rules name it")
}

// A source asks for the columns of partition leaves as well, whose rows arrive under the root's name.
func TestAskingForColumnsClaimsNoTopic(t *testing.T) {
	r := router(t, route.Rule{Match: "*.*"})
	if _, err := r.Columns("archive.events", []string{"id"}, []string{"id"}); err != nil {
		t.Fatal(err)
	}
	var buf route.Buffer
	if _, err := r.Append(nil, &buf, created(table("events", "id", "id"), number("1"))); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestATableWhoseNameIsNoTopicIsRefusedAtFirstSight(t *testing.T) {
	r := router(t, route.Rule{Match: "public.*"})
	const what = `the topic of public.größe would be "größe", which Kafka does not allow`
	_, err := r.Columns("public.größe", []string{"id"}, []string{"id"})
	wantStop(t, err, what)
	var buf route.Buffer
	_, err = r.Append(nil, &buf, created(table("größe", "id", "id"), number("1")))
	wantStop(t, err, what)
}

func TestALaterRunMayUseTheTopicOfItsOwnTable(t *testing.T) {
	r := router(t, route.Rule{Match: "*.*"})
	for range 2 {
		var buf route.Buffer
		msgs, err := r.Append(nil, &buf, created(table("products", "id", "id"), number("1")))
		if err != nil || len(msgs) != 1 || msgs[0].Op != kafkasync.Created {
			t.Errorf("got %v, %v, want one message", msgs, err)
		}
	}
}
