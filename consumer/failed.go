package consumer

import (
	"errors"
	"fmt"

	"github.com/kafkasync/kafkasync"
)

// failure is a message that a handler could not handle, while it did others.
type failure struct {
	message kafkasync.Message
	err     error
}

// Failed marks one message of a batch as failed. A handler that returns it, or several of them joined with
// errors.Join, has done all others of the batch: they are not handed over again while the process lives. Only
// those that are marked come again, and after Config.Retries they go to Config.DeadLetters, if it is set. An error
// beside it that is no such mark makes the whole batch come again.
func Failed(msg kafkasync.Message, err error) error {
	if err == nil {
		err = errors.New("the handler gave no reason")
	}
	return &failure{msg, err}
}

func (f *failure) Error() string {
	return fmt.Sprintf("message at offset %d of partition %d of topic %s: %s", f.message.Offset, f.message.Partition, f.message.Topic, f.err)
}

func (f *failure) Unwrap() error { return f.err }

// failuresOf returns the single failures of which an error is made, by offset; nil if there is anything else in it.
func failuresOf(err error) map[int64]*failure {
	found := map[int64]*failure{}
	if !gather(err, found) {
		return nil
	}
	return found
}

func gather(err error, found map[int64]*failure) bool {
	switch e := err.(type) { //nolint:errorlint // each layer is looked at by itself
	case *failure:
		found[e.message.Offset] = e
		return true
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		return inner != nil && gather(inner, found)
	case interface{ Unwrap() []error }:
		all := e.Unwrap()
		for _, one := range all {
			if !gather(one, found) {
				return false
			}
		}
		return len(all) > 0
	default:
		return false
	}
}

// keepFailed takes out of a batch what is done beside single failures, and counts these. It returns what is wrong.
func (b *batch) keepFailed(err error) error {
	failures := failuresOf(err)
	if failures == nil {
		return err
	}
	var failed []kafkasync.Message
	for _, m := range b.todo {
		if f := failures[m.Offset]; f != nil && f.message.Topic == m.Topic && f.message.Partition == m.Partition {
			failed = append(failed, m)
		}
	}
	if len(failed) != len(failures) {
		return fmt.Errorf("the handler marked a message as failed that is not in its batch, so all of the batch is tried again: %w", err)
	}
	if b.marks == nil {
		b.marks = map[int64]mark{}
	}
	for _, m := range failed {
		b.marks[m.Offset] = mark{b.marks[m.Offset].times + 1, failures[m.Offset].err}
	}
	b.todo = failed
	return err
}
