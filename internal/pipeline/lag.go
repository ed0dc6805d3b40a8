package pipeline

import (
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// lag is how far publishing is behind the database. Batches are read and
// published in the same order, and only a few exist, so what is read and not
// published is a short queue.
type lag struct {
	ours     bool          // a lease was given to this node, and it is not known to be over
	pending  []unpublished // in the order of reading
	leftover time.Time     // oldest change that an earlier run had read and not published
	level    time.Time     // when everything was last known to be published; before there is such a time, when the lease began
	behind   int64         // log known to follow the newest batch read; -1 before there is one
	watched  source.Watched
}

type unpublished struct {
	oldest time.Time // commit of the batch's first change; zero without changes
	size   int64
}

// begin starts a run. If the one before was this node's as well, it forgets what that had read, except how old it is; else
// nothing is known.
func (l *lag) begin(again bool, now time.Time) {
	if !l.ours || !again {
		*l = lag{ours: true, level: now, behind: -1}
		return
	}
	if oldest := l.oldest(); !oldest.IsZero() {
		l.leftover = oldest
	}
	l.pending, l.behind = l.pending[:0], -1
}

// watch begins or, with nil, ends to ask a stream for what nobody has read.
func (l *lag) watch(w source.Watched, now time.Time) {
	if l.watched != nil {
		if behind, since := l.follows(); behind == 0 && len(l.pending) == 0 {
			l.level = now
		} else if since.After(l.level) {
			l.level = since
		}
	}
	l.watched = w
	if w == nil {
		l.behind = -1
	}
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

func (l *lag) published(now time.Time) {
	if len(l.pending) > 0 {
		l.pending = append(l.pending[:0], l.pending[1:]...)
	}
	if len(l.pending) == 0 && l.behind == 0 {
		l.level = now
	}
}

// follows returns how much log is known to follow the newest batch, and since when at most; -1 if that is not known.
func (l *lag) follows() (bytes int64, since time.Time) {
	if l.watched != nil {
		if bytes, since = l.watched.Behind(); bytes >= 0 {
			return bytes, since
		}
	}
	return l.behind, time.Time{}
}

// bytes returns -1 if it is not known.
func (l *lag) bytes() int64 {
	total, _ := l.follows()
	if !l.ours || total < 0 {
		return -1
	}
	for _, p := range l.pending {
		total += p.size
	}
	return total
}

// seconds returns -1 if it is not known.
func (l *lag) seconds(now time.Time) float64 {
	if !l.ours {
		return -1
	}
	since := l.oldest()
	if since.IsZero() {
		since = l.leftover
	}
	if since.IsZero() {
		behind, first := l.follows()
		if behind == 0 {
			return 0
		}
		since = l.level
		if first.After(since) {
			since = first
		}
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
