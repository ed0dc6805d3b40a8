package sourcetest

import (
	"context"
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

var _ source.Repairable = (*Memory)(nil)

// Seek is described at source.Repairable.
func (m *Memory) Seek(_ context.Context, from, to source.Position) (skips bool, err error) {
	number, err := parseMemoryPosition(to)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.prepared || number < m.confirmed || number > len(m.log) {
		return false, &kafkasync.Fault{Class: kafkasync.Stop, What: fmt.Sprintf("position %d is not in the log, which holds %d to %d", number, m.confirmed, len(m.log))}
	}
	if from == "" {
		return true, nil
	}
	was, err := parseMemoryPosition(from)
	return was < number, err
}

// Release is described at source.Repairable: the slot is gone afterwards.
func (m *Memory) Release(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stream != nil {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: "the slot is in use"}
	}
	m.prepared = false
	return nil
}

// Dismantle is described at source.Repairable; there is nothing but the slot.
func (m *Memory) Dismantle(ctx context.Context) (left []string, err error) {
	return nil, m.Release(ctx)
}
