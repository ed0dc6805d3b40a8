package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
)

const (
	lookEvery    = time.Second
	settleEvery  = 100 * time.Millisecond
	queryTimeout = 10 * time.Second
)

// monitor watches the server beside the stream, over an ordinary connection: how far its log
// reaches, whether it still takes writes, and what it has committed. It is of no consequence to correctness: what it cannot do, it says
// once and tries again.
type monitor struct {
	server   lookup
	log      *slog.Logger
	settling *settling
	answers  func()      // is told that the server lives
	leave    func(error) // ends the stream
	done     chan struct{}

	unsettled time.Duration // how long a position had waited at the last look

	mu    sync.Mutex
	file  string // that the stream reads
	at    uint64
	files []logFile // of the server, oldest first
	level time.Time // when nothing was found to be left, or the first look
}

type logFile struct {
	name string
	size uint64
}

func newMonitor(server lookup, log *slog.Logger, settling *settling, answers func(), leave func(error)) *monitor {
	return &monitor{server: server, log: log, settling: settling, answers: answers, leave: leave, done: make(chan struct{})}
}

// wait returns when run has ended.
func (m *monitor) wait() { <-m.done }

// reached notes how far the stream is.
func (m *monitor) reached(file string, at uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file, m.at = file, at
}

// behind returns how many bytes of log are known to follow what was read; -1 while that is not known.
func (m *monitor) behind() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left()
}

func (m *monitor) left() int64 {
	if m.file == "" || len(m.files) == 0 {
		return -1
	}
	left, found := int64(0), false
	for _, f := range m.files {
		switch {
		case found:
			left += int64(f.size)
		case f.name == m.file:
			left, found = max(0, int64(f.size)-int64(m.at)), true
		}
	}
	return left // 0 if the file is newer than the last look
}

// since is from when on there has been something left, at most.
func (m *monitor) since() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.level
}

// run looks after the server until ctx ends.
func (m *monitor) run(ctx context.Context) {
	defer close(m.done)
	said := ""
	for ctx.Err() == nil {
		err := m.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said {
			m.log.WarnContext(ctx, "watching the database", "err", err)
			said = text
		}
		pause(ctx, lookEvery)
	}
}

// watch does so over one connection, until it breaks.
func (m *monitor) watch(ctx context.Context) error {
	c, err := m.server.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		if err := m.look(ctx, c); err != nil {
			return err
		}
		if err := m.rest(ctx, c); err != nil {
			return err
		}
	}
}

// rest waits for the next look, and asks meanwhile what the server has committed, if a position waits for that.
func (m *monitor) rest(ctx context.Context, c *session) error {
	next := time.NewTimer(lookEvery)
	defer next.Stop()
	for {
		select {
		case <-m.settling.asked:
		case <-next.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := m.settle(ctx, c); err != nil {
			return err
		}
		if !pause(ctx, settleEvery) {
			return ctx.Err()
		}
	}
}

func (m *monitor) look(ctx context.Context, c *session) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if err := m.attend(ctx, c); err != nil {
		return err
	}
	m.answers() // what follows waits while a large transaction is written to the log
	file, end, err := c.logEnd(ctx, m.server.source.mariaDB())
	if err != nil {
		return err
	}
	files := []logFile{{file, end}}
	if m.elsewhere(file) {
		if files, err = c.logFiles(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = files
	if m.level.IsZero() || m.left() == 0 {
		m.level = time.Now()
	}
	return nil
}

func (m *monitor) elsewhere(file string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.file != file
}

// attend looks at what the server is to others. It ends the stream of one that takes no writes any more, where the URL
// names others: one of them may have been promoted, and this one's log end for good.
func (m *monitor) attend(ctx context.Context, c *session) error {
	readOnly, waits, err := c.role(ctx)
	if err != nil {
		return err
	}
	m.settling.waitsFor(waits)
	if !readOnly || len(m.server.source.to.hosts) == 1 {
		return nil
	}
	what := fmt.Sprintf("the server at %s takes no writes any more", c.server.host)
	m.leave(&kafkasync.Fault{What: what}) // which is the stream's from here on
	return errors.New(what)
}

// logFiles lists the files of the log with their sizes.
func (c *session) logFiles(ctx context.Context) ([]logFile, error) {
	rows, err := c.askTexts(ctx, "asking for the files of the log", "SHOW BINARY LOGS")
	if err != nil {
		return nil, err
	}
	files := make([]logFile, len(rows))
	for i, row := range rows {
		size, err := strconv.ParseUint(row[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("asking for the files of the log: %w", err)
		}
		files[i] = logFile{row[0], size}
	}
	return files, nil
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
