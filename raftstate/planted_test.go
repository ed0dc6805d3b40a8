package raftstate_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestPlantedBugIsCaught builds the state machine so that it accepts what comes
// under a lease that has ended, and wants its tests to fail: tests that cannot fail show nothing.
func TestPlantedBugIsCaught(t *testing.T) {
	finders := []string{"TestWhatIsRefusedChangesNothing", "TestTheMachineDoesWhatTheModelDoes", "TestALeaseIsFencedOnceAnotherIsGranted"}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", "planted_ignore_epoch",
		"-run", "^("+strings.Join(finders, "|")+")$", "-count", "1", ".").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("go test with the planted bug: got the error %v, want failing tests\n%s", err, out)
	}
	for _, finder := range finders {
		if !strings.Contains(string(out), "--- FAIL: "+finder) {
			t.Errorf("got\n%s\nwant %s to fail", out, finder)
		}
	}
}
