package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// disk is a small one that holds the data folder of a node, and nothing else.
type disk struct{ dir string }

// unmounting unmounts a disk once its parent has closed the pipe, or has gone, however it went.
const unmounting = `read -r _; exec umount -l "$1"`

// newDisk mounts one over an empty folder, until the test ends.
func newDisk(t testing.TB, dir string) *disk {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Fatalf("mounting a tmpfs on %s: %v; each node of this test has a disk of its own, which takes root, and in a container the capability SYS_ADMIN", dir, err)
	}
	unmount := exec.Command("sh", "-c", unmounting, "unmounting", dir) //nolint:noctx // it must outlive every context
	unmount.SysProcAttr = &syscall.SysProcAttr{Setsid: true}           // Ctrl-C does not reach it
	pipe, err := unmount.StdinPipe()
	if err == nil {
		err = unmount.Start()
	}
	if err != nil {
		t.Fatal(errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH)))
	}
	t.Cleanup(func() {
		if err := errors.Join(pipe.Close(), unmount.Wait()); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return &disk{dir}
}

// ballast is what a full disk is full of.
func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill writes until there is no space left.
func (d *disk) fill() (err error) {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for some := make([]byte, os.Getpagesize()); ; {
		_, err := f.Write(some)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			return nil
		case err != nil:
			return err
		}
	}
}

// free makes space again.
func (d *disk) free() error { return os.RemoveAll(d.ballast()) }

// wipe empties the data folder of a node that does not run.
func (d *disk) wipe() error {
	entries, err := os.ReadDir(d.dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.dir, e.Name())))
	}
	return err
}

// breakLog lets every write to the Raft log fail, in a binary that looks for this file.
func (d *disk) breakLog() error {
	return errors.Join(os.MkdirAll(d.data(), 0o700), os.WriteFile(d.broken(), nil, 0o600))
}

// mendLog is for a node that is then started again.
func (d *disk) mendLog() error { return os.RemoveAll(d.broken()) }

func (d *disk) data() string { return filepath.Join(d.dir, "data") }

func (d *disk) broken() string { return filepath.Join(d.data(), "broken") }
