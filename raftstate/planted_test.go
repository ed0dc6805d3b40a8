package raftstate_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestPlantedBugsAreCaught builds the package with a bug, and wants the tests that are there to find it
// to fail: tests that cannot fail show nothing.
func TestPlantedBugsAreCaught(t *testing.T) {
	t.Parallel()
	for tag, finders := range map[string][]string{
		"planted_ignore_epoch":    {"TestWhatIsRefusedChangesNothing", "TestTheMachineDoesWhatTheModelDoes", "TestALeaseIsFencedOnceAnotherIsGranted"},
		"planted_skip_barrier":    {"TestANewLeaderBeginsAtTheLastCommit"},
		"planted_deposed_commits": {"TestADeposedHolderMovesNothing"},
	} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", tag,
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
		})
	}
}
