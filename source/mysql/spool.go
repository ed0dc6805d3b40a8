package mysql

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"syscall"

	"github.com/kafkasync/kafkasync"
)

// piece is how much of a compressed transaction is in memory.
const piece = 1 << 20

// spool is what follows the first piece of a compressed transaction, which may have a gigabyte: a file without a name,
// which ends with the process at the latest. The system holds it in memory for as long as it has some to spare, and what is
// read within half a minute is not written to a disk. One that is dropped without free goes with its garbage. A nil spool is empty.
type spool struct {
	file     *os.File
	folder   string
	from, to int64 // what was not read
}

// spared is what a spool leaves free: the node's own log lies on the same disk, and a node that cannot write it ends.
const spared = 256 << 20

// newSpool makes one in a folder, for so many bytes; "" is the system's for such files.
func newSpool(folder string, size int) (*spool, error) {
	if folder == "" {
		folder = os.TempDir()
	}
	if err := hasRoom(folder, int64(size)+spared); err != nil {
		return nil, spoolFault(folder, err)
	}
	file, err := os.CreateTemp(folder, "kafkasync-transaction-")
	if err != nil {
		return nil, spoolFault(folder, err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, spoolFault(folder, errors.Join(err, file.Close()))
	}
	return &spool{file: file, folder: folder}, nil
}

func hasRoom(folder string, size int64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return err
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < size {
		return fmt.Errorf("it has %d MB free, and needs %d", free>>20, size>>20)
	}
	return nil
}

func spoolFault(folder string, err error) error {
	var file *os.PathError
	if errors.As(err, &file) {
		err = file.Err // the name is another one each time, and so the text would be
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: "a compressed transaction cannot be put aside in " + folder + ", as has to be until it is read to its end", Err: err,
		Fix: "see that data_dir can be written to, and has room: MySQL compresses transactions up to a size of 1 GiB",
	}
}

// Write adds what comes.
func (s *spool) Write(b []byte) (int, error) {
	n, err := s.file.WriteAt(b, s.to)
	s.to += int64(n)
	if err != nil {
		return n, spoolFault(s.folder, err)
	}
	return n, nil
}

// Read reads on.
func (s *spool) Read(b []byte) (int, error) {
	if s.size() == 0 {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(b[:min(len(b), s.size())], s.from)
	s.from += int64(n)
	if err != nil {
		return n, fmt.Errorf("reading a compressed transaction that was put aside: %w", err)
	}
	return n, nil
}

// size is how many bytes were not read.
func (s *spool) size() int {
	if s == nil {
		return 0
	}
	return int(s.to - s.from)
}

// sum goes on with a CRC-32 over the next n bytes, and returns what follows them as well. Nothing counts as read.
func (s *spool) sum(crc uint32, n int) (sum uint32, rest []byte, err error) {
	if s == nil {
		return crc, nil, nil
	}
	all := io.NewSectionReader(s.file, s.from, s.to-s.from)
	for buf := make([]byte, 64<<10); n > 0; {
		took, err := io.ReadFull(all, buf[:min(n, len(buf))])
		if err != nil {
			return 0, nil, fmt.Errorf("reading a compressed transaction that was put aside: %w", err)
		}
		crc = crc32.Update(crc, crc32.IEEETable, buf[:took])
		n -= took
	}
	rest, err = io.ReadAll(all)
	return crc, rest, err
}

// cut takes n bytes off the end, and returns how many it did not have.
func (s *spool) cut(n int) (left int) {
	took := min(n, s.size())
	if took > 0 {
		s.to -= int64(took)
	}
	return n - took
}

// free lets go of the file.
func (s *spool) free() {
	if s != nil && s.file != nil {
		_ = s.file.Close() // which has no name, and nothing to keep
		*s = spool{}
	}
}
