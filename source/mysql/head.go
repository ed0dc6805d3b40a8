package mysql

import (
	"context"
	"fmt"

	"github.com/kafkasync/kafkasync/source"
)

// Head returns where the log ends. Nothing is made on the server: its log is there anyhow.
func (s *Source) Head(ctx context.Context, memory source.Memory) (source.Position, error) {
	at, err := s.head(ctx, memory)
	return at, s.explain(err)
}

func (s *Source) head(ctx context.Context, memory source.Memory) (source.Position, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	// Before the tables are listed: of one that is created in between, the log has all.
	at, err := c.end(ctx, s.mariaDB())
	if err != nil {
		return "", err
	}
	tables, err := s.captured(ctx, c)
	if err != nil {
		return "", err
	}
	if !memory.Declared() {
		if err := memory.Declare(ctx); err != nil {
			return "", err
		}
	}
	if err := memory.Cover(ctx, firstCoverage(memory.Covered(), tables), nil); err != nil {
		return "", fmt.Errorf("registering the tables: %w", err)
	}
	return at.position(), nil
}
