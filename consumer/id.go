package consumer

import (
	"fmt"

	"github.com/kafkasync/kafkasync"
)

// ID returns the id of the row that a message is about. T is the type of the payload's one column, or, where there
// are several, of the one that the key is: an integer, string, float or bool type, an array of bytes
// (which are in hexadecimal, as a UUID is), or whatever reads itself from text. For a composite id it is a struct whose fields
// are such types and have the names of columns, by their json tags if they have one; a tombstone, which has a key only, is read
// in the order of the fields.
func ID[T comparable](m *kafkasync.Message) (T, error) {
	plan, err := planOf[T]()
	if err != nil {
		var none T
		return none, err
	}
	return readID[T](plan, m)
}

// IDs returns the ids of a batch, each once, in order. A message without a row, a truncate, is an error: look at its Op before.
func IDs[T comparable](batch []kafkasync.Message) ([]T, error) {
	plan, err := planOf[T]()
	if err != nil {
		return nil, err
	}
	ids, seen := make([]T, 0, len(batch)), make(map[T]bool, len(batch))
	for i := range batch {
		id, err := readID[T](plan, &batch[i])
		if err != nil {
			// Not as Failed: a handler that returns it has not done the others.
			return nil, fmt.Errorf("message at offset %d of partition %d of topic %s: %w", batch[i].Offset, batch[i].Partition, batch[i].Topic, err)
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}
