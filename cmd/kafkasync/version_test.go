package main_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

func TestVersionSaysWhatTheProgramIsMadeOf(t *testing.T) {
	text := command(t.Context(), "version")
	asJSON := command(t.Context(), "version", "--json")
	if text.exit != 0 || asJSON.exit != 0 || text.stderr+asJSON.stderr != "" {
		t.Errorf("got %+v and %+v, want success", text, asJSON)
	}
	var v struct{ Version, Go, Platform, Librdkafka string }
	if err := json.Unmarshal([]byte(asJSON.stdout), &v); err != nil {
		t.Fatalf("reading %q: %v", asJSON.stdout, err)
	}
	if v.Go != runtime.Version() || v.Version == "" || !strings.Contains(v.Librdkafka, ".") {
		t.Errorf("got %+v, want all versions", v)
	}
	for _, want := range []string{v.Version, v.Go + " " + v.Platform, v.Librdkafka} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("got %q, want %q in it", text.stdout, want)
		}
	}
}
