package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

func made(t *testing.T, kind replication.EventType, flags uint16, body []byte) *event {
	t.Helper()
	raw := make([]byte, replication.EventHeaderSize, replication.EventHeaderSize+len(body))
	raw[4] = byte(kind)
	binary.LittleEndian.PutUint32(raw[sizeOffset:], uint32(cap(raw)))
	binary.LittleEndian.PutUint16(raw[17:], flags)
	e, err := newEvent(append(raw, body...))
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

func newJournal(kind kind) *journal {
	return &journal{tables: newTables(false, nil, nil, nil), log: slog.New(slog.DiscardHandler), at: place{kind: kind}}
}

// No server here can be made to write these.
func TestEventsThatNobodyKnowsStop(t *testing.T) {
	const partialRowData = 172 // of MariaDB 12
	for _, tt := range []struct {
		kind  replication.EventType
		flags uint16
		want  string // "" if it is passed over
	}{
		{replication.INCIDENT_EVENT, 0, "incident"},
		{partialRowData, 0, "kind 172"},
		{250, 0, "kind 250"},
		{250, replication.LOG_EVENT_IGNORABLE_F, ""},
		{replication.WRITE_ROWS_EVENTv0, 0, "kind 20"},
		{replication.LOAD_EVENT, 0, "kind 6"},
		{replication.ROWS_QUERY_EVENT, 0, ""},
		{replication.VIEW_CHANGE_EVENT, 0, ""},
	} {
		var b source.Batch
		err := newJournal(kindMySQL).read(t.Context(), &b, made(t, tt.kind, tt.flags, nil))
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.kind, err)
			}
			continue
		}
		if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "--new-slot") {
			t.Errorf("%s: got %v, want a stop that says %q", tt.kind, err, tt.want)
		}
	}
}

func TestDamagedEventsAreErrors(t *testing.T) {
	for _, kind := range []replication.EventType{
		replication.GTID_EVENT, replication.GTID_TAGGED_LOG_EVENT, replication.MARIADB_GTID_EVENT, replication.QUERY_EVENT, replication.ROTATE_EVENT,
		replication.EXECUTE_LOAD_QUERY_EVENT, replication.FORMAT_DESCRIPTION_EVENT, replication.XID_EVENT, replication.XA_PREPARE_LOG_EVENT,
		replication.TABLE_MAP_EVENT, replication.WRITE_ROWS_EVENTv2, replication.TRANSACTION_PAYLOAD_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT,
	} {
		for n := range 3 {
			j := newJournal(kindMySQL)
			var b source.Batch
			if err := j.read(t.Context(), &b, made(t, kind, 0, make([]byte, n))); err == nil {
				t.Errorf("%s with a body of %d bytes: got no error", kind, n)
			}
			j.tx.open = true
			if err := j.read(t.Context(), &b, made(t, kind, 0, make([]byte, n))); err == nil && kind != replication.XID_EVENT {
				t.Errorf("%s with a body of %d bytes, in a transaction: got no error", kind, n)
			}
		}
	}
}

// From 11.4 on, MariaDB says of most events not where they end.
func TestTheLogOfMariaDBIsFollowedWhereItDoesNotSayHowFarItIs(t *testing.T) {
	j := newJournal(kindMariaDB)
	j.file, j.offset = "binlog.000001", 1000
	gtid := make([]byte, 19)
	gtid[0] = 5 // its number, of domain 0
	for _, step := range []struct {
		what  string
		kind  replication.EventType
		flags uint16
		body  []byte
		says  uint32
		want  uint64
		pos   source.Position
	}{
		{"it names the transaction", replication.MARIADB_GTID_EVENT, 0, gtid, 1038, 1038, ""},
		{"a remark in it", replication.MARIADB_ANNOTATE_ROWS_EVENT, 0, make([]byte, 31), 0, 1088, ""},
		{"what the server makes up for us", replication.MARIADB_GTID_LIST_EVENT, replication.LOG_EVENT_ARTIFICIAL_F, make([]byte, 11), 0, 1088, ""},
		{"a sign of life", replication.HEARTBEAT_EVENT, 0, []byte("binlog.000001"), 1088, 1088, ""},
		{"its end, which does not say where it is", replication.XID_EVENT, 0, make([]byte, 8), 0, 1115, "mariadb:0-0-5"},
		{"the next one says it again", replication.MARIADB_GTID_EVENT, 0, gtid, 1153, 1153, ""},
	} {
		e := made(t, step.kind, step.flags, step.body)
		e.header.LogPos = step.says
		var b source.Batch
		if err := j.read(t.Context(), &b, e); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		pos := source.Position("")
		if at, moved := j.take(); moved {
			pos = at.at.position()
		}
		if j.offset != step.want || pos != step.pos {
			t.Errorf("%s: got the offset %d and the position %q, want %d and %q", step.what, j.offset, pos, step.want, step.pos)
		}
	}
}

func TestAnonymousTransactionsHaveNoPlaceAmongGTIDs(t *testing.T) {
	var b source.Batch
	body := make([]byte, 25)
	if err := newJournal(kindMySQL).read(t.Context(), &b, made(t, replication.ANONYMOUS_GTID_EVENT, 0, body)); kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want a stop", err)
	}
	if err := newJournal(kindFile).read(t.Context(), &b, made(t, replication.ANONYMOUS_GTID_EVENT, 0, body)); err != nil {
		t.Errorf("without GTIDs: %v", err)
	}
}

// The words of error 1236 are all that tells its causes apart. These are the servers'.
func TestTheCausesOfError1236AreToldApart(t *testing.T) {
	for text, want := range map[string]struct {
		class kafkasync.Class
		what  string
	}{
		"Cannot replicate because the source purged required binary logs. Replicate the missing transactions from elsewhere":                                {kafkasync.Stop, "purged"},
		"Could not find first log file name in binary log index file":                                                                                       {kafkasync.Stop, "purged"},
		"Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.": {kafkasync.Stop, "purged"},
		"Replica has more GTIDs than the source has, using the source's SERVER_UUID. This may indicate that the end of the binary log was truncated":        {kafkasync.Stop, "lacks transactions"},
		"Error: connecting slave requested to start from GTID 0-1-900, which is not in the master's binlog":                                                 {kafkasync.Stop, "lacks transactions"},
		"Client requested source to start replication from position > file size":                                                                            {kafkasync.Stop, "lacks transactions"},
		"A replica with the same server_uuid/server_id as this replica has connected to the source; the first event 'binlog.000001' at 4":                   {kafkasync.Wait, "our server_id"},
		"Binary log is not open": {kafkasync.Wait, "no binary log"},
		"log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source":          {kafkasync.Wait, "max_allowed_packet"},
		"bogus data in log event; the first event 'binlog.000001' at 4":                               {kafkasync.Stop, "cannot read its own log"},
		"Cannot replicate anonymous transaction when AUTO_POSITION = 1, at file binlog.1, position 4": {kafkasync.Stop, "without a GTID"},
		"something that nobody has thought of":                                                        {kafkasync.Stop, "does not send its log"},
	} {
		if got := logFault(text); got.Class != want.class || !strings.Contains(got.What, want.what) || got.Fix == "" {
			t.Errorf("%q: got %v, want %v and %q", text, got, want.class, want.what)
		}
	}
}

// sent is a packet with an event, as it comes: in bites, with a checksum.
func sent(t *testing.T, p *packet, kind replication.EventType, body []byte, bite int, damage int) {
	t.Helper()
	raw := made(t, kind, 0, append(body, 0, 0, 0, 0)).raw
	end := len(raw) - replication.BinlogChecksumLength
	binary.LittleEndian.PutUint32(raw[end:], crc32.ChecksumIEEE(raw[:end]))
	if damage >= 0 {
		raw[damage] ^= 1
	}
	for rest := append([]byte{0}, raw...); len(rest) > 0; rest = rest[min(bite, len(rest)):] {
		if _, err := p.Write(rest[:min(bite, len(rest))]); err != nil {
			t.Fatal(err)
		}
	}
}

// roomy is a packet for which there is always room.
func roomy() packet {
	return packet{room: func(int) error { return nil }, memory: newQueue(0).memory, aside: func(size int) (*spool, error) { return newSpool("", size) }}
}

func TestPacketsOfAnySizeAreReceivedInBites(t *testing.T) {
	p := roomy()
	for _, kind := range []replication.EventType{replication.WRITE_ROWS_EVENTv2, replication.TRANSACTION_PAYLOAD_EVENT} {
		for _, n := range []int{0, 1, 100, piece - 30, piece - 23, piece - 22, piece - 21, piece - 19, piece, 3*piece - 20, 5 * piece} {
			for _, bite := range []int{1 << 20, 4099, 7} {
				if n > piece/2 && bite == 7 && n%piece != 0 {
					continue // which takes long
				}
				body := make([]byte, n)
				for i := range body {
					body[i] = byte(i * 7)
				}
				sent(t, &p, kind, body, bite, -1)
				e, err := p.take(true)
				if err != nil {
					t.Fatalf("%s of %d bytes in bites of %d: %v", kind, n, bite, err)
				}
				if e.size() != replication.EventHeaderSize+n {
					t.Errorf("%s of %d bytes in bites of %d: its size is %d", kind, n, bite, e.size()-replication.EventHeaderSize)
				}
				got, err := io.ReadAll(io.MultiReader(bytes.NewReader(e.body()), e.more))
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s of %d bytes in bites of %d: got %d bytes, want those that were sent", kind, n, bite, len(got))
				}
			}
		}
		for _, at := range []int{30, piece + 10, 2*piece - 1} {
			sent(t, &p, kind, make([]byte, 2*piece), 4096, at)
			if _, err := p.take(true); err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("%s, damaged at %d: got %v, want to be told", kind, at, err)
			}
			p = roomy()
		}
	}
}

func TestPacketsThatAreNoEventsAreRefused(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"a size below that of a header": append(make([]byte, 10), 5, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"a size beyond what there is":   append(make([]byte, 10), 255, 255, 255, 255, 0, 0, 0, 0, 0, 0),
		"more than its size":            append(make([]byte, 10), 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3),
		"an answer without an end":      append([]byte{255}, make([]byte, maxAnswer)...),
	} {
		p := roomy()
		if _, err := p.Write(bytes); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	p := roomy()
	if _, err := p.Write(append(make([]byte, 10), 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(false); err == nil {
		t.Error("an event without its end: got no error")
	}
}

// sized is an event that was announced with so many bytes.
func sized(n int) event { return event{header: replication.EventHeader{EventSize: uint32(n)}} }

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue(100)
	pops := func(want int) {
		t.Helper()
		if e, ok, err := q.pop(); err != nil || ok != (want > 0) || e.announced() != want {
			t.Fatalf("got %d bytes, %v, %v, want %d", e.announced(), ok, err, want)
		}
	}
	fits := func(n int, want bool) {
		t.Helper()
		if got := q.fits(n); got != want {
			t.Fatalf("%d bytes fit: got %v, want %v", n, got, want)
		}
		if want {
			q.push(sized(n))
		}
	}
	for range 10 {
		fits(10, true)
	}
	for range 10 {
		fits(500, false)
		pops(10)
	}
	fits(500, false) // the last one is read
	pops(0)
	fits(500, true) // which one event may have that is alone
	fits(1, false)
	pops(500)
	fits(1, false)
	pops(0)
	fits(1, true)
}

func TestTheQueueKeepsWhatItTook(t *testing.T) {
	q := newQueue(100)
	const events = 1000
	go func() {
		for i := range events {
			if err := q.reserve(1 + i%200); err != nil {
				q.end(err)
				return
			}
			q.push(sized(1 + i%200))
		}
		q.end(io.EOF)
	}()
	for i := range events {
		e, ok, err := q.pop()
		for ; !ok && err == nil; e, ok, err = q.pop() {
			<-q.filled
		}
		if err != nil || e.announced() != 1+i%200 {
			t.Fatalf("event %d: got %d bytes and %v, want %d", i, e.announced(), err, 1+i%200)
		}
	}
	for err := error(nil); !errors.Is(err, io.EOF); {
		if _, ok, got := q.pop(); ok {
			t.Fatal("got another event, want the reason that nothing comes")
		} else if err = got; err == nil {
			<-q.filled
		}
	}
	full := make(chan error, 1)
	if err := q.reserve(100); err != nil {
		t.Fatal(err)
	}
	go func() { full <- q.reserve(1) }()
	q.close()
	if err := <-full; !errors.Is(err, errClosed) {
		t.Errorf("got %v, want a closed queue to take nothing", err)
	}
}
