package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

// obeying is a node that answers every order with a result, and remembers what it was sent.
func obeying(t *testing.T, result web.Result, path, body *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the order: %v", err)
		}
		*path, *body = r.Method+" "+r.URL.EscapedPath(), string(sent)
		if got := r.Header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("Authorization: got %q, want http.token", got)
		}
		if err := json.NewEncoder(w).Encode(result); err != nil {
			t.Errorf("answering: %v", err)
		}
	}
}

func recovered() web.Result {
	return web.Result{
		Done: true, Text: "Pipeline shop begins anew with a slot of its own. What was written after 7301:1:0/16B3748 and before that slot's beginning is not published.",
		Gaps: []web.Gap{
			{Pipeline: "shop", Table: "public.products", From: "7301:1:0/16B3748", Cause: "the slot was lost", Fix: "refresh what your consumers store of public.products once"},
			{Pipeline: "shop", Table: "public.late", To: "7301:1:0/16B3748", Cause: "covered late", Fix: "refresh it"},
		},
	}
}

// sent is a command line and the order that it leads to.
type sent struct {
	args       []string
	path, body string
}

func TestOrdersAreSentToTheNode(t *testing.T) {
	done := web.Result{Done: true, Text: "Done."}
	tests := []sent{
		{[]string{"recover", "shop", "--new-slot"}, "POST /api/pipelines/shop/recover", `{"new_slot":true,"adopt_slot":false,"skip_to":"","accept_gap":false}`},
		{
			[]string{"recover", "shop", "--adopt-slot", "--accept-gap"},
			"POST /api/pipelines/shop/recover", `{"new_slot":false,"adopt_slot":true,"skip_to":"","accept_gap":true}`,
		},
		{
			[]string{"recover", "a/b", "--skip-to", "7:1:0/1", "--accept-gap"},
			"POST /api/pipelines/a%2Fb/recover", `{"new_slot":false,"adopt_slot":false,"skip_to":"7:1:0/1","accept_gap":true}`,
		},
		{[]string{"position", "set", "shop", "7:1:0/1"}, "POST /api/pipelines/shop/position", `{"position":"7:1:0/1","dry_run":true}`},
		{[]string{"position", "set", "shop", "7:1:0/1", "--yes"}, "POST /api/pipelines/shop/position", `{"position":"7:1:0/1","dry_run":false}`},
		{[]string{"table", "forget", "shop", "public.t"}, "POST /api/tables/forget", `{"pipeline":"shop","table":"public.t","dry_run":true}`},
		{[]string{"table", "forget", "shop", "public.t", "--yes"}, "POST /api/tables/forget", `{"pipeline":"shop","table":"public.t","dry_run":false}`},
		{[]string{"pipeline", "drop", "shop"}, "POST /api/pipelines/shop/drop", `{"dry_run":true}`},
		{[]string{"pipeline", "drop", "shop", "--yes"}, "POST /api/pipelines/shop/drop", `{"dry_run":false}`},
	}
	for _, tt := range append(tests, memberOrders()...) {
		var path, body string
		address := node(t, obeying(t, done, &path, &body))
		file := settings(t, "http: {listen: '"+address+"', token: s3cret, read_token: other}")
		got := command(t.Context(), append(tt.args, "-c", file)...)
		if got.exit != 0 || got.stdout != "Done.\n" || got.stderr != "" {
			t.Errorf("%s: got %+v, want success", tt.args, got)
		}
		if path != tt.path || body != tt.body {
			t.Errorf("%s: sent %s %s, want %s %s", tt.args, path, body, tt.path, tt.body)
		}
	}
}

func TestAnOrderThatOnlySaysWhatItWouldDoFails(t *testing.T) {
	var path, body string
	address := node(t, obeying(t, web.Result{Text: "Will do it.", Left: []string{"DROP;"}}, &path, &body))
	file := settings(t, "http: {listen: '"+address+"', token: s3cret}")
	got := command(t.Context(), "pipeline", "drop", "shop", "-c", file)
	if got.exit != 1 || got.stderr != "" || !strings.HasSuffix(got.stdout, "\nNothing has been done. Repeat the command with --yes to do it.\n") {
		t.Errorf("got %+v, want exit 1, and that nothing has been done", got)
	}
	got = command(t.Context(), "pipeline", "drop", "shop", "-c", file, "--json")
	var result web.Result
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.exit != 1 || result.Done || result.Text != "Will do it." {
		t.Errorf("got %+v, %v, want exit 1 and the node's answer", got, err)
	}
}

func TestResultsForAPerson(t *testing.T) {
	for name, result := range map[string]web.Result{
		"result_recovered.txt": recovered(),
		"result_forget.txt": {
			Text: "Pipeline shop will not remember any more that it covers public.t, nor the gaps of it.",
			Left: []string{`ALTER PUBLICATION "kafkasync_shop" DROP TABLE "public"."t";`},
		},
	} {
		var out bytes.Buffer
		if err := main.WriteResult(&out, result); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name, out.String())
	}
}

func TestPositionIsShown(t *testing.T) {
	address := node(t, answering(t, troubled()))
	shown := command(t.Context(), "position", "show", "shop", "--address", address)
	if shown.exit != 0 {
		t.Errorf("got %+v, want success", shown)
	}
	golden(t, "position.txt", shown.stdout)
	none := command(t.Context(), "position", "show", "audit", "--address", address)
	if none.exit != 0 || !strings.Contains(none.stdout, "position  none yet\n") || !strings.Contains(none.stdout, "has not begun") {
		t.Errorf("got %+v, want a pipeline that has not begun", none)
	}
	asJSON := command(t.Context(), "position", "show", "shop", "--address", address, "--json")
	golden(t, "position.json", asJSON.stdout)
	for name, want := range map[string]string{"shpo": "to fix: did you mean shop?", "other": "the node's pipelines are: shop, billing, audit"} {
		got := command(t.Context(), "position", "show", name, "--address", address)
		if got.exit != 1 || !strings.Contains(got.stderr, "there is no pipeline "+name) || !strings.Contains(got.stderr, want) {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}

func TestAnOrderThatIsNotCarriedOutSaysWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	failure := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, code) }
	}
	tests := []struct {
		name, token string
		answer      http.HandlerFunc
		want        string
	}{
		{"refused", "s3cret", failure(409, `{"error": "pipeline shop is streaming", "risk": "all", "fix": "leave it"}`), "kafkasync: pipeline shop is streaming\n  at risk: all\n  to fix: leave it\n"},
		{"no token in the file", "", failure(200, "{}"), "needs http.token, which the file does not set\n  to fix: set http.token in the node's file"},
		{"no token in the node", "s3cret", failure(403, "nothing can be changed"), "was started without http.token, so nothing can be changed\n  to fix: set http.token in its file and start it again"},
		{"another token", "s3cret", failure(401, "no"), "does not accept the token\n  to fix: set http.token in the file to that of the node"},
		{"an older node", "s3cret", failure(404, "404 page not found"), "it answered 404 Not Found to /api/pipelines/shop/recover: 404 page not found"},
		{"no node of ours", "s3cret", failure(200, "<html>"), "is not a kafkasync node"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := settings(t, "http: {listen: '"+node(t, tt.answer)+"', token: '"+tt.token+"'}")
			if tt.token == "" {
				file = settings(t, "http: {listen: '"+node(t, tt.answer)+"'}")
			}
			got := command(t.Context(), "recover", "shop", "--new-slot", "-c", file)
			if got.exit != 1 || got.stdout != "" || !strings.Contains(got.stderr, tt.want) || strings.Contains(got.stderr, "s3cret") {
				t.Errorf("got %+v, want exit 1 and %q", got, tt.want)
			}
		})
	}
	address := closedPort(t)
	got := command(t.Context(), "recover", "shop", "--new-slot", "-c", settings(t, "http: {listen: '"+address+"', token: s3cret}"))
	if got.exit != 1 || !strings.Contains(got.stderr, "no node answers at "+address) {
		t.Errorf("nobody there: got %+v", got)
	}
	got = command(t.Context(), "recover", "shop", "--new-slot", "--address", address)
	if got.exit != 1 || !strings.Contains(got.stderr, "name that file with -c FILE") {
		t.Errorf("no file: got %+v", got)
	}
}

func TestPipelinesAreCompletedFromTheFile(t *testing.T) {
	file := settings(t)
	for _, line := range [][]string{
		{"recover", "-c", file, ""},
		{"position", "show", "-c", file, ""},
		{"position", "set", "-c", file, ""},
		{"table", "forget", "-c", file, ""},
		{"pipeline", "drop", "-c", file, ""},
	} {
		got := command(t.Context(), append([]string{"__complete"}, line...)...)
		if got.exit != 0 || !strings.HasPrefix(got.stdout, "shop\n") {
			t.Errorf("%s: got %+v, want shop", line, got)
		}
	}
	got := command(t.Context(), "__complete", "position", "set", "-c", file, "shop", "")
	if strings.Contains(got.stdout, "shop") {
		t.Errorf("got %q, want no pipeline where a position is to be", got.stdout)
	}
}

func TestLongSentencesAreFolded(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"one two":                   "one two",
		"one two three":             "one two\nthree",
		"größe größe":               "größe\ngröße",
		"averylongword two averys4": "averylongword\ntwo\naverys4",
	} {
		if got := main.Fold(text, 8); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
