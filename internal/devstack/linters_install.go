package devstack

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

//go:embed linters.txt
var linters []byte

// lintersDir is the folder of the linters. Other versions have another one.
func lintersDir() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, fmt.Sprintf("linters-%x", sha256.Sum256(linters))[:len("linters-")+8]), nil
}

// Linter returns the path of a program of ComponentLinters.
func Linter(name string) (string, error) {
	dir, err := lintersDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding the linter %s: %w", name, err)
	}
	return path, nil
}

func lintersInstalled() bool {
	dir, err := lintersDir()
	if err != nil {
		return false
	}
	// The list comes last, and the machine's Python may be another one by now.
	_, complete := os.Stat(filepath.Join(dir, "linters.txt"))
	_, python := os.Stat(filepath.Join(dir, "bin", "python"))
	return errors.Join(complete, python) == nil
}

// installLinters fetches the linters with pip. They know the folder they are in, so it cannot be moved into place.
func installLinters(ctx context.Context, log io.Writer) error {
	dir, err := lintersDir()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(log, "installing the linters of deploy/ (pip, 13 MB) into %s\n", dir); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	if err := pythonIn(ctx, dir); err != nil {
		// Debian has Python's pip in a package of its own.
		if err := aptInstall(ctx, log, "python3-venv"); err != nil {
			return err
		}
		if err := pythonIn(ctx, dir); err != nil {
			return err
		}
	}
	list, python := filepath.Join(dir, "linters.txt"), filepath.Join(dir, "bin", "python")
	wanted := filepath.Join(dir, "wanted.txt")
	if err := os.WriteFile(wanted, linters, 0o644); err != nil {
		return fmt.Errorf("writing the list of linters: %w", err)
	}
	if err := run(ctx, "", python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r", wanted); err != nil {
		return err
	}
	if err := os.Rename(wanted, list); err != nil {
		return fmt.Errorf("marking the linters as complete: %w", err)
	}
	return nil
}

// pythonIn makes a Python of its own in dir, which nobody else's packages are in.
func pythonIn(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing what was left of another attempt: %w", err)
	}
	return run(ctx, "", "python3", "-m", "venv", dir)
}
