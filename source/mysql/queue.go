package mysql

import (
	"errors"
	"math/bits"
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
	head   int                    // of events
	bytes  int                    // of what is here, of what is read, and of what is on its way
	taken  event                  // that is read
	err    error                  // why nothing more comes
	spare  [maxSpare + 1][][]byte // memory of events that were read, by the power of two that it has
	spares int                    // bytes of it
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, filled: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

// maxSpare is the power of two of the largest memory that is used again, and spareLimit what is kept of it in all.
const (
	maxSpare   = 16
	spareLimit = 1 << 20
)

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
	if n := q.taken.announced(); n > 0 {
		q.bytes -= n
		q.keep(q.taken.raw)
		q.taken = event{}
		signal(q.room)
	}
	if q.head == len(q.events) {
		return event{}, false, q.err
	}
	e = q.events[q.head]
	q.events[q.head] = event{}
	q.head++
	q.taken = e
	return e, true, nil
}

// keep keeps the memory of an event that was read. Most are of one size, and garbage of them all would be much.
func (q *queue) keep(raw []byte) {
	n := cap(raw)
	if n == 0 || bits.OnesCount(uint(n)) != 1 || n > 1<<maxSpare || q.spares+n > spareLimit {
		return
	}
	power := bits.TrailingZeros(uint(n))
	q.spare[power] = append(q.spare[power], raw[:0])
	q.spares += n
}

// memory returns what holds an event of that size.
func (q *queue) memory(size int) []byte {
	power := bits.Len(uint(size - 1))
	if size < 1 || power > maxSpare {
		return make([]byte, 0, size)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.spare[power]); n > 0 {
		raw := q.spare[power][n-1]
		q.spare[power] = q.spare[power][:n-1]
		q.spares -= cap(raw)
		return raw
	}
	return make([]byte, 0, 1<<power)
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

// free lets go of what is here, once nobody pushes or pops any more.
func (q *queue) free() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.events {
		q.events[i].more.free()
	}
	q.events, q.head = nil, 0
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is there already
	}
}
