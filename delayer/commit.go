package delayer

import (
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// commitEvery bounds what is published again after a crash.
	commitEvery = 500 * time.Millisecond
	// wordLasts is how long the group's last word that this member is one of it counts. A process that was frozen
	// for as long as its session lasts must ask before it publishes.
	wordLasts = sessionTimeout / 2
)

// commit tells the group how far the partitions are, twice a second and when its word is needed.
func (m *member) commit(now reading) error {
	at := m.cfg.now()
	if m.committing || at.Before(m.tick) {
		return nil
	}
	m.tick = at.Add(commitEvery)
	needed := at.Sub(m.word) >= wordLasts && m.due(now)
	var places []rdkafka.Place
	for _, p := range m.order {
		// librdkafka fails a commit as a whole if one topic is gone, and takes some seconds to take its
		// partitions away: the others must not be without the group's word for so long.
		if p.absent {
			continue
		}
		place, n := p.noted(m.delay, now)
		if needed || place.Offset != p.told || n.next != p.toldNext {
			p.told, p.toldNext = place.Offset, n.next
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return nil
	}
	if err := m.group.Commit(places, false); err != nil {
		return fmt.Errorf("committing offsets: %w", m.cfg.explain(err))
	}
	m.committing, m.asked = true, at
	return nil
}

// due reports whether something waits for the group's word.
func (m *member) due(now reading) bool {
	for _, p := range m.order {
		if at, left := p.next(m.delay, now); at != 0 && left == 0 && !p.absent {
			return true
		}
	}
	return false
}

// committed takes note of what came of a commit.
func (m *member) committed(err error) error {
	m.committing = false
	switch {
	case err == nil:
		m.word = m.asked
		m.status.SetError(nil)
		return nil
	case isFenced(err):
		// The group has gone on without us, or is about to: it says so itself, with what is taken away.
	case isPassing(err):
		m.status.SetError(m.cfg.explain(err))
	default:
		return fmt.Errorf("committing offsets: %w", m.cfg.explain(err))
	}
	for _, p := range m.order {
		p.told = -1 // again
	}
	return nil
}

// vouched reports whether the group's word that we are one of it is recent; if it is not, it is asked for:
// a process that was frozen would else publish for partitions that are somebody else's by now. The word
// is that of a commit, which is refused to a member of an older generation.
func (m *member) vouched() bool {
	if m.cfg.now().Sub(m.word) < wordLasts {
		return true
	}
	// Now; but while it is refused or not answered, that is not asked as fast as we can.
	if soon := m.asked.Add(pollEvery); soon.Before(m.tick) {
		m.tick = soon
	}
	return false
}
