package mysql

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kafkasync/kafkasync"
)

func TestASpoolKeepsWhatItGetsAndNoFileThatHasAName(t *testing.T) {
	folder := t.TempDir()
	s, err := newSpool(folder)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
		t.Errorf("got the files %v and %v, want none", files, err)
	}
	want := make([]byte, 200_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for part := range slices.Chunk(want, 70_001) {
		if n, err := s.Write(part); n != len(part) || err != nil {
			t.Fatalf("wrote %d of %d bytes, %v", n, len(part), err)
		}
	}
	sum, rest, err := s.sum(crc32.ChecksumIEEE([]byte("before")), len(want)-3)
	if all := crc32.Update(crc32.ChecksumIEEE([]byte("before")), crc32.IEEETable, want[:len(want)-3]); sum != all || !bytes.Equal(rest, want[len(want)-3:]) || err != nil {
		t.Errorf("got the checksum %x, behind it %x, %v, want %x", sum, rest, err, all)
	}
	if left := s.cut(3); left != 0 || s.size() != len(want)-3 {
		t.Errorf("cut 3 bytes: %d were not there and %d are, want none and %d", left, s.size(), len(want)-3)
	}
	if got, err := io.ReadAll(iotest.HalfReader(s)); err != nil || !bytes.Equal(got, want[:len(want)-3]) {
		t.Errorf("read %d bytes and got %v, want those that were written but for the last 3", len(got), err)
	}
	if left := s.cut(2); left != 2 {
		t.Errorf("cut 2 bytes of nothing: %d were not there, want 2", left)
	}
	s.free()
	s.free() // who lets go of a stream need not know whether its transaction was read to its end
	if n, err := s.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("freed: read %d bytes and got %v, want the end", n, err)
	}
}

func TestAFolderThatTakesNoSpoolIsWaitedFor(t *testing.T) {
	_, missing := newSpool(filepath.Join(t.TempDir(), "missing"))
	file, err := os.Open(os.DevNull) // takes nothing
	if err != nil {
		t.Fatal(err)
	}
	full := &spool{file: file}
	defer full.free()
	_, unwritten := full.Write([]byte{1})
	for name, err := range map[string]error{"missing": missing, "full": unwritten} {
		var fault *kafkasync.Fault
		if !errors.As(err, &fault) || fault.Class != kafkasync.Wait || !strings.Contains(fault.Fix, "data_dir") {
			t.Errorf("%s: got %v, want to wait, and to be told of data_dir", name, err)
		}
	}
}
