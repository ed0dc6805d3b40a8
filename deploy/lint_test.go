package deploy_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// linter is what knows one kind of file.
type linter struct {
	file string // below the root
	line []string
	env  []string
	// silent: whatever it says is wrong. It exits with 0 also after a key that nobody knows.
	silent bool
}

// object returns what the linter has against a file with this text, "" if nothing.
func (l linter) object(t *testing.T, text string) string {
	t.Helper()
	// The linters of Go look at it from another folder.
	path, err := filepath.Abs(filepath.Join(t.TempDir(), filepath.Base(l.file)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), l.line[0], append(l.line[1:len(l.line):len(l.line)], path)...)
	cmd.Env = append(os.Environ(), l.env...)
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) || err == nil && l.silent && len(said) > 0:
		return string(said) + " "
	case err != nil:
		t.Fatal(err)
	}
	return ""
}

// linters returns all of them, by name.
func linters(t *testing.T) map[string]linter {
	t.Helper()
	if testing.Short() {
		t.Skip("installs linters, and -short installs nothing")
	}
	if err := devstack.Install(t.Context(), t.Output(), devstack.ComponentLinters, devstack.ComponentSystemd); err != nil {
		t.Fatal(err)
	}
	const (
		manifests = "deploy/kubernetes/kafkasync.yaml"
		unit      = "deploy/systemd/kafkasync.service"
	)
	tools := []string{"go", "-C", filepath.Join(root, "deploy", "lint")}
	return map[string]linter{
		"hadolint": {file: "Dockerfile", line: []string{program(t, "hadolint"), "--failure-threshold", "style"}},
		"compose": {
			file: "compose.yaml", line: append(tools[:3:3], "run", "."),
			env: []string{"POSTGRES_PASSWORD=x", "CDC_PASSWORD=y", "KAFKASYNC_TOKEN=z"},
		},
		"kubernetes-validate": {file: manifests, line: []string{program(t, "kubernetes-validate"), "--strict", "--quiet"}},
		// A tag stands for one image, so nothing is pulled again; logs are no reason to end a node.
		"kube-score": {file: manifests, line: append(tools[:3:3], "tool", "kube-score", "score", "--kubernetes-version", "v1.37",
			"--ignore-container-cpu-limit", "--ignore-test", "container-image-pull-policy",
			"--ignore-test", "container-ephemeral-storage-request-and-limit")},
		"systemd-analyze verify":   {file: unit, line: []string{"systemd-analyze", "verify", "--man=no"}, silent: true},
		"systemd-analyze security": {file: unit, line: []string{"systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20"}},
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := devstack.Linter(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// installed is a unit whose program is on this machine, which systemd insists on.
func installed(t *testing.T, unit string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return swap(t, unit, "ExecStart=/usr/local/bin/kafkasync ", "ExecStart="+self+" ")
}

func (l linter) text(t *testing.T) string {
	t.Helper()
	text := read(t, l.file)
	if strings.HasSuffix(l.file, ".service") {
		return installed(t, text)
	}
	return text
}

func TestTheLintersHaveNoObjection(t *testing.T) {
	for name, l := range linters(t) {
		t.Run(name, func(t *testing.T) {
			if said := l.object(t, l.text(t)); said != "" {
				t.Errorf("%s: got %s", l.file, said)
			}
		})
	}
}

// Each linter is asked about copies with a mistake, so that none of them passes whatever it gets.
func TestTheLintersSeeMistakes(t *testing.T) {
	all := linters(t)
	tests := []struct{ linter, old, with, want string }{
		{"hadolint", "debian:bookworm-slim", "debian:latest", "DL3007"},
		{"hadolint", "WORKDIR /src", "WORKDIR src", "DL3000"},
		{"hadolint", "ENTRYPOINT [\"kafkasync\"]", "ENTRYPOINT kafkasync", "DL3025"},
		{"hadolint", "EXPOSE 7400", "EXPOS 7400", "unexpected"},
		{"compose", "stop_grace_period:", "stop_grace:", "stop_grace"},
		{"compose", "postgres: {condition", "postgresql: {condition", "undefined service"},
		{"compose", "- kafkasync-c:/var", "- kafkasync-d:/var", "undefined volume"},
		{"compose", "start_period: 60s", "start_period: a minute", "duration"},
		{"compose", "${CDC_PASSWORD:?", "${NO_PASSWORD:?", "NO_PASSWORD"},
		{"kubernetes-validate", "podManagementPolicy:", "podManagement:", "podManagement"},
		{"kubernetes-validate", "serviceName: kafkasync\n", "serviceName: [kafkasync]\n", "serviceName"},
		{"kubernetes-validate", "  selector:\n    matchLabels: {app.kubernetes.io/name: kafkasync}\n  template:", "  template:", "selector"},
		{"kube-score", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "ReadOnlyRootFilesystem"},
		{"kube-score", "readinessProbe:", "startupProbe:", "readinessProbe"},
		{"kube-score", "serviceName: kafkasync\n", "serviceName: other\n", "ServiceName"},
		{"kube-score", "limits: {memory: 512Mi}", "limits: {}", "Memory limit"},
		{"kube-score", "maxUnavailable: 1\n  selector:\n    matchLabels: {app.kubernetes.io/name: ", "maxUnavailable: 1\n  selector:\n    matchLabels: {app: ", "PodDisruptionBudget"},
		{"systemd-analyze verify", "ProtectHome=yes", "ProtectHomes=yes", "ProtectHomes"},
		{"systemd-analyze verify", "TimeoutStopSec=60", "TimeoutStopSec=a minute", "TimeoutStopSec"},
		{"systemd-analyze verify", "~@privileged", "~@privilege", "@privilege"},
		{"systemd-analyze security", "CapabilityBoundingSet=\n", "", "Overall exposure level"},
		{"systemd-analyze security", "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", "", "Overall exposure level"},
	}
	asked := map[string]bool{}
	for _, tt := range tests {
		asked[tt.linter] = true
		t.Run(tt.linter+"/"+words(tt.old), func(t *testing.T) {
			l := all[tt.linter]
			if said := l.object(t, swap(t, l.text(t), tt.old, tt.with)); !strings.Contains(said, tt.want) {
				t.Errorf("got %q, want an objection with %q", said, tt.want)
			}
		})
	}
	for name := range all {
		if !asked[name] {
			t.Errorf("%s was shown no mistake", name)
		}
	}
}

// words makes a name for a test of what stands in a file.
func words(text string) string {
	return strings.Trim(regexp.MustCompile(`[^A-Za-z]+`).ReplaceAllString(text, "_"), "_")
}
