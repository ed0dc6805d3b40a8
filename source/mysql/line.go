package mysql

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafkasync/kafkasync"
)

const (
	heartbeatEvery = 5 * time.Second
	// A server that lives sends a heartbeat when it has nothing else.
	silenceLimit = 15 * time.Second
	// It sends none while it looks for the place to begin at, which may be far back in large files.
	seekLimit = 2 * time.Minute
)

// line is the connection that the log comes over. It gives up a server that falls silent while we
// listen, and it is closed for good by close, also before there is a connection.
type line struct {
	limit  atomic.Int64 // how long a read may take
	silent atomic.Bool

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

// wrap makes the connection ours, or closes it if the line is closed.
func (l *line) wrap(c net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(errClosed, c.Close())
	}
	l.conn = c
	return &listened{Conn: c, line: l}, nil
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.Close() // nothing depends on how it goes
	}
}

// fault is why the line ended, if that was silence.
func (l *line) fault() error {
	if !l.silent.Load() {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: "the server has been silent for " + time.Duration(l.limit.Load()).String(), Unreachable: true,
		Fix: "see what lies between this machine and the server; in a cluster, a node that reaches it takes over",
	}
}

// listened is a connection whose reads have an end.
type listened struct {
	net.Conn
	line *line
}

func (c *listened) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Duration(c.line.limit.Load()))); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.line.silent.Store(true)
	}
	return n, err
}
