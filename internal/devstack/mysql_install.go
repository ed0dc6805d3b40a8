package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// What an installation of MySQL or MariaDB consists of, in a folder of the cache:
// the unpacked packages, and a data folder to begin with. Making that takes
// seconds, copying it a few hundredths of one.
const (
	mysqlTree = "root"
	mysqlData = "data"
)

// dir is the folder of an installation.
func (f mysqlFlavour) dir() (string, error) {
	cache, err := cacheDir()
	return filepath.Join(cache, f.folder), err
}

func (f mysqlFlavour) installed() bool {
	dir, err := f.dir()
	return err == nil && exists(dir)
}

// install fetches the server. The folder appears whole or not at all.
func (f mysqlFlavour) install(ctx context.Context, log io.Writer) (err error) {
	dir, err := f.dir()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(log, "installing %s into %s\n", f.says, dir); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), f.folder+"-")
	if err != nil {
		return fmt.Errorf("creating a folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	whole := filepath.Join(work, "whole")
	tree := debianTree{filepath.Join(whole, mysqlTree)}
	if err := os.MkdirAll(tree.root, 0o755); err != nil {
		return fmt.Errorf("creating a folder for the server: %w", err)
	}
	if err := f.packages.unpack(ctx, work, tree.root); err != nil {
		return err
	}
	if err := f.create(ctx, tree, filepath.Join(whole, mysqlData), nil); err != nil {
		return fmt.Errorf("creating a data folder: %w", err)
	}
	if err := os.Rename(whole, dir); err != nil {
		return fmt.Errorf("moving %s into place: %w", f.name, err)
	}
	return nil
}
