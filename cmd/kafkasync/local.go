package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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

// checkHTTP looks whether a node could listen where the file says, or already does.
func checkHTTP(ctx context.Context, cfg config.HTTP) kafkasync.Finding {
	server, err := web.New(web.Config{Listen: cfg.Listen, CertFile: cfg.TLS.Cert, KeyFile: cfg.TLS.Key},
		nil, nil, slog.New(slog.DiscardHandler)) // it answers nobody
	if err != nil {
		return badHTTP(err)
	}
	listener, err := server.Listen(ctx)
	if err == nil {
		err = listener.Close()
	}
	switch {
	case err == nil:
		return kafkasync.Finding{ID: "C05", Severity: kafkasync.SeverityOK, What: fmt.Sprintf("the HTTP address %s is free", cfg.Listen)}
	case errors.Is(err, syscall.EADDRINUSE) && lives(ctx, cfg):
		return kafkasync.Finding{ID: "C05", Severity: kafkasync.SeverityOK, What: fmt.Sprintf("a node is running at %s", cfg.Listen)}
	default:
		return badHTTP(err)
	}
}

func lives(ctx context.Context, cfg config.HTTP) bool {
	c, err := newClient(cfg, "")
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
