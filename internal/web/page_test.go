package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync/internal/web"
)

func pageOf(t *testing.T, status web.Status) answer {
	t.Helper()
	got := ask(t, http.MethodGet, start(t, web.Config{}, &reporter{status: status}, prometheus.NewRegistry())+"/", "")
	if got.code != http.StatusOK || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %s, want 200 text/html", got.code, got.header.Get("Content-Type"))
	}
	return got
}

// between returns what stands between the first start and the next end after it.
func between(t *testing.T, text, start, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, start)
	if !ok {
		t.Fatalf("%q is not in the page", start)
	}
	inner, _, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%q does not follow %q in the page", end, start)
	}
	return inner
}

func TestPageComesWithTheStatusInIt(t *testing.T) {
	body := pageOf(t, exampleStatus()).body
	for _, want := range []string{"shop", "billing", "public.products", "kafkasync recover shop --new-slot"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	var got web.Status
	if err := json.Unmarshal([]byte(between(t, body, `<script type="application/json" id="status">`, `</script>`)), &got); err != nil {
		t.Fatalf("decoding the page's status: %v", err)
	}
	want := exampleStatus()
	want.Pipelines[1].Tables, want.Pipelines[1].Uncovered = []string{}, []web.Uncovered{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	body := pageOf(t, exampleStatus()).body
	if found := regexp.MustCompile(`(?i)\w+://|src=|@import|url\(|href="//`).FindString(body); found != "" {
		t.Errorf("the page refers to something outside itself: %q", found)
	}
	if !strings.Contains(body, `fetch("/api/status"`) {
		t.Error("the page does not refresh itself from /api/status")
	}
}

func TestPagePolicyAllowsItsOwnScriptAndStyleOnly(t *testing.T) {
	got := pageOf(t, exampleStatus())
	policy := got.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("got the policy %q, want everything closed by default", policy)
	}
	// A hash of anything but the exact text would leave the browser with an empty page.
	for directive, text := range map[string]string{
		"style-src":  between(t, got.body, "<style>", "</style>"),
		"script-src": between(t, got.body, "<script>", "</script>"),
	} {
		sum := sha256.Sum256([]byte(text))
		want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if !strings.Contains(policy, want) {
			t.Errorf("got the policy %q, want it to contain %q", policy, want)
		}
	}
}

func TestPageDoesNotLetAStatusEndItsScript(t *testing.T) {
	const evil = `</script><script>alert(1)</script><!--`
	body := pageOf(t, web.Status{Pipelines: []web.Pipeline{{Name: evil, Error: evil, Tables: []string{evil}}}}).body
	if strings.Contains(body, "alert(1)</script>") || strings.Contains(body, "<!--") {
		t.Error("a name from the status became HTML")
	}
	var got web.Status
	if err := json.Unmarshal([]byte(between(t, body, `id="status">`, `</script>`)), &got); err != nil {
		t.Fatalf("decoding the page's status: %v", err)
	}
	if got.Pipelines[0].Name != evil {
		t.Errorf("got the name %q, want %q", got.Pipelines[0].Name, evil)
	}
}
