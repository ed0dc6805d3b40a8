package delayer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// outgrown is how many times more partitions there may be than the group was opened for.
const outgrown = 4

// subscribe joins the group for the topics that have the delay now, and returns what tells of the next change.
func (m *member) subscribe() (changed <-chan struct{}, err error) {
	pairs, changed := m.cfg.Pairs()
	m.pairs = byTopic(pairs, m.cfg.Delay)
	if partitionsOf(m.pairs) > outgrown*m.sized {
		return nil, errOutgrown
	}
	topics := slices.Sorted(maps.Keys(m.pairs))
	if len(topics) == 0 {
		return changed, nil // who runs us is about to end us
	}
	if err := m.group.Subscribe(topics); err != nil {
		return nil, fmt.Errorf("subscribing to %d topics: %w", len(topics), m.cfg.explain(err))
	}
	return changed, nil
}

// answer does what an event asks for.
func (m *member) answer(ctx context.Context, event any) error {
	switch e := event.(type) {
	case rdkafka.Assigned:
		return m.assigned(ctx, e.Places)
	case rdkafka.Revoked:
		return m.revoked(ctx, e)
	case rdkafka.Committed:
		return m.committed(e.Err)
	case error:
		m.status.SetError(m.cfg.explain(e))
	}
	return nil
}

// assigned begins to read partitions.
func (m *member) assigned(ctx context.Context, places []rdkafka.Place) error {
	added, err := m.begin(ctx, places)
	if err != nil {
		return err
	}
	feeds, err := m.group.Assign(places)
	if err != nil {
		return m.cfg.explain(err)
	}
	for i, p := range added {
		p.feed = feeds[i]
		m.partitions[place{p.place.Topic, p.place.Partition}] = p
		m.order = append(m.order, p)
	}
	m.status.SetError(nil)
	m.divide()
	return nil
}

// begin decides where each partition is read from, in places as well.
func (m *member) begin(ctx context.Context, places []rdkafka.Place) ([]*partition, error) {
	if len(places) == 0 {
		return nil, nil
	}
	var topics []string
	for _, p := range places {
		if !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
		}
	}
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	found, err := m.offsets.Survey(asking, topics)
	cancel()
	if err != nil {
		return nil, fmt.Errorf("looking where to begin: %w", m.cfg.explain(err))
	}
	report := newReport()
	added := make([]*partition, len(places))
	for i := range places {
		at := slices.IndexFunc(found, func(f Partition) bool { return f.Topic == places[i].Topic && f.Number == places[i].Partition })
		if at < 0 {
			return nil, fmt.Errorf("looking where to begin: partition %d of topic %s is assigned and not there", places[i].Partition, places[i].Topic)
		}
		if added[i], err = m.locate(ctx, &found[at], report); err != nil {
			return nil, err
		}
		places[i].Offset = added[i].place.Offset
	}
	report.tell(ctx, m)
	return added, nil
}

// locate makes a partition of what was found.
func (m *member) locate(ctx context.Context, f *Partition, report *report) (*partition, error) {
	m.recall(f)
	s := begin(*f, m.pairs[f.Topic])
	if s.cause == forgotten {
		s.since = m.cfg.now().Add(-m.cfg.Delay - surprising)
	}
	if !s.since.IsZero() {
		asking, cancel := context.WithTimeout(ctx, surveyLimit)
		at, err := m.offsets.At(asking, f.Topic, f.Number, s.since)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("looking where to begin: %w", m.cfg.explain(err))
		}
		s.settle(at)
	}
	report.add(f, s)
	p := &partition{id: f.ID, end: f.End, taken: s.offset, told: -1}
	if n, ok := parseNote(f.Note); ok && s.cause == goesOn {
		p.newest = n.at
	}
	p.place = rdkafka.Place{Topic: f.Topic, Partition: f.Number, Offset: s.offset}
	p.advance()
	return p, nil
}

// recall takes what could not be committed of a partition for what the group has committed, if its topic was
// created again since: the brokers forget a topic's offsets with it, and nobody else knows what waited.
func (m *member) recall(f *Partition) {
	key := place{f.Topic, f.Number}
	n, noted := parseNote(m.left[key].Metadata)
	if noted && f.Committed < 0 && n.id != f.ID && n.id != "" && f.ID != "" {
		f.Committed, f.Note = m.left[key].Offset, m.left[key].Metadata
	}
	delete(m.left, key)
}

// revoked gives partitions back: once what is in flight of them is acknowledged, and what is done is
// committed; or at once, if they are somebody else's already.
func (m *member) revoked(ctx context.Context, e rdkafka.Revoked) error {
	var ours []*partition
	for _, p := range e.Places {
		if one := m.partitions[place{p.Topic, p.Partition}]; one != nil {
			ours = append(ours, one)
		}
	}
	if e.Lost { // librdkafka says so too when the topic is gone
		m.leaveBehind(ours)
	} else {
		m.finish(ctx, ours)
	}
	m.drop(ours)
	if err := m.group.Unassign(e.Places); err != nil {
		return m.cfg.explain(err)
	}
	m.divide()
	return nil
}

// finish waits for what is in flight of the partitions, as long as it may, and commits what is done of them.
func (m *member) finish(ctx context.Context, ours []*partition) {
	if m.flying && slices.ContainsFunc(ours, func(p *partition) bool { return p.flying }) {
		timer := time.NewTimer(landing)
		defer timer.Stop()
		select {
		case b, ok := <-m.landed:
			if ok { // else it was not acknowledged
				m.land(b)
			}
		case <-timer.C:
			m.log.InfoContext(ctx, "partitions are given back before what is in flight is acknowledged: it will be re-sent again", "after", landing)
		}
	}
	if len(ours) == 0 {
		return
	}
	now := m.clock.read()
	places := make([]rdkafka.Place, len(ours))
	for i, p := range ours {
		places[i], _ = p.noted(m.delay, now)
	}
	if err := m.group.Commit(places, true); err != nil {
		// The next holder re-sends what was done since the last commit: repeats, no loss.
		m.log.InfoContext(ctx, "the last offsets of partitions were not committed", "err", err)
		m.leaveBehind(ours)
	}
}

// leaveBehind remembers what is not committed of partitions.
func (m *member) leaveBehind(ours []*partition) {
	now := m.clock.read()
	for _, p := range ours {
		m.left[place{p.place.Topic, p.place.Partition}], _ = p.noted(m.delay, now)
	}
}

// drop forgets partitions.
func (m *member) drop(ours []*partition) {
	for _, p := range ours {
		p.gone = true
		p.feed.Close()
		delete(m.partitions, place{p.place.Topic, p.place.Partition})
	}
	m.order = slices.DeleteFunc(m.order, func(p *partition) bool { return p.gone })
}

// divide gives each partition its share of what is held.
func (m *member) divide() {
	m.share = min(max(heldBytes/chunksHeld/max(1, len(m.order)), leastShare), mostShare)
	m.most = max(1, m.share/sizeOfRecord)
	m.free = slices.DeleteFunc(m.free, func(c *chunk) bool { return c.records.Size() > m.share })
}

// restart reads partitions from another place on, because their own is not there any more.
func (m *member) restart(ctx context.Context, ours []*partition) error {
	if len(ours) == 0 {
		return nil
	}
	places := make([]rdkafka.Place, len(ours))
	for i, p := range ours {
		places[i] = p.place
	}
	if err := m.revoked(ctx, rdkafka.Revoked{Places: places}); err != nil {
		return err
	}
	return m.assigned(ctx, places)
}

// leave ends the membership: what is in flight is waited for, what is done is committed.
func (m *member) leave(ctx context.Context) {
	ours := slices.Clone(m.order)
	m.finish(ctx, ours)
	m.drop(ours)
	var places []rdkafka.Place
	for _, p := range ours {
		places = append(places, p.place)
	}
	if len(places) > 0 {
		if err := m.group.Unassign(places); err != nil {
			m.log.InfoContext(ctx, "leaving the group", "err", err)
		}
	}
}
