package e2e_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The ends of lines that are no nodes.
const (
	toDatabase = "database"
	toKafka    = "kafka"
)

// lines are the TCP connections of the nodes with each other and with the servers. Each passes through this process, where it can
// fall silent: then what was sent waits, as in a network that has lost its way, until it is found again.
type lines struct {
	wait sync.WaitGroup

	mu     sync.Mutex
	healed *sync.Cond         // or ended
	cut    map[[2]string]bool // from whom, to whom
	open   map[*line]struct{} // all that there are
	held   int                // that wait for it to heal: directions of connections, and new ones
	ended  bool               // with the test
}

// line is one connection.
type line struct {
	lines          *lines
	from, to       string
	client, server *net.TCPConn
	forth, back    atomic.Int64 // bytes that were carried; one direction counts what it did when it is interrupted
}

// newLines ends every connection with the test.
func newLines(t testing.TB) *lines {
	t.Helper()
	l := &lines{cut: map[[2]string]bool{}, open: map[*line]struct{}{}}
	l.healed = sync.NewCond(&l.mu)
	t.Cleanup(func() {
		l.mu.Lock()
		l.ended = true
		l.healed.Broadcast()
		for one := range l.open {
			one.client.Close()
			one.server.Close()
		}
		l.mu.Unlock()
		l.wait.Wait()
	})
	return l
}

// isolate lets a node and the other nodes hear nothing of each other any more. It still reaches the servers.
func (l *lines) isolate(id string) {
	for _, other := range trioIDs {
		if other != id {
			l.silence([2]string{id, other}, [2]string{other, id})
		}
	}
}

// strand lets a node hear nothing of the servers any more. The nodes still hear each other.
func (l *lines) strand(id string) { l.silence([2]string{id, toDatabase}, [2]string{id, toKafka}) }

// silence stops all connections between these ends where they are, in both directions.
func (l *lines) silence(ways ...[2]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, way := range ways {
		l.cut[way] = true
	}
	for one := range l.open {
		if l.silent(one.from, one.to) {
			one.interrupt(time.Unix(1, 0))
		}
	}
}

// heal lets everything pass, beginning with what has waited.
func (l *lines) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.cut)
	for one := range l.open {
		one.interrupt(time.Time{})
	}
	l.healed.Broadcast()
}

// silent is asked with l.mu held.
func (l *lines) silent(from, to string) bool { return l.cut[[2]string{from, to}] && !l.ended }

// passes waits until what goes from one end to the other does, and returns false if it never will.
func (l *lines) passes(from, to string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held++
	for l.silent(from, to) {
		l.healed.Wait()
	}
	l.held--
	return !l.ended
}

// add remembers a connection, unless everything has ended.
func (l *lines) add(one *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.open[one] = struct{}{}
	if l.silent(one.from, one.to) {
		one.interrupt(time.Unix(1, 0))
	}
	return true
}

func (l *lines) remove(one *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, one)
}

// interrupt ends reads at that time. Writes go on: what has been read is delivered, or would be lost.
func (c *line) interrupt(at time.Time) {
	_ = c.client.SetReadDeadline(at) // one that is closed has nothing to interrupt
	_ = c.server.SetReadDeadline(at)
}

// carry carries what the two ends say until both have said everything, or one has broken off.
func (c *line) carry() {
	if !c.lines.add(c) {
		breakOff(c.client)
		breakOff(c.server)
		return
	}
	defer c.lines.remove(c)
	back := make(chan struct{})
	go func() {
		defer close(back)
		c.pump(c.client, c.server, &c.back)
	}()
	c.pump(c.server, c.client, &c.forth)
	<-back
	c.client.Close()
	c.server.Close()
}

// pump carries one direction. Between two sockets the kernel copies by itself, so that a large transaction
// costs next to nothing here; and it has taken nothing that it has not passed on when a read is interrupted.
func (c *line) pump(to, from *net.TCPConn, carried *atomic.Int64) {
	for {
		n, err := io.Copy(to, from)
		carried.Add(n)
		switch {
		case err == nil:
			_ = to.CloseWrite() // whoever has gone altogether need not hear it
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && c.lines.passes(c.from, c.to):
			continue
		}
		breakOff(to) // also ends the other direction
		breakOff(from)
		return
	}
}

// breakOff resets a connection.
func breakOff(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// front is where clients connect instead of connecting to a server.
type front struct {
	lines           *lines
	address, server string
	to              string                           // the end that the server is
	from            func(client *net.TCPConn) string // the end that a client is; "" for one that is never cut off
}

// front stands before a server from now on. While nobody listens behind it, nobody is let in.
func (l *lines) front(t testing.TB, f front) {
	t.Helper()
	f.lines = l
	l.wait.Go(func() {
		for f.awaitServer(t.Context()) {
			if err := f.serve(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
}

// awaitServer waits until the server can be reached, and returns false when the test ends.
func (f *front) awaitServer(ctx context.Context) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := f.dial(ctx); err == nil {
			conn.Close()
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// serve lets clients in until the server cannot be reached any more.
func (f *front) serve(ctx context.Context) error {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // the kernel copies between plain sockets
	listener, err := config.Listen(ctx, "tcp", f.address)
	if err != nil {
		return err
	}
	ctx, shut := context.WithCancel(ctx)
	defer shut()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil // it was closed
		}
		client := conn.(*net.TCPConn)
		f.lines.wait.Go(func() {
			if err := f.admit(context.WithoutCancel(ctx), client); err != nil {
				breakOff(client)
				shut()
			}
		})
	}
}

// admit connects a client with the server, as soon as its words would reach it.
func (f *front) admit(ctx context.Context, client *net.TCPConn) error {
	c := &line{lines: f.lines, from: f.from(client), to: f.to, client: client}
	if !f.lines.passes(c.from, c.to) {
		return net.ErrClosed
	}
	var err error
	if c.server, err = f.dial(ctx); err != nil {
		return err
	}
	c.carry()
	return nil
}

func (f *front) dial(ctx context.Context) (*net.TCPConn, error) {
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(ctx, "tcp", f.server)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// count is how many connections there are from one end to the other.
func (l *lines) count(from, to string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.open {
		if one.from == from && one.to == to {
			n++
		}
	}
	return n
}
