package glob

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAGlobMatchesTheWholeText(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"products", "products", true},
		{"products", "products2", false},
		{"products", "Products", false},
		{"shop.*", "shop.public.products", true},
		{"shop.*", "shop.", true},
		{"shop.*", "shop", false},
		{"shop.*", "workshop.x", false},
		{"*.products", "shop.public.products", true},
		{"*a*b", "xaybazb", true},
		{"*a*b", "xaybaz", false},
		{"p?", "pé", true},
		{"p?", "p", false},
		{"*", "", true},
		{"", "", true},
		{"", "x", false},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q against %q: got %t, want %t", tt.pattern, tt.text, got, tt.want)
		}
	}
}

// One that tries every star again would not end within anybody's patience.
func TestAGlobOfManyStarsTakesNoTime(t *testing.T) {
	if Match(strings.Repeat("*a", 100)+"b", strings.Repeat("a", 10_000)) {
		t.Error("got a match, want none")
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("*a?b*", "xaybazb")
	f.Add("**", "")
	f.Add("shop.*", "shop.products")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 100 {
			return
		}
		quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(text)
		if got := Match(pattern, text); got != want {
			t.Errorf("%q against %q: got %t, want %t", pattern, text, got, want)
		}
	})
}
