package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/config"
)

// What a newcomer copies must work.
func TestTheFileOfTheReadmeIsLegalAndShort(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(readme), "```yaml\n")
	file, _, ended := strings.Cut(after, "```")
	if !ok || !ended {
		t.Fatal("README.md has no file in YAML")
	}
	if lines := strings.Count(file, "\n"); lines > 10 {
		t.Errorf("got %d lines, want at most 10", lines)
	}
	cfg, err := config.Parse("README.md", []byte(file), func(name string) (string, bool) { return "secret", name == "PGPASSWORD" })
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Pipelines) != 1 || cfg.Pipelines[0].Name != "shop" || len(cfg.Pipelines[0].Rules) != 1 {
		t.Errorf("got %+v, want the pipeline shop with one rule", cfg.Pipelines)
	}
}
