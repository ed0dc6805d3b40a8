package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
	"github.com/kafkasync/kafkasync/config"
)

func TestABadFileIsRefusedWithAllItsProblems(t *testing.T) {
	bad := file(t, "bad.yaml", "kafak: 1\npipelines: 3\n")
	_, err := config.Load(bad)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) < 2 {
		t.Fatalf("loading the file: got %v, want several problems", err)
	}
	for _, args := range [][]string{{"run"}, {"check"}, {"status"}, {"consume", "products"}} {
		got := command(t.Context(), append(args, "-c", bad)...)
		if got.exit != 1 || got.stdout != "" {
			t.Errorf("%s: got exit %d and stdout %q, want 1 and nothing", args, got.exit, got.stdout)
		}
		if want := problems.Error() + "\n"; got.stderr != want {
			t.Errorf("%s: got %q, want the problems as they are: %q", args, got.stderr, want)
		}
	}
}

func TestAMissingFileIsAFailure(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"run"}, {"check"}, {"status"}, {"consume", "products"}} {
		got := command(t.Context(), args...)
		if got.exit != 1 || strings.Count(got.stderr, "there is no file kafkasync.yaml") != 1 {
			t.Errorf("%s: got exit %d and %q, want 1 and the file's name once", args, got.exit, got.stderr)
		}
	}
}

// A node runs, shows itself and ends in order although neither of its servers answers.
func TestANodeRunsUntilItIsInterrupted(t *testing.T) {
	address := closedPort(t)
	folder := "data_dir: '" + t.TempDir() + "'"
	path := settings(t, "http: {listen: '"+address+"', read_token: secret}", folder)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout, stderr bytes.Buffer
	exit := make(chan int, 1)
	var running sync.WaitGroup
	running.Go(func() {
		exit <- main.Run(ctx, []string{"run", "-c", path, "--node", "n1", "--log-format", "json"}, &stdout, &stderr)
	})

	status := until(t, exit, func() (result, bool) {
		got := command(t.Context(), "status", "-c", path)
		return got, got.exit == 0 && strings.Contains(got.stdout, "leader n1") && strings.Contains(got.stdout, "waiting")
	})
	for _, want := range []string{"shop", "to fix: "} {
		if !strings.Contains(status.stdout, want) {
			t.Errorf("status: got %q, want %q in it", status.stdout, want)
		}
	}
	// What a check says of this machine follows from whose folder it is.
	broker := embedded(t)
	for name, tt := range map[string]struct{ http, dataDir, folder, address string }{
		"the same file":    {address, folder, "ok ", "ok "},
		"another address":  {closedPort(t), folder, "error ", "ok "},
		"another data_dir": {address, "data_dir: '" + t.TempDir() + "'", "ok ", "error "},
	} {
		got := checked(t, settingsOf(t, broker, "http: {listen: '"+tt.http+"'}", tt.dataDir, "cluster: {nodes: [{id: n1}]}"))
		if got["C02"] != tt.folder || got["C05"] != tt.address {
			t.Errorf("check with %s: got %v, want C02 %q and C05 %q", name, got, tt.folder, tt.address)
		}
	}
	interrupt()
	running.Wait()
	if got := <-exit; got != 0 {
		t.Errorf("exit: got %d, want 0 after an interruption; stderr: %s", got, stderr.String())
	}
	if stdout.Len() != 0 {
		t.Errorf("stdout: got %q, want nothing", stdout.String())
	}
	first, _, _ := strings.Cut(stderr.String(), "\n")
	var line struct{ Msg, Version, Node string }
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatalf("reading the first line of the log %q: %v", first, err)
	}
	if line.Msg != "starting" || line.Version != main.ReadBuild().Version || line.Node != "n1" {
		t.Errorf("the first line of the log: got %q, want version and node", first)
	}
}

// until asks again and again; it fails when the node has ended or a minute has passed.
func until(t *testing.T, exit chan int, ask func() (result, bool)) result {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for {
		got, ok := ask()
		if ok {
			return got
		}
		select {
		case code := <-exit:
			t.Fatalf("the node ended with %d; the last answer was %+v", code, got)
		case <-timeout:
			t.Fatalf("a minute has passed; the last answer was %+v", got)
		case <-tick.C:
		}
	}
}
