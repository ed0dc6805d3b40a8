package mysql

import (
	"errors"
	"sync"
)

// errClosed ends what a closed stream has begun.
var errClosed = errors.New("the stream is closed")

// queue holds what has arrived and was not read to its end, up to a limit in bytes, or one event if
// that is larger: the next one has no room before that is done with, since a compressed transaction may have a gigabyte. It
// is between one goroutine that reserves and pushes, and one that pops.
type queue struct {
	limit  int
	filled chan struct{} // holds one: there is something to pop, or the end
	room   chan struct{} // holds one: there is less to pop
	closed chan struct{}

	mu     sync.Mutex
	events []event
	head   int   // of events
	bytes  int   // of what is here, of what is read, and of what is on its way
	taken  int   // of the event that is read
	err    error // why nothing more comes
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, filled: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

// reserve waits until there is room for an event of that size, which push will bring.
func (q *queue) reserve(size int) error {
	for {
		if q.fits(size) {
			return nil
		}
		select {
		case <-q.room:
		case <-q.closed:
			return errClosed
		}
	}
}

func (q *queue) fits(size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+size > q.limit {
		return false
	}
	q.bytes += size
	return true
}

// push takes an event for which there is room.
func (q *queue) push(e event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.events) {
		q.events, q.head = q.events[:0], 0
	}
	q.events = append(q.events, e)
	signal(q.filled)
}

// pop returns the next event, once the one before it is done with; none if there is none at the moment, with the reason
// if none will come.
func (q *queue) pop() (e event, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken > 0 {
		q.bytes -= q.taken
		q.taken = 0
		signal(q.room)
	}
	if q.head == len(q.events) {
		return event{}, false, q.err
	}
	e = q.events[q.head]
	q.events[q.head] = event{}
	q.head++
	q.taken = e.announced()
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

// close lets go of who waits for room, and of what is here. It is called once.
func (q *queue) close() {
	close(q.closed)
	q.end(errClosed)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events, q.head = nil, 0
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is there already
	}
}
