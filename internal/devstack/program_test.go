package devstack_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// script is a program that stays until it is ended.
func script(t *testing.T) *devstack.Program {
	t.Helper()
	p, err := devstack.StartProgram(t.Context(), devstack.ProgramConfig{
		Name: "Script",
		Line: func(dir string, port int) ([]string, error) {
			if port == 0 {
				return nil, errors.New("got no port")
			}
			return []string{"/bin/sh", "-c", "exec sleep 600"}, nil
		},
		Ready: func(context.Context, int) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestAProgramIsKilledStartedAgainAndGoneWithItsFolder(t *testing.T) {
	p := script(t)
	first, ended := p.PID(), p.Ended()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if p.PID() != 0 {
		t.Errorf("got process %d after Kill, want none", p.PID())
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := p.PID(); second == 0 || second == first {
		t.Errorf("got process %d after %d, want another one", second, first)
	}
	ended = p.Ended()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("got a program that outlives Close")
	}
	if _, err := os.Stat(p.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for the folder after Close, want it gone", err)
	}
}

func TestAProgramThatEndsAtOnceShowsWhatItPrinted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	_, err := devstack.StartProgram(t.Context(), devstack.ProgramConfig{
		Name: "Script",
		Line: func(string, int) ([]string, error) {
			return []string{"/bin/sh", "-c", "echo no such thing >&2; exit 1"}, nil
		},
		Ready: func(context.Context, int) bool { return false },
	})
	if err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v, want the end of what it printed", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("got the folders %v and %v, want none", left, err)
	}
}
