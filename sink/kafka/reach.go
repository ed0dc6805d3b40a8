package kafka

import (
	"context"
	"time"
)

// Reach returns nil if a broker takes a new connection and answers before ctx ends; else why not, as Publish would say why it waits.
func Reach(ctx context.Context, cfg Config) error {
	s, err := Open(ctx, cfg, Options{})
	if err != nil {
		return err
	}
	// Whoever asks does not wait: a broker that is silent may hold this up.
	defer func() { go func() { _ = s.Close() }() }() // which returns no error
	limit := metadataTry
	if until, ok := ctx.Deadline(); ok {
		limit = max(time.Millisecond, time.Until(until))
	}
	if err = s.producer.Reach(limit); err == nil {
		return nil
	}
	if s.window.troubled() == nil {
		s.window.setTrouble(err)
	}
	return s.silenceFault(limit)
}
