package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
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

func TestPacketsOfAnySizeAreReceivedInBites(t *testing.T) {
	var p packet
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
				got := append(append([]byte{}, e.body()...), bytes.Join(e.more, nil)...)
				if !bytes.Equal(got, body) || e.size() != replication.EventHeaderSize+n {
					t.Errorf("%s of %d bytes in bites of %d: got %d bytes, want those that were sent", kind, n, bite, len(got))
				}
			}
		}
		for _, at := range []int{30, piece + 10, 2*piece - 1} {
			sent(t, &p, kind, make([]byte, 2*piece), 4096, at)
			if _, err := p.take(true); err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("%s, damaged at %d: got %v, want to be told", kind, at, err)
			}
			p = packet{}
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
		var p packet
		if _, err := p.Write(bytes); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	var p packet
	if _, err := p.Write(append(make([]byte, 10), 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(false); err == nil {
		t.Error("an event without its end: got no error")
	}
}

func TestTheQueueIsBoundedInBytesAndKeepsWhatItTook(t *testing.T) {
	q := newQueue(100)
	sized := func(n int) event { return event{raw: make([]byte, n)} }
	for range 10 {
		if err := q.push(sized(10)); err != nil {
			t.Fatal(err)
		}
	}
	pushed := make(chan error, 1)
	go func() { pushed <- q.push(sized(500)) }()
	var got []int
	for len(got) < 11 {
		e, ok, err := q.pop()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			<-q.filled
			continue
		}
		select {
		case <-pushed:
			if len(got) < 9 { // 10 bytes are left, and one event of any size goes into an empty queue only
				t.Fatalf("500 bytes were taken with %d of ten events in a queue of 100", 10-len(got))
			}
		default:
		}
		got = append(got, len(e.raw))
	}
	if got[10] != 500 {
		t.Errorf("got events of %v bytes, want the large one last", got)
	}
	q.end(errors.New("the server has gone"))
	if _, ok, err := q.pop(); ok || err == nil {
		t.Errorf("got %v %v, want the reason that nothing comes", ok, err)
	}
	if err := q.push(sized(1)); err != nil {
		t.Fatal(err)
	}
	q.close()
	if err := q.push(sized(200)); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want a closed queue to take nothing", err)
	}
}
