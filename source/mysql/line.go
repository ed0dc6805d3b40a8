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
	// Nor while it reads a compressed transaction from its disk, all of it before it sends the first byte. Then it answers the
	// monitor, which asks it every second: within answerLimit, less than what a server that is cut off has been silent for by silenceLimit.
	answerLimit = silenceLimit - heartbeatEvery - 2*time.Second
	// deadLimit is for a server that answers the monitor, and on this connection says nothing.
	deadLimit = 5 * time.Minute
)

// line is the connection that the log comes over. It gives up a server that falls silent while we
// listen, and it is closed for good by close, also before there is a connection.
type line struct {
	limit    atomic.Int64 // how long a read may take
	answered atomic.Int64 // when the server last answered somebody else, in nanoseconds since 1970
	silent   atomic.Int64 // how long a read took that was given up; 0: none was

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
	silent := time.Duration(l.silent.Load())
	if silent == 0 {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: "the server has been silent for " + silent.Round(time.Second).String(), Unreachable: true,
		Fix: "see what lies between this machine and the server; in a cluster, a node that reaches it takes over",
	}
}

// answers notes that the server has answered somebody else.
func (l *line) answers() { l.answered.Store(time.Now().UnixNano()) }

// lives reports whether it did so a moment ago.
func (l *line) lives() bool { return time.Since(time.Unix(0, l.answered.Load())) < answerLimit }

// listened is a connection whose reads have an end.
type listened struct {
	net.Conn
	line *line
}

func (c *listened) Read(p []byte) (int, error) {
	for began := time.Now(); ; {
		if err := c.SetReadDeadline(time.Now().Add(time.Duration(c.line.limit.Load()))); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if silent := time.Since(began); silent > deadLimit || !c.line.lives() {
			c.line.silent.Store(int64(silent))
			return 0, err
		}
	}
}
