package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/source"
)

// script is a server that sends what a test says, and hears everything.
type script struct {
	out    chan<- []byte // written one after the other, as the stream reads
	stream *stream
}

// newScript opens a stream at 0/1000 whose other end is the test.
func newScript(t *testing.T) *script {
	t.Helper()
	server, client := net.Pipe()
	w := new(wire)
	parsed, err := pgx.ParseConfig("")
	if err != nil {
		t.Fatal(err)
	}
	config := &parsed.Config
	config.BuildFrontend = w.frontend
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: client, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	w.r = client // what pgx puts before it is for its own writes
	s := &Source{conn: parsed, selector: idOnly{}, log: slog.New(slog.DiscardHandler)}
	st := s.newStream(conn, s.newKeeper(nil), place{system: "1", timeline: 1, lsn: 0x1000})
	st.wire, st.decoder.catalog = w, fixedCatalog{"id"}
	close(st.monitor.done) // there is no server to watch
	close(st.vigil.done)
	ctx, cancel := context.WithCancelCause(t.Context())
	st.cancel = cancel
	go st.run(ctx)
	go func() { _, _ = io.Copy(io.Discard, server) }()
	out := make(chan []byte, 1)
	go func() {
		for text := range out {
			if _, err := server.Write(text); err != nil {
				return // the test has ended early
			}
		}
	}()
	t.Cleanup(func() {
		close(out)
		_ = server.Close()
		_ = st.Close()
	})
	return &script{out, st}
}

// says sends messages at once.
func (s *script) says(bodies ...[]byte) {
	var all []byte
	for _, body := range bodies {
		all = append(all, message('d', uint32(len(body)+4), body)...)
	}
	s.out <- all
}

// brings reads until something comes.
func (s *script) brings(t *testing.T, changes int, pos source.Position) {
	t.Helper()
	var b source.Batch
	if err := s.stream.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Changes) != changes || b.Pos != pos {
		t.Fatalf("got %d changes and the position %q, want %d and %q", len(b.Changes), b.Pos, changes, pos)
	}
}

func logged(body []byte) []byte { return message('w', uint64(0), uint64(0), uint64(0), body) }

func alive(at pglogrepl.LSN) []byte { return message('k', uint64(at), uint64(0), byte(0)) }

// The place that a keepalive names lies, for all that the protocol says, behind rows
// which are still to come: whoever began there again would lose them.
func TestAKeepaliveInsideATransactionIsNoPosition(t *testing.T) {
	s := newScript(t)
	row := message('I', uint32(7), 'N', tuple("1", "one", "1"))
	s.says(alive(0x1800))
	s.brings(t, 0, "1:1:0/1800")
	s.says(logged(message('B', uint64(0x3000), uint64(0), uint32(1))), logged(products('d', 1, 0, 0)), logged(row), alive(0x2000), alive(0x5000))
	s.brings(t, 1, "")
	s.says(logged(row), alive(0x6000))
	s.brings(t, 1, "")
	s.says(logged(row), logged(message('C', byte(0), uint64(0x3000), uint64(0x3030), uint64(0))))
	s.brings(t, 1, "1:1:0/3030")
	s.says(alive(0x6000))
	s.brings(t, 0, "1:1:0/6000")
}

// TestPlantedBugIsCaught builds a stream whose position moves over an open
// transaction, and wants the test above to fail: a test that cannot fail shows nothing.
func TestPlantedBugIsCaught(t *testing.T) {
	const finder = "TestAKeepaliveInsideATransactionIsNoPosition"
	out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", "planted_keepalive_over_open_transaction",
		"-run", "^"+finder+"$", "-count", "1", ".").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("go test with the planted bug: got the error %v, want failing tests\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- FAIL: "+finder) || !strings.Contains(string(out), `the position "1:1:0/5000"`) {
		t.Fatalf("got\n%s\nwant %s to fail with a position inside the transaction", out, finder)
	}
}
