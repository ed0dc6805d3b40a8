package mysql

import (
	"os"

	"golang.org/x/sys/unix"
)

// unwritten is a file that is on no disk, but in memory.
func unwritten() (*os.File, error) {
	fd, err := unix.MemfdCreate(spoolName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), spoolName), nil
}
