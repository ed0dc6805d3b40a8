package findings_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source/findings"
)

func TestTheNearestNameIsTheOneWithTheFewestEdits(t *testing.T) {
	names := []string{"public.products", "public.product_tags", "sales.orders"}
	for name, want := range map[string]string{
		"public.prodcuts": "public.products",
		"public.Products": "public.products",
		"sale.order":      "sales.orders",
		"a.b":             "",
		"":                "",
	} {
		if got := findings.Nearest(name, names); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestAProblemTakesBackThatItsCheckHadPassed(t *testing.T) {
	var l findings.List
	l.Okf("A1", "all is well")
	l.Okf("A2", "%s is well", "this")
	l.Warnf("A1", "why", "fix", "%d is wrong", 7)
	l.Hintf("A1", "", "", "passed after all")
	l.Errorf("A3", "why", "fix", "broken")
	l.Hintf("A4", "why", "fix", "could be better")
	l.Okf("A4", "is as good as can be")
	var got []string
	for _, f := range l.All() {
		got = append(got, fmt.Sprintf("%s %s %s", f.ID, f.Severity, f.What))
	}
	want := "A1 warning 7 is wrong|A3 error broken|A2 ok this is well|A4 ok could be better"
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if !l.Reported("A9", "A3") || l.Reported("A2") {
		t.Error("want A3 reported, and not A2, which passed")
	}
}

func TestWhoCouldNotLookSaysWhatTheFaultSays(t *testing.T) {
	var l findings.List
	command := func(fix string) string { return strings.ReplaceAll(fix, "PIPELINE", "shop") }
	l.Failed("A1", errors.New("no route"), command)
	l.Failed("A2", fmt.Errorf("asking: %w", &kafkasync.Fault{What: "gone", Err: errors.New("1236"), Fix: "recover PIPELINE"}), command)
	all := l.All()
	want := []kafkasync.Finding{
		{ID: "A1", Severity: kafkasync.SeverityError, What: "no route", Fix: "run kafkasync check again"},
		{ID: "A2", Severity: kafkasync.SeverityError, What: "gone", Why: "1236", Fix: "recover shop"},
	}
	if len(all) != 2 || all[0] != want[0] || all[1] != want[1] {
		t.Errorf("got %+v, want %+v", all, want)
	}
}

func TestALongListIsCut(t *testing.T) {
	long := strings.Split(strings.Repeat("t,", 52)+"t", ",")
	if got := findings.Names(long); !strings.HasSuffix(got, "t, t and 3 more") {
		t.Errorf("got %q, want 3 more", got)
	}
	if got := findings.Names(long[:2]) + " " + findings.Counted(1, "table") + " " + findings.Counted(2, "table"); got != "t, t 1 table 2 tables" {
		t.Errorf("got %q", got)
	}
}
