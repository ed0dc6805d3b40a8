package devstack_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// scripts starts two programs. script is called for each try, and returns what both do; they work in
// folders called left and right.
func scripts(ctx context.Context, ready bool, script func(dir string, ports [][]int) string) (*devstack.Programs, error) {
	return devstack.StartPrograms(ctx, devstack.ProgramsConfig{
		Name: "Scripts", Names: []string{"left", "right"}, Ports: 2,
		Lines: func(dir string, ports [][]int) ([][]string, error) {
			line := []string{"/bin/sh", "-c", script(dir, ports)}
			return [][]string{line, line}, nil
		},
		Ready: func(context.Context, []int) bool { return ready },
	})
}

// writers are programs that never stop to write into their folders.
func writers(ctx context.Context) (*devstack.Programs, error) {
	return scripts(ctx, true, func(string, [][]int) string {
		return `n=0; while :; do n=$((n + 1)); : >file$n; [ $n -lt 1000 ] || sleep 0.01; done`
	})
}

func TestAProgramIsKilledStartedAgainAndGoneWithTheFolder(t *testing.T) {
	both, err := writers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := both.Close(); err != nil {
			t.Error(err)
		}
	})
	p, other := both.All[1], both.All[0]
	if p.Name() != "right" || p.Dir() != filepath.Join(both.Dir(), "right") || p.Addr() == other.Addr() {
		t.Errorf("got %s at %s in %s, want right with an address and a folder of its own", p.Name(), p.Addr(), p.Dir())
	}
	first, ended, untouched := p.PID(), p.Ended(), other.PID()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if p.PID() != 0 || other.PID() != untouched {
		t.Errorf("got processes %d and %d after Kill, want none and %d", p.PID(), other.PID(), untouched)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := p.PID(); second == 0 || second == first {
		t.Errorf("got process %d after %d, want another one", second, first)
	}
	all := []<-chan struct{}{p.Ended(), other.Ended()}
	if err := both.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ended := range all {
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatal("got a program that outlives Close")
		}
	}
	if _, err := os.Stat(both.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for the folder after Close, want it gone", err)
	}
}

func TestAProgramThatEndsAtOnceEndsTheStartOfAll(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, err := scripts(t.Context(), false, func(string, [][]int) string {
		return `case $PWD in *right) echo no such thing >&2; exit 1;; esac; exec sleep 600`
	})
	if err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "right") {
		t.Errorf("got %v, want the end of what the program right printed", err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("got the folders %v and %v, want none", left, err)
	}
}

func TestProgramsGetOtherPortsAndAnEmptyFolderIfAStrangerWasFaster(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var tries [][]int
	_, err := scripts(t.Context(), false, func(dir string, ports [][]int) string {
		tries = append(tries, slices.Concat(ports...))
		if _, err := os.Stat(filepath.Join(dir, "right", "state")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("try %d: got %v for what the one before wrote, want it gone", len(tries), err)
		}
		if len(tries) == 1 {
			return `case $PWD in *right) : >state; echo "listen tcp 127.0.0.1:7: bind: address already in use"; exit 1;; esac; exec sleep 600`
		}
		return "echo another failure; exit 1"
	})
	if err == nil || !strings.Contains(err.Error(), "another failure") || len(tries) != 2 {
		t.Fatalf("got %v after %d tries, want the failure of the second one", err, len(tries))
	}
	for _, ports := range tries {
		slices.Sort(ports)
		if len(slices.Compact(slices.Clone(ports))) != 4 {
			t.Errorf("got the ports %v, want four", ports)
		}
	}
	if slices.Equal(tries[0], tries[1]) {
		t.Errorf("got the ports %v twice, want others", tries[0])
	}
}
