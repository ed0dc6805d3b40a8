package mysql

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"syscall"
)

// piece is how much of a compressed transaction is in memory.
const piece = 1 << 20

// spool is what follows the first piece of a compressed transaction, which may have a gigabyte: a file without a name,
// which ends with the process at the latest. The system holds it in memory for as long as it has some to spare, and what is
// read within half a minute is not written to a disk. Where the disk has no room for it, or fails, it is in memory alone: a
// node that leads must not wait for a disk while another one could go on. One that is dropped without free goes with its
// garbage. A nil spool is empty.
type spool struct {
	file     *os.File
	moved    bool  // to memory
	from, to int64 // what was not read
}

const (
	spoolName = "kafkasync-transaction-"
	// spared is what is left free of a disk: the node's own log lies on it, and a node that cannot write that ends.
	spared = 256 << 20
)

// newSpool makes one in a folder, for so many bytes; "" is the system's for such files.
func newSpool(folder string, size int) (s *spool, err error) {
	if folder == "" {
		folder = os.TempDir()
	}
	s = new(spool)
	if hasRoom(folder, uint64(size)+spared) {
		s.file, err = nameless(folder)
	}
	if s.file == nil {
		s.moved = true
		s.file, err = unwritten()
	}
	if err != nil {
		return nil, fmt.Errorf("putting a compressed transaction aside: %w", err)
	}
	return s, nil
}

func hasRoom(folder string, size uint64) bool {
	var disk syscall.Statfs_t
	return syscall.Statfs(folder, &disk) == nil && disk.Bavail*uint64(disk.Bsize) >= size
}

// nameless makes a file in a folder that nobody else can open.
func nameless(folder string) (*os.File, error) {
	file, err := os.CreateTemp(folder, spoolName)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Write adds what comes.
func (s *spool) Write(b []byte) (n int, err error) {
	n, err = s.file.WriteAt(b, s.to)
	if err != nil && !s.moved {
		if err = s.move(); err == nil {
			n, err = s.file.WriteAt(b, s.to)
		}
	}
	s.to += int64(n)
	if err != nil {
		return n, fmt.Errorf("putting a compressed transaction aside: %w", err)
	}
	return n, nil
}

// move takes what is here into memory.
func (s *spool) move() error {
	file, err := unwritten()
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.NewOffsetWriter(file, s.from), io.NewSectionReader(s.file, s.from, s.to-s.from)); err != nil {
		return errors.Join(err, file.Close())
	}
	_ = s.file.Close()
	s.file, s.moved = file, true
	return nil
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
