package raftstate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

func TestASnapshotReplacesTheLog(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	s, err := openStore(testConfig(dir).withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.log.FirstIndex()
	if err != nil || first < 2 {
		t.Errorf("got a log from entry %d, %v, want its beginning gone", first, err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	n, err := New(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	_, changed := n.Pairs()
	lead(t, n, func(_ context.Context, l *Lease, n *Node) error {
		if !isClosed(changed) {
			t.Error("pairs were restored and nobody was told")
		}
		if l.Position() != "p99" || l.Epoch() != 2 {
			t.Errorf("got %q, epoch %d, want p99, epoch 2", l.Position(), l.Epoch())
		}
		if pairs, _ := n.Pairs(); !reflect.DeepEqual(pairs, []kafkasync.Pair{testPair("t", time.Second)}) {
			t.Errorf("got pairs %v, want the one from before the snapshot", pairs)
		}
		if unnamed, revision := n.Unnamed(); len(unnamed) > 0 || revision != 2 {
			t.Errorf("got %v unnamed at revision %d, want none at 2", unnamed, revision)
		}
		return nil
	})
}

func TestADamagedFolderIsReported(t *testing.T) {
	log := func(dir string) string { return filepath.Join(dir, logFile) }
	tests := map[string]func(dir string) error{
		"the log is something else": func(dir string) error {
			return os.WriteFile(log(dir), []byte(strings.Repeat("not a log\n", 10_000)), 0o600)
		},
		"the log was cut short": func(dir string) error { return os.Truncate(log(dir), 2*4096) },
		"the log was emptied":   func(dir string) error { return os.Truncate(log(dir), 0) },
		"the log is gone":       func(dir string) error { return os.Remove(log(dir)) },
		"the log is overwritten": func(dir string) error {
			f, err := os.OpenFile(log(dir), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(make([]byte, 1<<20), 2*4096)
			return errors.Join(err, f.Close())
		},
		"the snapshots are gone": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "snapshots")) },
		"the snapshot is damaged": func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
			for _, f := range files {
				err = errors.Join(err, os.WriteFile(f, []byte("x"), 0o600))
			}
			return err
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir)
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			n, err := New(testConfig(dir))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err = n.Run(ctx)
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "the data folder "+dir+" is damaged") {
				t.Errorf("got %v, want a fault that names the folder", err)
			}
		})
	}
}

func TestACrashWhileTheClusterIsFormedIsHarmless(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(testConfig(dir).withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	// As far as the library gets before it writes the configuration.
	if err := errors.Join(s.log.SetUint64([]byte(keyTerm), 1), s.close()); err != nil {
		t.Fatal(err)
	}
	n, err := New(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	lead(t, n, func(ctx context.Context, l *Lease, _ *Node) error { return l.Commit(ctx, "p1") })
}

func testConfig(dir string) Config {
	return Config{ID: "a", Dir: dir, SnapshotThreshold: 10}
}

// fill leaves a folder that has seen a pair, 100 commits and a snapshot.
func fill(t *testing.T, dir string) {
	t.Helper()
	n, err := New(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	lead(t, n, func(ctx context.Context, l *Lease, n *Node) error {
		err := errors.Join(n.Name(ctx, []Naming{{Topics: "t", Delay: time.Second}}), l.Use(ctx, testPair("t", time.Second)))
		if err != nil {
			return err
		}
		for i := range 100 {
			if err := l.Commit(ctx, source.Position(fmt.Sprint("p", i))); err != nil {
				return err
			}
		}
		return n.raft.Snapshot().Error()
	})
}

// lead runs a node for as long as fn takes.
func lead(t *testing.T, n *Node, fn func(context.Context, *Lease, *Node) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	if err := n.Hold(ctx, "shop", func(ctx context.Context, l *Lease) error { return fn(ctx, l, n) }); err != nil {
		t.Errorf("holding: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatalf("running: %v", err)
	}
}
