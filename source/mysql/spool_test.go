package mysql

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	wirepacket "github.com/go-mysql-org/go-mysql/packet"
	"github.com/go-mysql-org/go-mysql/replication"
)

func TestASpoolKeepsWhatItGetsAndNoFileThatHasAName(t *testing.T) {
	folder := t.TempDir()
	s, err := newSpool(folder, 200_000)
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

func TestWhatADiskDoesNotTakeIsInMemory(t *testing.T) {
	open := func(path string, flags int) *spool {
		file, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return &spool{file: file}
	}
	made := func(folder string, size int) *spool {
		s, err := newSpool(folder, size)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	begun := filepath.Join(t.TempDir(), "begun")
	if err := os.WriteFile(begun, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := open(begun, os.O_RDONLY)
	broken.from, broken.to = 2, 10
	for _, c := range []struct {
		name  string
		s     *spool
		moved bool
		want  string
	}{
		{"there is room", made(t.TempDir(), piece), false, "abc"},
		{"the folder is missing", made(filepath.Join(t.TempDir(), "missing"), piece), true, "abc"},
		{"there is not enough room", made(t.TempDir(), 1<<60), true, "abc"},
		{"there is no room any more", open("/dev/full", os.O_RDWR), true, "abc"},
		{"it can be written to no more", broken, true, "23456789abc"},
	} {
		if _, err := io.WriteString(c.s, "abc"); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got, err := io.ReadAll(c.s)
		if string(got) != c.want || err != nil || c.s.moved != c.moved {
			t.Errorf("%s: got %q, %v, in memory %t, want %q, %t", c.name, got, err, c.s.moved, c.want, c.moved)
		}
		c.s.free()
	}
}

// The library makes text of what receiving fails with.
func TestWhyNothingMoreIsReceivedIsKept(t *testing.T) {
	ours, theirs := net.Pipe()
	d := &dump{conn: &client.Conn{Conn: wirepacket.NewConn(ours)}, queue: newQueue(queueBytes)}
	if err := d.queue.reserve(1); err != nil {
		t.Fatal(err)
	}
	d.queue.close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		raw := made(t, replication.TRANSACTION_PAYLOAD_EVENT, 0, make([]byte, 2*piece)).raw
		n := 1 + len(raw)
		head := []byte{byte(n), byte(n >> 8), byte(n >> 16), 0, mysql.OK_HEADER} // its size, its number, and that all is well
		if _, err := theirs.Write(append(head, raw...)); err == nil {
			t.Error("all of it was taken")
		}
	}()
	if err := d.receive(); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want that the stream was closed", err)
	}
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	<-sent
}

func TestWhatIsClosedHasNoSpoolLeft(t *testing.T) {
	q := newQueue(queueBytes)
	s, err := newSpool("", 1)
	if err != nil {
		t.Fatal(err)
	}
	q.push(event{more: s})
	q.close()
	q.free()
	if s.file != nil {
		t.Error("the file of a transaction that nobody has read is open")
	}
}
