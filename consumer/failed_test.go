package consumer

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kafkasync/kafkasync"
)

func TestOnlySingleFailuresAreTakenApart(t *testing.T) {
	msgs := []kafkasync.Message{{Topic: "a", Offset: 3}, {Topic: "a", Offset: 4}, {Topic: "a", Offset: 5}}
	other := errors.New("the index is away")
	tests := []struct {
		name string
		err  error
		left []int64
	}{
		{"one", Failed(msgs[1], other), []int64{4}},
		{"wrapped", fmt.Errorf("indexing: %w", Failed(msgs[1], other)), []int64{4}},
		{"several", errors.Join(Failed(msgs[2], other), fmt.Errorf("x: %w", errors.Join(Failed(msgs[0], nil)))), []int64{3, 5}},
		{"several in one text", fmt.Errorf("%w and %w", Failed(msgs[0], other), Failed(msgs[1], other)), []int64{3, 4}},
		{"another error", other, []int64{3, 4, 5}},
		{"another error beside them", errors.Join(Failed(msgs[0], other), other), []int64{3, 4, 5}},
		{"a message of another batch", errors.Join(Failed(msgs[0], other), Failed(kafkasync.Message{Topic: "a", Offset: 9}, other)), []int64{3, 4, 5}},
		{"the same offset of another partition", Failed(kafkasync.Message{Topic: "a", Partition: 1, Offset: 4}, other), []int64{3, 4, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := batch{todo: append([]kafkasync.Message{}, msgs...), next: 6}
			if err := b.keepFailed(tt.err); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want what was wrong", err)
			}
			var left []int64
			for _, m := range b.todo {
				left = append(left, m.Offset)
			}
			if fmt.Sprint(left) != fmt.Sprint(tt.left) {
				t.Errorf("got offsets %v left, want %v", left, tt.left)
			}
			if b.done() != tt.left[0] {
				t.Errorf("got offset %d done, want %d", b.done(), tt.left[0])
			}
		})
	}
}
