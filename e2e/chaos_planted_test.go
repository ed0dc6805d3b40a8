package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Nodes with a bug that somebody planted do not survive the faults that those without it do. If they did, the chaos would prove nothing.
func TestThePlantedBugsAreFoundByTheChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers, and -short starts none")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bugs := []string{"planted_skip_barrier", "planted_deposed_commits", "planted_ignore_epoch"}
	if os.Getenv(chaosMinutes) == "" {
		bugs = bugs[:1] // make test takes that one; raftstate's own tests have all of them
	}
	for _, bug := range bugs {
		t.Run(bug, func(t *testing.T) {
			// In a process of its own, whose failure is not ours.
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChaos$", "-test.v", "-test.timeout=10m")
			cmd.Env = append(os.Environ(), plantedBug+"="+bug, chaosMinutes+"=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("got %v, want the run to fail:\n%s", err, out)
			}
			for _, sign := range []string{"LOST", "(ledger row: false", "EARLY", "and went back to", "beyond the checkpoint", ": seq "} {
				if strings.Contains(string(out), sign) {
					t.Logf("found by %q", sign)
					return
				}
			}
			t.Errorf("the run failed for another reason:\n%s", out)
		})
	}
}
