package mysql

import (
	"errors"
	"sync"
)

// errClosed ends what a closed stream has begun.
var errClosed = errors.New("the stream is closed")

// queue holds what has arrived and was not read, up to a limit in bytes, or one event if
// that is larger. It is between one goroutine that pushes and one that pops.
type queue struct {
	limit  int
	filled chan struct{} // holds one: there is something to pop, or the end
	room   chan struct{} // holds one: there is less to pop
	closed chan struct{}

	mu     sync.Mutex
	events []event
	head   int // of events
	bytes  int
	err    error // why nothing more comes
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, filled: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

// push waits until there is room.
func (q *queue) push(e event) error {
	for {
		if q.add(e) {
			signal(q.filled)
			return nil
		}
		select {
		case <-q.room:
		case <-q.closed:
			return errClosed
		}
	}
}

func (q *queue) add(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.events) {
		q.events, q.head = q.events[:0], 0
	} else if q.bytes+e.size() > q.limit {
		return false
	}
	q.events = append(q.events, e)
	q.bytes += e.size()
	return true
}

// pop returns the next event; none if there is none at the moment, with the reason if
// none will come.
func (q *queue) pop() (e event, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.events) {
		return event{}, false, q.err
	}
	e = q.events[q.head]
	q.events[q.head] = event{}
	q.head++
	q.bytes -= e.size()
	signal(q.room)
	return e, true, nil
}

// end says that nothing more comes. The first reason counts.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	signal(q.filled)
}

// close lets go of who waits for room. It is called once.
func (q *queue) close() {
	close(q.closed)
	q.end(errClosed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is there already
	}
}
