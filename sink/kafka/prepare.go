package kafka

import (
	"context"
	"time"

	"github.com/kafkasync/kafkasync/sink"
)

var _ sink.Preparer = (*Sink)(nil)

// Prepare is described at sink.Preparer. It is not for use beside Publish.
func (s *Sink) Prepare(ctx context.Context, topics []string) error {
	s.stall = stall{acked: s.window.acked.Load(), since: time.Now()}
	err := s.insist(ctx, func(context.Context) error {
		return s.producer.Reach(metadataTry)
	})
	for _, name := range topics {
		if err != nil {
			break
		}
		_, err = s.topic(ctx, name)
	}
	if err != nil {
		s.broken = err
	}
	return err
}
