package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

var _ source.Repairable = (*Source)(nil)

// Seek is described at source.Repairable. The server can be read from any place that it has
// had, and whose sequel it still has.
func (s *Source) Seek(ctx context.Context, from, to source.Position) (skips bool, err error) {
	at, err := parsePosition(to)
	if err != nil {
		return false, &kafkasync.Fault{
			Class: kafkasync.Stop, What: err.Error(), Fix: "give a position as `kafkasync position show` prints it",
		}
	}
	if err := s.seek(ctx, at); err != nil {
		return false, s.explain(err)
	}
	if from == "" {
		return true, nil
	}
	was, err := parsePosition(from)
	if err != nil {
		return false, err
	}
	return !was.reached(at), nil
}

func (s *Source) seek(ctx context.Context, at place) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := s.continues(ctx, c, at); err != nil {
		return err
	}
	// Only asking for the log shows whether a MariaDB still has it.
	d, err := s.startDump(ctx, c.server, at)
	if err != nil {
		return err
	}
	defer d.close()
	select {
	case <-d.queue.filled:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// The first events are made up by the server, and come whatever it has.
	first := time.NewTimer(time.Second)
	defer first.Stop()
	for {
		_, more, err := d.queue.pop()
		if err != nil {
			return s.dumpFault(d, c.server, err)
		}
		if more {
			continue
		}
		select {
		case <-d.queue.filled:
		case <-first.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Release does nothing: a server keeps its log by its own rules, not for us.
func (s *Source) Release(context.Context) error { return nil }

// Dismantle does nothing: nothing was made.
func (s *Source) Dismantle(context.Context) (left []string, err error) { return nil, nil }

// Reach returns nil if a server that can be read takes a new connection and answers before ctx ends.
func (s *Source) Reach(ctx context.Context) error {
	c, err := s.connect(ctx)
	var answer *mysql.MyError
	if errors.As(err, &answer) && !kafkasync.Unreachable(err) {
		return nil // it has answered, be it with a refusal
	}
	if err != nil {
		return fmt.Errorf("reaching the server: %w", err)
	}
	c.close()
	return nil
}
