package mysql

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/kafkasync/kafkasync"
)

// piece is how much of a compressed transaction is in memory.
const piece = 1 << 20

// spool is what follows the first piece of a compressed transaction, which may have a gigabyte: a file without a name,
// which ends with the process at the latest. The system holds it in memory for as long as it has some to spare, and what is
// read within half a minute is not written to a disk. One that is dropped without free goes with its garbage. A nil spool is empty.
type spool struct {
	file     *os.File
	from, to int64 // what was not read
}

// newSpool makes one in a folder; "" is the system's for such files.
func newSpool(folder string) (*spool, error) {
	file, err := os.CreateTemp(folder, "kafkasync-transaction-")
	if err != nil {
		return nil, spoolFault(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, spoolFault(errors.Join(err, file.Close()))
	}
	return &spool{file: file}, nil
}

func spoolFault(err error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: "a compressed transaction cannot be put aside, as has to be until it is read to its end", Err: err,
		Fix: "make room in data_dir: MySQL compresses transactions up to a size of 1 GiB",
	}
}

// Write adds what comes.
func (s *spool) Write(b []byte) (int, error) {
	n, err := s.file.WriteAt(b, s.to)
	s.to += int64(n)
	if err != nil {
		return n, spoolFault(err)
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
