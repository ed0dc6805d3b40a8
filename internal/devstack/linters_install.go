package devstack

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

//go:embed linters.txt
var linters []byte

func lintersDir() (string, error) { return packagesDir("linters", linters) }

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
	return err == nil && pythonInstalled(dir)
}

func installLinters(ctx context.Context, log io.Writer) error {
	dir, err := lintersDir()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(log, "installing the linters of deploy/ (pip, 13 MB) into %s\n", dir); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	return installPython(ctx, log, dir, linters)
}
