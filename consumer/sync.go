package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Sync is a Handler that keeps a store equal to one table: it loads the rows of a batch from the primary, upserts those
// that exist and deletes those that do not. Which of them a message speaks of, created or deleted, does not
// matter: what the primary has does.
//
// Versions are for a store that guards them (see Version): each is the version of the message that made us load,
// so a row that was loaded before a newer change is never written over it, however long the process was frozen in between.
type Sync[K comparable, Row any] struct {
	Table string // as the source names it: "public.products". Messages of other tables are failures

	// Load returns the rows of ids that exist, from the primary.
	Load   func(ctx context.Context, ids []K) (map[K]Row, error)
	Upsert func(ctx context.Context, found []Item[K, Row]) error
	Delete func(ctx context.Context, missing []Ref[K]) error
	// Truncate deletes what is stored with a lower version. It is called for each partition of the topic. Without it a truncate is a failure.
	Truncate func(ctx context.Context, version int64) error
}

// Item is a row that exists.
type Item[K comparable, Row any] struct {
	ID      K
	Row     Row
	Version int64
	Message kafkasync.Message // the newest one of the row, for Failed
}

// Ref is a row that does not exist.
type Ref[K comparable] struct {
	ID      K
	Version int64
	Message kafkasync.Message // the newest one of the row, for Failed
}

const (
	// lookAgain is how long a row that a message speaks of and that is not there may take to be seen: databases
	// send a commit to the readers of their log a moment before other sessions see it.
	lookAgain = 100 * time.Millisecond
	// justNow is how old an update may be to be looked at again: its row may have been created with it.
	justNow = time.Minute
)

// Validate says what a Sync lacks.
func (s Sync[K, Row]) Validate() error {
	_, err := planOf[K]()
	errs := []error{err}
	for name, is := range map[string]bool{"Table": s.Table != "", "Load": s.Load != nil, "Upsert": s.Upsert != nil, "Delete": s.Delete != nil} {
		if !is {
			errs = append(errs, fmt.Errorf("consumer: Sync.%s must be set", name))
		}
	}
	return errors.Join(errs...)
}

// Handle is described at Handler.
func (s Sync[K, Row]) Handle(ctx context.Context, batch []kafkasync.Message) error {
	plan, err := planOf[K]()
	if err != nil {
		return err
	}
	var failed []error // of single messages
	rows := newRows[K]()
	for i := range batch {
		m := &batch[i]
		switch {
		case m.Table != s.Table:
			failed = append(failed, Failed(*m, fmt.Errorf("it is of the table %s, and Sync.Table is %s", m.Table, s.Table)))
			continue
		case m.Op != kafkasync.Truncated:
			id, err := readID[K](plan, m)
			if err != nil {
				failed = append(failed, Failed(*m, err))
				continue
			}
			rows.add(id, m)
			continue
		case s.Truncate == nil:
			failed = append(failed, Failed(*m, fmt.Errorf("%s was truncated, and Sync.Truncate is not set", m.Table)))
			continue
		}
		// What came before it comes before it in the store.
		err := s.sync(ctx, rows)
		if single(err) {
			err = errors.Join(err, s.Truncate(ctx, Version(m)))
		}
		if failed = append(failed, err); !single(err) {
			return errors.Join(failed...)
		}
		rows = newRows[K]()
	}
	return errors.Join(append(failed, s.sync(ctx, rows))...)
}

// single reports whether an error speaks of single messages only, so that others can go on.
func single(err error) bool { return err == nil || failuresOf(err) != nil }

// sync brings the store in step with the primary.
func (s Sync[K, Row]) sync(ctx context.Context, rows *rows[K]) error {
	if len(rows.ids) == 0 {
		return nil
	}
	loaded, err := s.load(ctx, rows, rows.ids)
	if err != nil {
		return err
	}
	if again := rows.doubtful(func(id K) bool { _, is := loaded[id]; return is }); len(again) > 0 {
		if !pause(ctx.Done(), lookAgain) {
			return context.Cause(ctx)
		}
		late, err := s.load(ctx, rows, again)
		if err != nil {
			return err
		}
		maps.Copy(loaded, late)
	}
	var found []Item[K, Row]
	var missing []Ref[K]
	for _, id := range rows.ids {
		m := rows.newest[id]
		if row, is := loaded[id]; is {
			found = append(found, Item[K, Row]{id, row, Version(m), *m})
		} else {
			missing = append(missing, Ref[K]{id, Version(m), *m})
		}
	}
	if len(found) > 0 {
		err = s.Upsert(ctx, found)
	}
	if len(missing) > 0 && single(err) {
		err = errors.Join(err, s.Delete(ctx, missing))
	}
	return err
}

// load checks what the application returns: a row under an id that was not asked for would be passed over.
func (s Sync[K, Row]) load(ctx context.Context, rows *rows[K], ids []K) (map[K]Row, error) {
	loaded, err := s.Load(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[K]Row, len(loaded)) // ours: the application may keep its own
	for id, row := range loaded {
		if rows.newest[id] == nil {
			return nil, fmt.Errorf("consumer: Sync.Load returned a row with the id %v, which it was not asked for: want the ids as they are in the messages", id)
		}
		all[id] = row
	}
	return all, nil
}

// rows are those that messages speak of, each once.
type rows[K comparable] struct {
	ids    []K
	newest map[K]*kafkasync.Message
}

func newRows[K comparable]() *rows[K] { return &rows[K]{newest: map[K]*kafkasync.Message{}} }

// add takes a message. One row may have several in a batch, if they differ in what they carry beside the id.
func (r *rows[K]) add(id K, m *kafkasync.Message) {
	other := r.newest[id]
	if other == nil {
		r.ids = append(r.ids, id)
	}
	if other == nil || other.Pipeline != m.Pipeline || Version(other) <= Version(m) {
		r.newest[id] = m
	}
}

// doubtful are the ids that are not there and may not be seen yet.
func (r *rows[K]) doubtful(is func(id K) bool) []K {
	var ids []K
	for _, id := range r.ids {
		m := r.newest[id]
		recent := m.Op == kafkasync.Updated && m.Delayed == 0 && time.Since(m.Committed) < justNow
		if !is(id) && (m.Op == kafkasync.Created || recent) {
			ids = append(ids, id)
		}
	}
	return ids
}
