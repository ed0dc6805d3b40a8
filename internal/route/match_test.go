package route_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/route"
)

func TestPatternsStopAtTheDot(t *testing.T) {
	tests := []struct {
		pattern, table string
		want           bool
	}{
		{"public.products", "public.products", true},
		{"public.products", "public.Products", false},
		{"Public.products", "public.products", false},
		{"public.products", "public.products2", false},
		{"public.products", "public.product", false},
		{"public.*", "public.products", true},
		{"public.*", "shop.products", false},
		{"*.products", "shop.products", true},
		{"*.*", "shop.products", true},
		{"*.*", "products", false},
		{"pub*.p*s", "public.products", true},
		{"pub*.p*x", "public.products", false},
		{"public.a*b*c", "public.axbxbc", true},
		{"public.a**c", "public.abc", true},
		{"public.*_20??", "public.orders_2026", true},
		{"public.*_20??", "public.orders_206", false},
		{"public.?", "public.ü", true},
		{"public.?", "public.", false},
		{"public.[a-z]", "public.x", false},
		{"public.[a-z]", "public.[a-z]", true},
		// The full name of public."v1.orders" is also that of "public.v1".orders.
		{"public.*", "public.v1.orders", false},
		{"*.*", "public.v1.orders", false},
		{"public.v1?orders", "public.v1.orders", false},
	}
	for _, tt := range tests {
		r := router(t, route.Rule{Match: tt.pattern, Topic: "one"})
		if got := r.Captures(tt.table); got != tt.want {
			t.Errorf("%s matches %s: got %v, want %v", tt.pattern, tt.table, got, tt.want)
		}
	}
}

func TestValidMatchSaysWhatIsWrong(t *testing.T) {
	tests := map[string]string{
		"public.products":    "",
		"*.*":                "",
		"Ünï._odd name$":     "",
		"products":           "it has no dot",
		"":                   "it has no dot",
		".products":          "there is no schema before the dot",
		"public.":            "there is no table after the dot",
		"public.v1.orders":   "it has more than one dot",
		" public.products":   "it starts or ends with a blank",
		"public.products\t ": "it starts or ends with a blank",
	}
	for pattern, want := range tests {
		got := ""
		if err := route.ValidMatch(pattern); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", pattern, got, want)
		}
	}
}

// FuzzMatch compares the matcher with a regular expression that says the same.
func FuzzMatch(f *testing.F) {
	f.Add("public.*", "public.products")
	f.Add("p?b*c.*_*_?", "public.a_b__c")
	f.Add("*.*", "a.b.c")
	f.Add("é*.?", "éa.\xff")
	f.Fuzz(func(t *testing.T, pattern, table string) {
		if route.ValidMatch(pattern) != nil || len(pattern) > 100 || len(table) > 1000 {
			t.Skip()
		}
		// A byte that is no UTF-8 counts as one character, which a regular expression cannot say.
		pattern, table = strings.ToValidUTF8(pattern, "?"), strings.ToValidUTF8(table, "x")
		same := regexp.QuoteMeta(pattern)
		same = strings.NewReplacer(`\*`, `[^.]*`, `\?`, `[^.]`).Replace(same)
		want := regexp.MustCompile(`(?s)\A` + same + `\z`).MatchString(table)
		got := router(t, route.Rule{Match: pattern, Topic: "one"}).Captures(table)
		if got != want {
			t.Errorf("%q matches %q: got %v, want %v", pattern, table, got, want)
		}
	})
}
