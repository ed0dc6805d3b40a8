package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// retry opens the log again as a supervisor does, until the server lets it.
func (db *database) retry(t *testing.T, from source.Position, memory *sourcetest.Notes) *tape {
	t.Helper()
	p := &tape{prefix: db.prefix(), memory: memory.Again(), pos: from}
	eventually(t, func() bool {
		var err error
		p.stream, err = db.open(t, db.selector(columns{"t": nil})).Open(t.Context(), from, p.memory)
		if kafkasync.ClassOf(err) == kafkasync.Stop {
			t.Fatalf("Open: %v", err)
		}
		return err == nil
	})
	t.Cleanup(func() { _ = p.stream.Close() })
	return p
}

func TestTheLogGoesOnAfterTheServerWasRestartedOrKilled(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		id := 1
		for _, end := range []func() error{server.Stop, server.Kill} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if err := p.fails(t); kafkasync.ClassOf(err) == kafkasync.Stop {
				t.Fatalf("a server that is gone: got %v, want to try again", err)
			}
			_, err := db.open(t, db.suite()).Open(t.Context(), p.pos, p.memory.Again())
			if !kafkasync.Unreachable(err) {
				t.Errorf("got the error %v, want that nobody answers", err)
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			db.connect(t)
			id++
			db.run(t, fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
			p = db.retry(t, p.pos, p.memory)
			p.wants(t, fmt.Sprintf("t c id=%d", id))
		}
	})
}

// A connection that breaks in the middle of a transaction begins it again, from its first row.
func TestAConnectionThatBreaksInATransactionBeginsItAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, body longtext)")
		p := db.begin(t, columns{"t": nil})
		const rows = 60 // of more than the queue holds, so that the server has not sent the end
		db.run(t, "BEGIN")
		var want []string
		for i := range rows {
			db.run(t, fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('x', 1000000))", i))
			want = append(want, fmt.Sprintf("t c id=%d", i))
		}
		db.run(t, "COMMIT")
		from := p.pos
		for len(p.lines) == 0 {
			if _, err := p.next(t); err != nil {
				t.Fatal(err)
			}
		}
		db.run(t, "KILL "+dumpThread(t, db))
		if err := p.fails(t); kafkasync.ClassOf(err) == kafkasync.Stop {
			t.Fatalf("a connection that broke: got %v, want to try again", err)
		}
		if len(p.lines) >= rows || p.pos != from {
			t.Fatalf("got %d rows and the position %s, want the connection to break before the end", len(p.lines), p.pos)
		}
		db.reopen(t, columns{"t": nil}, p.pos, p.memory).wants(t, want...)
	})
}

// A server does not wait for ever for somebody who takes nothing, as while Kafka is away. It breaks the connection then, of which
// nobody hears before what had come by then is read.
func TestAServerThatIsTiredOfWaitingForUsIsReadAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, body longtext)")
		s := db.open(t, db.selector(columns{"t": nil}))
		s.SetWriteTimeout(time.Second)
		p := db.follow(t, s)
		head := p.pos
		thread := dumpThread(t, db)
		// More than our queue and the network hold, and a transaction that is complete before.
		const rows = 80
		db.run(t, "INSERT INTO t VALUES (0, '')", "BEGIN")
		want := []string{"t c id=0"}
		for i := range rows {
			db.run(t, fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('x', 1000000))", i+1))
			want = append(want, fmt.Sprintf("t c id=%d", i+1))
		}
		db.run(t, "COMMIT")
		eventually(t, func() bool {
			rows, err := server.Query(t.Context(), "", "SELECT id FROM information_schema.processlist WHERE id = "+thread)
			if err != nil {
				t.Fatal(err)
			}
			return len(rows) == 0
		})
		err := p.fails(t)
		if kafkasync.ClassOf(err) != kafkasync.Retry {
			t.Fatalf("a server that did not wait: got %v, want to try again", err)
		}
		if len(p.lines) < 2 || len(p.lines) > rows || p.pos == head {
			t.Fatalf("got %d rows and the position %s, want what had come, and the end of the first transaction", len(p.lines), p.pos)
		}
		db.reopen(t, columns{"t": nil}, p.pos, p.memory).wants(t, want[1:]...)
	})
}

// dumpThread is the connection that the server sends its log to. Other tests' have ended.
func dumpThread(t *testing.T, db *database) string {
	t.Helper()
	var id string
	eventually(t, func() bool {
		rows, err := db.server.Query(t.Context(), "", "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' ORDER BY id DESC LIMIT 1")
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 1 {
			id = rows[0][0]
		}
		return id != ""
	})
	return id
}

// A network that drops everything breaks no connection.
func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		t.Parallel() // it waits
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		wire := newWire(t, server.Addr())
		cfg := db.config()
		cfg.URL = "mysql://root@" + wire.addr()
		s, memory := open(t, cfg, db.selector(columns{"t": nil})), sourcetest.Fresh()
		head, err := s.Head(t.Context(), memory)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := s.Open(t.Context(), head, memory.Again())
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		db.run(t, "INSERT INTO t VALUES (1)")
		var b source.Batch
		for len(b.Changes) == 0 {
			if err := stream.Next(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		wire.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for err = nil; err == nil; {
			err = stream.Next(ctx, &b)
		}
		if !kafkasync.Unreachable(err) || !strings.Contains(err.Error(), "silent") {
			t.Errorf("got the error %v, want that the server is silent", err)
		}
		began := time.Now()
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Close took %v: it has waited for a server that is gone", took)
		}
	})
}

// One connection that says nothing is not yet a server that is gone.
func TestAServerThatIsSilentAndAnswersOthersIsNotGivenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		t.Parallel() // it waits
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		wire := newWire(t, server.Addr())
		wire.slow.Store(3) // Head's, one to look before the log is opened, the log
		cfg := db.config()
		cfg.URL = "mysql://root@" + wire.addr() + "/?tls=disabled" // so that each attempt is one connection
		p := db.follow(t, open(t, cfg, db.selector(columns{"t": nil})))
		db.run(t, "INSERT INTO t VALUES (1)")
		p.wants(t, "t c id=1")
		close(wire.since)
		db.run(t, "INSERT INTO t VALUES (2)")
		ctx, cancel := context.WithTimeout(t.Context(), 17*time.Second) // longer than one that is cut off has
		defer cancel()
		var err error
		for err == nil {
			var b source.Batch
			if err = p.stream.Next(ctx, &b); len(b.Changes) > 0 {
				t.Fatal("got a row over a connection that brings nothing")
			}
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got the error %v, want to wait for a server that answers others", err)
		}
		close(wire.until)
		p.wants(t, "t c id=2")
	})
}

func TestAnIdleServerIsKnownToHaveNothingLeft(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		watched := p.stream.(source.Watched)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { // somebody reads on
			var b source.Batch
			for p.stream.Next(ctx, &b) == nil {
			}
		}()
		var since time.Time
		eventually(t, func() bool {
			var left int64
			left, since = watched.Behind()
			return left == 0 && !since.IsZero()
		})
		eventually(t, func() bool { _, now := watched.Behind(); return now.After(since) })
		cancel()
		db.run(t, "INSERT INTO t VALUES (2)", "FLUSH LOGS", "INSERT INTO t SELECT id + 10 FROM t", "FLUSH LOGS")
		eventually(t, func() bool { left, _ := watched.Behind(); return left > 300 })
	})
}

func TestOfSeveralServersTheOneThatTakesWritesIsRead(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, primary *devstack.MySQL) {
		replica, err := primary.Replica(t.Context(), devstack.MySQLConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = replica.Close() })
		db := newDatabase(t, primary, "CREATE TABLE t (id int PRIMARY KEY)")
		both := "mysql://root@" + replica.Addr() + "," + primary.Addr() + "/"
		begin := func(from source.Position, memory *sourcetest.Notes) (*tape, error) {
			s := open(t, mysql.Config{Flavour: primary.Flavour(), URL: both, ServerID: 9000 + serial.Add(1)}, db.selector(columns{"t": nil}))
			p := &tape{prefix: db.prefix(), memory: memory.Again(), pos: from}
			if from == "" {
				head, err := s.Head(t.Context(), p.memory)
				if err != nil {
					return nil, err
				}
				from = head
			}
			var err error
			if p.stream, err = s.Open(t.Context(), from, p.memory); err == nil {
				t.Cleanup(func() { _ = p.stream.Close() })
			}
			return p, err
		}
		p, err := begin("", sourcetest.Fresh())
		if err != nil {
			t.Fatal(err)
		}
		db.run(t, "INSERT INTO t VALUES (1)")
		p.wants(t, "t c id=1")

		executed, err := primary.Executed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := replica.WaitExecuted(t.Context(), executed); err != nil {
			t.Fatal(err)
		}
		if err := primary.Exec(t.Context(), "", "SET GLOBAL read_only = ON"); err != nil {
			t.Fatal(err)
		}
		if err := p.fails(t); kafkasync.ClassOf(err) != kafkasync.Retry || !strings.Contains(err.Error(), "takes no writes") {
			t.Fatalf("a primary that was demoted: got %v, want to look for the new one", err)
		}
		_, err = begin(p.pos, p.memory)
		wantFault(t, err, kafkasync.Wait, "accepts writes")
		if err := replica.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := replica.Exec(t.Context(), db.name, "INSERT INTO t VALUES (2)"); err != nil {
			t.Fatal(err)
		}
		next, err := begin(p.pos, p.memory)
		if err != nil {
			t.Fatal(err)
		}
		next.wants(t, "t c id=2")
	})
}

// wire is a proxy whose connections can be cut without breaking.
type wire struct {
	listener net.Listener
	dead     chan struct{}
	slow     atomic.Int32  // the number of a connection, from 1, that brings nothing from the server for a while
	since    chan struct{} // from when
	until    chan struct{}
}

// newWire leads to each of the servers in turn.
func newWire(t *testing.T, to ...string) *wire {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, dead: make(chan struct{}), since: make(chan struct{}), until: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for i := 0; ; i++ {
			from, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = from.Close() })
			server, err := new(net.Dialer).DialContext(t.Context(), "tcp", to[i%len(to)])
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = server.Close() })
			go w.pass(0, from, server)
			go w.pass(i+1, server, from)
		}
	}()
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

func (w *wire) cut() { close(w.dead) }

// pass carries bytes until the wire is dead, and then takes them for nothing.
func (w *wire) pass(number int, from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if number == int(w.slow.Load()) {
			select {
			case <-w.since:
				<-w.until
			default:
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
		select {
		case <-w.dead:
		default:
			_, _ = to.Write(buf[:n])
		}
	}
}
