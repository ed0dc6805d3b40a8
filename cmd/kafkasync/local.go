package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
)

// checkDataDir looks whether the node could keep its state in dir, and writes nothing.
func checkDataDir(dir string) kafkasync.Finding {
	bad := func(what string, err error) kafkasync.Finding {
		return kafkasync.Finding{
			ID: "C02", Severity: kafkasync.SeverityError, What: fmt.Sprintf("data_dir %s: %s: %v", dir, what, err),
			Why: "a node could not start", Fix: "set data_dir to a folder that the user who runs the node may write to",
		}
	}
	const readWriteEnter = 4 | 2 | 1
	at := filepath.Clean(dir)
	for {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir():
			return bad(at, syscall.ENOTDIR)
		case err == nil:
			if err := syscall.Access(at, readWriteEnter); err != nil {
				return bad("this user may not write to "+at, err)
			}
			what := "data_dir " + dir + " can be written to"
			if at != filepath.Clean(dir) {
				what = "data_dir " + dir + " does not exist yet and can be created"
			}
			return kafkasync.Finding{ID: "C02", Severity: kafkasync.SeverityOK, What: what}
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return bad("it cannot be looked at", err)
		}
		at = filepath.Dir(at) // ends at the working directory or the root
	}
}

// stateFile is what a node locks in its folder, and is there from its first start on.
const stateFile = "raft.db"

// checkMachine looks whether a node could keep its state and listen where the
// file says, or already does, and reports whether our node answers there. Only a
// lock below data_dir tells it from another one at the same address.
func checkMachine(ctx context.Context, cfg *config.Config) (_ []kafkasync.Finding, answers bool) {
	dir := filepath.Join(cfg.DataDir, cfg.NodeID)
	address, answers := checkHTTP(ctx, cfg.HTTP, slices.ContainsFunc(folders(cfg.DataDir), locked))
	folder := checkDataDir(dir)
	if locked(dir) && !answers {
		folder = kafkasync.Finding{
			ID: "C02", Severity: kafkasync.SeverityError, What: fmt.Sprintf("data_dir %s: another process is using it", dir),
			Why: "a node could not start", Fix: "stop that process, or set data_dir to a folder that nobody uses",
		}
	}
	return append([]kafkasync.Finding{folder, address}, checkCluster(ctx, cfg, answers)...), answers
}

// folders returns those of the nodes that have run with this data_dir, under
// whatever name: check is not told which one is meant.
func folders(dataDir string) []string {
	entries, err := os.ReadDir(dataDir)
	if err != nil {
		return nil // not there yet; what else is wrong is said of the folder
	}
	var found []string
	for _, e := range entries {
		dir := filepath.Join(dataDir, e.Name())
		if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// locked reports whether a running node holds the folder.
func locked(dir string) bool {
	f, err := os.Open(filepath.Join(dir, stateFile))
	if err != nil {
		return false // nobody has been here; what else is wrong is said of the folder
	}
	taken := errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	_ = f.Close() // lets go of our lock; nothing was written
	return taken
}

// checkHTTP looks whether a node could listen where the file says, or already
// does: held says that a node runs on our data_dir. It also reports whether that one answers.
func checkHTTP(ctx context.Context, cfg config.HTTP, held bool) (_ kafkasync.Finding, answers bool) {
	server, err := web.New(web.Config{Listen: cfg.Listen, CertFile: cfg.TLS.Cert, KeyFile: cfg.TLS.Key},
		nil, nil, nil, slog.New(slog.DiscardHandler)) // it answers nobody
	if err != nil {
		return badHTTP(err), false
	}
	listener, err := server.Listen(ctx)
	if err == nil {
		err = listener.Close()
	}
	switch {
	case err == nil:
		return kafkasync.Finding{ID: "C05", Severity: kafkasync.SeverityOK, What: fmt.Sprintf("the HTTP address %s is free", cfg.Listen)}, false
	case errors.Is(err, syscall.EADDRINUSE) && held && lives(ctx, cfg):
		return kafkasync.Finding{ID: "C05", Severity: kafkasync.SeverityOK, What: fmt.Sprintf("the node is running at %s", cfg.Listen)}, true
	default:
		return badHTTP(err), false
	}
}

func lives(ctx context.Context, cfg config.HTTP) bool {
	c, err := newClient(cfg)
	if err != nil {
		return false
	}
	_, err = c.get(ctx, "/healthz")
	return err == nil
}

func badHTTP(err error) kafkasync.Finding {
	f := kafkasync.Finding{ID: "C05", Severity: kafkasync.SeverityError, What: err.Error(), Why: "a node could not start"}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		f.What, f.Fix = fault.What, fault.Fix
		if fault.Err != nil {
			f.What += ": " + fault.Err.Error()
		}
	}
	return f
}
