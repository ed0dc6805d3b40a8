//go:build !linux

package mysql

import "os"

// unwritten is a file that is on no disk, but in memory: elsewhere than on Linux, where the system puts what does not last.
func unwritten() (*os.File, error) { return nameless(os.TempDir()) }
