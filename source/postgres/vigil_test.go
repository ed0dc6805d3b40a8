package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// network lies before a server. What it does not carry it keeps until it does.
type network struct {
	net.Listener

	mu      sync.Mutex
	changed *sync.Cond
	count   int // of connections so far
	lost    int // so many, from the first on, that carry nothing
}

func newNetwork(t *testing.T, server string) *network {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{Listener: l}
	n.changed = sync.NewCond(&n.mu)
	t.Cleanup(func() {
		_ = l.Close()
		n.lose(0)
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.count++
			number := n.count
			n.mu.Unlock()
			go n.carry(context.WithoutCancel(t.Context()), number, client, server)
		}
	}()
	return n
}

func (n *network) carry(ctx context.Context, number int, client net.Conn, server string) {
	defer client.Close()
	n.passes(number)
	backend, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	go func() {
		defer backend.Close()
		n.pump(number, backend, client)
	}()
	n.pump(number, client, backend)
}

func (n *network) pump(number int, to, from net.Conn) {
	some := make([]byte, 8192)
	for {
		read, err := from.Read(some)
		n.passes(number)
		if _, failed := to.Write(some[:read]); err != nil || failed != nil {
			return
		}
	}
}

// passes waits until the connection of that number carries something.
func (n *network) passes(number int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for number <= n.lost {
		n.changed.Wait()
	}
}

// lose makes the first connections silent, and all others carry something.
func (n *network) lose(first int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = first
	n.changed.Broadcast()
}

func (n *network) soFar() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.count
}

// behind begins to read a table through a network.
func behind(t *testing.T) (*network, *database, *postgres.Source, *tape) {
	t.Helper()
	server := devtest.Postgres(t)
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	n := newNetwork(t, server.Addr())
	name := db.conn.Config().Database
	s, err := postgres.New(postgres.Config{URL: strings.Replace(db.url, server.Addr(), n.Addr().String(), 1) + "?sslmode=disable", Slot: name, Publication: name}, postgres.Options{
		Pipeline: "shop", Application: "kafkasync test", Node: "a", Selector: columns{"public.t": nil}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	memory := sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	p := openTape(t, s, head, memory.Again())
	db.run(t, "INSERT INTO t VALUES (1)")
	p.wants(t, "public.t c id=1")
	return n, db, s, p
}

func TestAServerThatCannotBeReachedAnyMoreIsGivenUp(t *testing.T) {
	t.Parallel()
	const all = 1 << 30
	n, db, s, p := behind(t)
	if err := s.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.lose(all)
	lost := time.Now()
	var b source.Batch
	var err error
	for err == nil {
		err = p.stream.Next(t.Context(), &b)
	}
	t.Logf("noticed after %s: %v", time.Since(lost).Round(time.Millisecond), err)
	if kafkasync.ClassOf(err) != kafkasync.Wait || !kafkasync.Unreachable(err) || !strings.Contains(err.Error(), "the server at "+n.Addr().String()+" does not answer node a") {
		t.Errorf("got %v, want to wait for a server that does not answer, and who says so", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Reach(ctx); !kafkasync.Unreachable(err) || !strings.Contains(err.Error(), "the server does not answer") {
		t.Errorf("got %v, want that the server does not answer", err)
	}
	if err := p.stream.Close(); err != nil {
		t.Error(err)
	}
	n.lose(0)
	db.run(t, "INSERT INTO t VALUES (2)")
	openTape(t, s, p.pos, p.memory.Again()).wants(t, "public.t c id=2")
}

// A walsender that decodes a huge transaction is silent for minutes.
func TestAServerIsNotGivenUpThatAnswersANewConnection(t *testing.T) {
	t.Parallel()
	n, db, _, p := behind(t)
	before := n.soFar()
	n.lose(before)
	db.run(t, "INSERT INTO t VALUES (2)")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // longer than one that does not answer has
	defer cancel()
	var b source.Batch
	var err error
	for err == nil && len(b.Changes) == 0 {
		err = p.stream.Next(ctx, &b)
	}
	if !errors.Is(err, context.DeadlineExceeded) || n.soFar() == before {
		t.Fatalf("got %v after %d new connections, want the stream to wait, and the server to have been asked", err, n.soFar()-before)
	}
	n.lose(0)
	p.wants(t, "public.t c id=1", "public.t c id=2")
}

func TestAServerThatRefusesIsReached(t *testing.T) {
	db := newDatabase(t)
	_, address, _ := strings.Cut(db.url, "@")
	db.url = "postgres://nobody-of-that-name@" + address
	if err := db.open(t, columns{}).Reach(t.Context()); err == nil || kafkasync.Unreachable(err) || !strings.Contains(err.Error(), "nobody-of-that-name") {
		t.Errorf("got %v, want a server that does not know the role", err)
	}
	for url, want := range map[string]string{
		"postgres://postgres@127.0.0.1:1/shop": "nothing listens",
		"postgres://postgres@nowhere.invalid/": "cannot be looked up",
	} {
		db.url = url
		if err := db.open(t, columns{}).Reach(t.Context()); !kafkasync.Unreachable(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want that nobody is reached: %s", url, err, want)
		}
	}
}
