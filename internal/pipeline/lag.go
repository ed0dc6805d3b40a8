package pipeline

import (
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// lag is how far publishing is behind the database. Batches are read and
// published in the same order, and only a few exist, so what is read and not
// published is a short queue.
type lag struct {
	pending  []unpublished // in the order of reading
	leftover time.Time     // oldest change that an earlier run had read and not published
	behind   int64         // log known to follow the newest batch read
	newest   time.Time     // commit of the newest published change
}

type unpublished struct {
	oldest time.Time // commit of the batch's first change; zero without changes
	size   int64
}

// begin forgets what the run before had read, except how old it is.
func (l *lag) begin() {
	if oldest := l.oldest(); !oldest.IsZero() {
		l.leftover = oldest
	}
	l.pending = l.pending[:0]
}

func (l *lag) read(b *source.Batch) {
	l.leftover = time.Time{}
	entry := unpublished{size: int64(b.Size())}
	if len(b.Changes) > 0 {
		entry.oldest = b.Changes[0].Committed
	}
	l.pending = append(l.pending, entry)
	l.behind = b.Behind
}

func (l *lag) published(b *source.Batch) {
	if len(l.pending) > 0 {
		l.pending = append(l.pending[:0], l.pending[1:]...)
	}
	if n := len(b.Changes); n > 0 {
		l.newest = b.Changes[n-1].Committed
	}
}

func (l *lag) bytes() int64 {
	total := l.behind
	for _, p := range l.pending {
		total += p.size
	}
	return total
}

func (l *lag) seconds(now time.Time) float64 {
	since := l.oldest()
	if since.IsZero() {
		since = l.leftover
	}
	if since.IsZero() && l.behind > 0 {
		since = l.newest
	}
	if since.IsZero() {
		return 0
	}
	// The database's clock may be ahead of ours.
	return max(0, now.Sub(since).Seconds())
}

// oldest returns the commit of the oldest change that this run has read and not published.
func (l *lag) oldest() time.Time {
	for _, p := range l.pending {
		if !p.oldest.IsZero() {
			return p.oldest
		}
	}
	return time.Time{}
}
