package devstack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// packagesDir is the folder of packages of a language that a list names. Other versions have another one.
func packagesDir(name string, list []byte) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, fmt.Sprintf("%s-%x", name, sha256.Sum256(list))[:len(name)+9]), nil
}

// PythonPackages installs what a requirements.txt names, which has to name all that it needs, and returns the Python that
// has it. It is in a folder of the cache, where name is part of the folder's name.
func PythonPackages(ctx context.Context, log io.Writer, name string, requirements []byte) (python string, err error) {
	dir, err := packagesDir(name, requirements)
	if err != nil {
		return "", err
	}
	err = installOnce(ctx, log, dir, pythonInstalled, func() error { return installPython(ctx, log, dir, requirements) })
	return filepath.Join(dir, "bin", "python"), err
}

// NodePackages installs what a package-lock.json names, and returns the folder with node_modules in it.
func NodePackages(ctx context.Context, log io.Writer, name string, manifest, lock []byte) (dir string, err error) {
	if dir, err = packagesDir(name, append(manifest[:len(manifest):len(manifest)], lock...)); err != nil {
		return "", err
	}
	there := func(dir string) bool { return exists(dir) && onPath("node") }
	return dir, installOnce(ctx, log, dir, there, func() error { return installNode(ctx, log, dir, manifest, lock) })
}

// installOnce installs into dir what is not there. Processes that install at the same time wait for each other.
func installOnce(ctx context.Context, log io.Writer, dir string, installed func(dir string) bool, install func() error) error {
	if installed(dir) {
		return nil
	}
	unlock, err := lockFile(ctx, filepath.Join(filepath.Dir(dir), "install.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if installed(dir) { // by whoever held the lock before us
		return nil
	}
	if _, err := fmt.Fprintf(log, "installing packages into %s\n", dir); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	return install()
}

// pythonList is the list of the packages of a Python. It comes last.
const pythonList = "requirements.txt"

func pythonInstalled(dir string) bool {
	// The machine's Python may be another one by now.
	return exists(filepath.Join(dir, pythonList)) && exists(filepath.Join(dir, "bin", "python"))
}

// installPython fetches packages with pip. They know the folder they are in, so it cannot be moved into place.
func installPython(ctx context.Context, log io.Writer, dir string, requirements []byte) error {
	if err := pythonIn(ctx, dir); err != nil {
		// Debian has Python's pip in a package of its own.
		if err := aptInstall(ctx, log, "python3-venv"); err != nil {
			return err
		}
		if err := pythonIn(ctx, dir); err != nil {
			return err
		}
	}
	wanted := filepath.Join(dir, "wanted.txt")
	if err := os.WriteFile(wanted, requirements, 0o644); err != nil {
		return fmt.Errorf("writing the list of packages: %w", err)
	}
	if err := run(ctx, "", filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r", wanted); err != nil {
		return err
	}
	if err := os.Rename(wanted, filepath.Join(dir, pythonList)); err != nil {
		return fmt.Errorf("marking the packages as complete: %w", err)
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

// installNode fetches packages with npm. The folder appears whole or not at all.
func installNode(ctx context.Context, log io.Writer, dir string, manifest, lock []byte) (err error) {
	if !onPath("node") || !onPath("npm") {
		if err := aptInstall(ctx, log, "nodejs", "npm"); err != nil {
			return err
		}
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "node-")
	if err != nil {
		return fmt.Errorf("creating a folder for the packages: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for name, text := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return fmt.Errorf("writing the list of packages: %w", err)
		}
	}
	if err := run(ctx, work, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return err
	}
	// A folder whose packages are there may be left, if only node was missing.
	if err := errors.Join(os.RemoveAll(dir), os.Rename(work, dir)); err != nil {
		return fmt.Errorf("moving the packages into place: %w", err)
	}
	return nil
}
