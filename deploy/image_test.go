package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// one returns what stands in the only place of a text that the pattern fits.
func one(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("got %d places of %s, want one", len(found), pattern)
	}
	return found[0][1]
}

// line reads a command line that is written as JSON.
func line(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return words
}

// built is the program, by the command of the Dockerfile; but -trimpath would compile all that it is made of once more.
func built(t *testing.T, dockerfile string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kafkasync")
	command := swap(t, one(t, `^ +(CGO_ENABLED=1 go build .*)$`, dockerfile), "/out/kafkasync", program)
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", swap(t, command, " -trimpath ", " "))
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, said)
	}
	return program
}

// A flag that is gone would be noticed only where the image runs.
func TestTheCommandLinesAreUnderstood(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	program := built(t, dockerfile)
	entry := line(t, one(t, `^ENTRYPOINT (.*)$`, dockerfile))
	pod := manifests(t, read(t, "deploy/kubernetes/kafkasync.yaml"))["StatefulSet"].Spec.Template.Spec.Containers[0]
	tests := map[string][]string{
		"image":        append(entry[:1:1], line(t, one(t, `^CMD (.*)$`, dockerfile))...),
		"health check": line(t, one(t, `^HEALTHCHECK .*CMD (.*)$`, dockerfile)),
		"pod":          append(entry[:1:1], pod.Args...),
		"unit":         strings.Fields(one(t, `^ExecStart=(.*)$`, read(t, "deploy/systemd/kafkasync.service"))),
	}
	for name, words := range tests {
		if path.Base(words[0]) != "kafkasync" || len(words) < 2 {
			t.Errorf("%s: got %q, want a command of kafkasync", name, words)
			continue
		}
		// The flags before --help are read all the same, and nothing is started.
		if said, err := exec.CommandContext(t.Context(), program, append(words[1:], "--help")...).CombinedOutput(); err != nil {
			t.Errorf("%s: %q: %v\n%s", name, words, err, said)
		}
		if said, err := exec.CommandContext(t.Context(), program, append(words[1:], "--no-such-flag", "--help")...).CombinedOutput(); err == nil {
			t.Errorf("%s: %q: a flag that does not exist is understood:\n%s", name, words, said)
		}
	}
}

// ignored reports whether the image is built without a file, by the kinds of patterns that .dockerignore has.
func ignored(patterns []string, file string) bool {
	for _, p := range patterns {
		anywhere, deep := strings.CutPrefix(p, "**/")
		for at := file; at != "."; at = path.Dir(at) {
			if fits, err := path.Match(anywhere, path.Base(at)); deep && (fits || err != nil) || at == p {
				return true
			}
		}
	}
	return false
}

func TestTheImageIsBuiltOfAllThatItNeeds(t *testing.T) {
	var patterns []string
	for p := range strings.Lines(read(t, ".dockerignore")) {
		if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, "#") {
			patterns = append(patterns, p)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		`{{if .Module}}{{if .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}
{{end}}{{range .CgoFiles}}{{$dir}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}
{{end}}{{end}}{{end}}`, "./cmd/kafkasync")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	listed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	needed := append(strings.Fields(string(listed)), filepath.Join(here, "go.mod"), filepath.Join(here, "go.sum"))
	if len(needed) < 100 {
		t.Fatalf("got %d files, want the whole program: %q", len(needed), needed)
	}
	for _, file := range needed {
		if rel, err := filepath.Rel(here, file); err != nil || ignored(patterns, rel) {
			t.Errorf("the image is built without %s (%v)", rel, err)
		}
	}
	for _, file := range []string{".git/config", ".env", "kafkasync.yaml", "bin/kafkasync", ".cache/x", "bench/out/x", "config/load_test.go", "cmd/kafkasync/testdata/x"} {
		if !ignored(patterns, file) {
			t.Errorf("%s gets into the build", file)
		}
	}
}

// A program that was linked with a newer glibc does not start.
func TestTheImageRunsOnTheDebianThatItIsBuiltOn(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	made, runs := one(t, `^FROM golang:[0-9.]+-([a-z]+) AS build$`, dockerfile), one(t, `^FROM debian:([a-z]+)-slim$`, dockerfile)
	if made != runs {
		t.Errorf("built on %s, runs on %s", made, runs)
	}
	if image, module := one(t, `^FROM golang:([0-9]+\.[0-9]+)-`, dockerfile), one(t, `^go ([0-9]+\.[0-9]+)`, read(t, "go.mod")); image != module {
		t.Errorf("the image is built with Go %s, go.mod says %s", image, module)
	}
}

func TestComposeRunsTheKafkaOfTheTests(t *testing.T) {
	image := composed(t, read(t, "compose.yaml"))["kafka"].Image
	_, version, _ := strings.Cut(image, ":")
	if !strings.Contains(read(t, "internal/devstack/kafka.pom.xml"), "<version>"+version+"</version>") {
		t.Errorf("got %s, want the version in kafka.pom.xml", image)
	}
}
