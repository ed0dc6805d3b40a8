//go:build breakable_disk

package node

import (
	"errors"
	"os"
	"path/filepath"
)

// breakableDisk makes every write to the Raft log fail while a file named broken stands in
// the data folder. No release has this build tag.
func breakableDisk(dir string) func() error {
	return func() error {
		if _, err := os.Stat(filepath.Join(dir, "broken")); err == nil {
			return errors.New("input/output error")
		}
		return nil
	}
}
