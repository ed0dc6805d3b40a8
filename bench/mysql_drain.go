package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	protocol "github.com/go-mysql-org/go-mysql/mysql"
)

// logPlace is a place in a binlog as COM_BINLOG_DUMP wants it.
type logPlace struct {
	file   string
	offset uint32
}

// files returns where each file of the log ends.
func (m *mysql) files(ctx context.Context) ([]logPlace, error) {
	rows, err := m.server.Query(ctx, "", "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("asking where the log ends: %w", err)
	}
	files := make([]logPlace, len(rows))
	for i, row := range rows {
		size, err := strconv.ParseUint(row[1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("asking where the log ends: %w", err)
		}
		files[i] = logPlace{row[0], uint32(size)}
	}
	return files, nil
}

// reader is the thread that sends the log: only one node runs at a time.
func (m *mysql) reader(ctx context.Context, _ string) (tid int, err error) {
	rows, err := m.server.Query(ctx, "", m.thread+"command LIKE 'Binlog Dump%'")
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return strconv.Atoi(rows[0][0])
}

// hangUp ends threads that wait for news: a server sees that a reader has gone when it next sends something.
func (m *mysql) hangUp(ctx context.Context) error {
	err := every(ctx, 20*time.Millisecond, func() (bool, error) {
		rows, err := m.server.Query(ctx, "", "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
		for _, row := range rows {
			err = errors.Join(err, m.exec(ctx, "KILL "+row[0]))
			var answer *protocol.MyError
			if errors.As(err, &answer) && answer.Code == protocol.ER_NO_SUCH_THREAD {
				err = nil
			}
		}
		return len(rows) == 0, err
	})
	if err != nil {
		return fmt.Errorf("ending readers of the log: %w", err)
	}
	return nil
}

// passed has nothing to ask: a node begins where its checkpoint is.
func (m *mysql) passed(context.Context, place) (bool, error) { return true, nil }

// renew notes where the log ends, and removes the files before, which nobody needs: tidy began one.
func (m *mysql) renew(ctx context.Context) error {
	files, err := m.files(ctx)
	if err != nil {
		return err
	}
	m.begin = files[len(files)-1]
	if err := m.exec(ctx, "PURGE BINARY LOGS TO '"+m.begin.file+"'"); err != nil {
		return fmt.Errorf("removing files of the log: %w", err)
	}
	return nil
}

// forget has nothing to remove.
func (m *mysql) forget(context.Context, string) error { return nil }

// readAlone asks for the log as kafkasync does, and throws it away. Not mysqlbinlog: it prints or writes files.
func (m *mysql) readAlone(ctx context.Context, _ place) (s sample, err error) {
	conn, err := m.server.Connect(ctx, "")
	if err != nil {
		return s, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Conn.Conn.Close() }) // which fails what is under way
	defer func() {
		if !stop() {
			err = errors.Join(context.Cause(ctx), err)
		}
		err = errors.Join(err, conn.Close())
	}()
	for _, setting := range []string{"@master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'", "@mariadb_slave_capability = 4"} {
		if _, err := conn.Execute("SET " + setting); err != nil {
			return s, fmt.Errorf("preparing to read the log: %w", err)
		}
	}
	own, err := conn.Execute(m.thread + "id = CONNECTION_ID()")
	if err != nil {
		return s, fmt.Errorf("asking for the thread: %w", err)
	}
	thread, err := own.GetInt(0, 0)
	if err != nil {
		return s, fmt.Errorf("asking for the thread: %w", err)
	}
	began := time.Now()
	before, err := usageOf(os.Getpid(), int(thread))
	if err != nil {
		return s, err
	}
	got, err := drain(conn, m.begin)
	if err != nil {
		return s, fmt.Errorf("reading the log: %w", err)
	}
	s.took = time.Since(began)
	after, err := usageOf(os.Getpid(), int(thread)) // which goes with its connection
	if err != nil {
		return s, err
	}
	s.spent(before, after)
	return s, m.whole(ctx, got)
}

// whole is an error if less was read than the log has behind where the reader began.
func (m *mysql) whole(ctx context.Context, got int64) error {
	files, err := m.files(ctx)
	if err != nil {
		return err
	}
	want := -int64(m.begin.offset)
	for _, f := range files {
		if f.file >= m.begin.file { // a MariaDB may keep what nobody needs
			want += int64(f.offset)
		}
	}
	// Checksums do not come along, and a file's first event comes once more.
	if got < want*9/10 {
		return fmt.Errorf("reading the log: got %d bytes of it, want about %d", got, want)
	}
	return nil
}

// drain reads from a place up to where the server says that its log ends, and returns how many bytes that were. It looks
// at no more than the head of a packet, and reads as much at once as there is.
func drain(conn *client.Conn, from logPlace) (got int64, err error) {
	const onlyWhatIsThere = 1 // BINLOG_DUMP_NON_BLOCK
	le := binary.LittleEndian
	command := le.AppendUint32([]byte{0, 0, 0, 0, protocol.COM_BINLOG_DUMP}, from.offset) // behind the packet's own header
	command = le.AppendUint32(le.AppendUint16(command, onlyWhatIsThere), 0)
	conn.ResetSequence()
	if err := conn.WritePacket(append(command, from.file...)); err != nil {
		return 0, err
	}
	const longest = 1<<24 - 1 // of a packet; one more follows then
	in := bufio.NewReaderSize(conn.Conn.Conn, 1<<20)
	for begins := true; ; {
		head, err := in.Peek(4)
		if err != nil {
			return got, err
		}
		size := int(le.Uint32(head) & longest)
		if _, err := in.Discard(len(head)); err != nil {
			return got, err
		}
		if begins {
			status, err := in.Peek(1)
			switch {
			case err != nil:
				return got, err
			case status[0] == protocol.EOF_HEADER:
				return got, nil
			case status[0] == protocol.ERR_HEADER:
				said := make([]byte, size)
				if _, err := io.ReadFull(in, said); err != nil {
					return got, err
				}
				return got, conn.HandleErrorPacket(said)
			}
		}
		if _, err := in.Discard(size); err != nil {
			return got, err
		}
		got += int64(size)
		begins = size < longest
	}
}
