package consumer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// coming is partitions that the group has given to this member and that are not read yet.
type coming struct {
	places []rdkafka.Place
	again  time.Time // when to look again where they begin: Kafka did not answer
	tries  int
}

// going is partitions that are to be given back, once their handlers have ended or the time for that is over.
type going struct {
	places []rdkafka.Place
	ours   []*partition
	unread []rdkafka.Place // of places, those that had not been assigned yet
	until  time.Time
	lost   bool // they are somebody else's already
}

// revoked begins to give partitions back. The others go on meanwhile.
func (m *member) revoked(e rdkafka.Revoked) {
	g := &going{places: e.Places, until: time.Now().Add(m.cfg.Drain), lost: e.Lost}
	if m.coming != nil { // of what was to come, some goes again
		var stays []rdkafka.Place
		for _, at := range m.coming.places {
			if slices.ContainsFunc(e.Places, func(o rdkafka.Place) bool { return o.Topic == at.Topic && o.Partition == at.Partition }) {
				g.unread = append(g.unread, at)
			} else {
				stays = append(stays, at)
			}
		}
		if m.coming.places = stays; len(stays) == 0 {
			m.coming = nil
		}
	}
	for _, at := range e.Places {
		if p := m.partitions[place{at.Topic, at.Partition}]; p != nil {
			g.ours = append(g.ours, p)
			p.leave()
			if e.Lost && p.busy {
				p.cancel(ErrRevoked)
			}
		}
	}
	m.going = g
}

// settle goes on with what could not be done at once.
func (m *member) settle(ctx context.Context) error {
	if g := m.going; g != nil {
		busy := slices.ContainsFunc(g.ours, func(p *partition) bool { return p.busy })
		if busy && !g.lost && time.Now().Before(g.until) {
			return nil
		}
		m.going = nil
		if err := m.giveBack(ctx, g); err != nil {
			return err
		}
	}
	if c := m.coming; c != nil && !time.Now().Before(c.again) {
		return m.assigned(ctx, c)
	}
	return nil
}

// giveBack commits what is done of partitions and parts with them.
func (m *member) giveBack(ctx context.Context, g *going) error {
	if !g.lost {
		m.commitNow(ctx, g.ours)
	}
	m.drop(g.ours)
	if len(g.unread) > 0 { // librdkafka takes back only what was assigned
		feeds, err := m.group.Assign(g.unread)
		if err != nil {
			return m.cfg.explain(err)
		}
		for _, f := range feeds {
			f.Close()
		}
	}
	if err := m.group.Unassign(g.places); err != nil {
		return m.cfg.explain(err)
	}
	m.divide()
	return nil
}

// commitNow commits what is done of partitions, and waits for it.
func (m *member) commitNow(ctx context.Context, ours []*partition) {
	var places []rdkafka.Place
	for _, p := range ours {
		if at := p.at(); at.Offset >= 0 {
			places = append(places, at)
		}
	}
	if len(places) == 0 {
		return
	}
	if err := m.group.Commit(places, true); err != nil {
		// Whoever has them next handles again what was done since the last commit.
		m.log.InfoContext(ctx, "the last offsets of partitions were not committed", "err", err)
	}
}

// drop forgets partitions. A handler that is still at work is told, and keeps its partition from being
// handled twice at the same time.
func (m *member) drop(ours []*partition) {
	for _, p := range ours {
		if p.busy {
			p.cancel(ErrRevoked)
			m.lingering[p.place] = p
		}
		p.close()
		if m.partitions[p.place] == p {
			delete(m.partitions, p.place)
			m.status.remove(p)
		}
	}
}

// assigned begins to read partitions.
func (m *member) assigned(ctx context.Context, c *coming) error {
	if len(m.partitions)+len(c.places) > outgrown*m.group.Size() {
		return errOutgrown
	}
	begun, err := m.begin(ctx, c.places)
	if err != nil && isPassing(err) && ctx.Err() == nil {
		c.tries++
		c.again = time.Now().Add(backoff(c.tries, 100*time.Millisecond, 5*time.Second))
		m.status.setError(m.cfg.explain(err))
		return nil
	}
	m.coming = nil
	if err != nil {
		return err
	}
	feeds, err := m.group.Assign(c.places)
	if err != nil {
		return m.cfg.explain(err)
	}
	var fresh []*partition
	for i, b := range begun {
		at := place{c.places[i].Topic, c.places[i].Partition}
		p := &partition{
			place: at, note: b.note, told: c.places[i].Offset, stop: make(chan struct{}), feed: feeds[i],
			decode: decoder{topic: at.topic, partition: at.number}, fold: newFold(),
		}
		p.done.Store(p.told)
		if b.fresh || b.gap != nil {
			fresh = append(fresh, p)
		}
		m.partitions[at] = p
		m.status.add(p, m.lingering[at] != nil)
	}
	m.divide()
	m.status.setError(nil)
	m.commitNow(ctx, fresh) // before the first message is handled: whoever comes next begins there too
	return nil
}

// begin decides where each partition is read from, in places as well.
func (m *member) begin(ctx context.Context, places []rdkafka.Place) ([]beginning, error) {
	if len(places) == 0 {
		return nil, nil
	}
	found, err := m.survey(ctx, places)
	if err != nil {
		return nil, err
	}
	known, counts := origins(found), map[string]int{}
	for i := range found {
		counts[found[i].Topic]++
	}
	begun := make([]beginning, len(places))
	for i := range places {
		at := slices.IndexFunc(found, func(f broker.Partition) bool { return f.Topic == places[i].Topic && f.Number == places[i].Partition })
		if at < 0 {
			return nil, fmt.Errorf("looking where to begin: partition %d of topic %s is assigned and not there: %w",
				places[i].Partition, places[i].Topic, context.DeadlineExceeded) // it passes: the brokers do not agree yet
		}
		b := begin(&found[at], known, counts[found[at].Topic], m.cfg.Start, time.Now())
		if err := m.locate(ctx, &found[at], &b); err != nil {
			return nil, err
		}
		places[i].Offset, begun[i] = b.offset, b
	}
	return begun, nil
}

// survey asks about all partitions of the topics of places.
func (m *member) survey(ctx context.Context, places []rdkafka.Place) ([]broker.Partition, error) {
	topics := map[string]bool{}
	for _, p := range places {
		topics[p.Topic] = true
	}
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	found, err := m.group.Survey(asking, slices.Sorted(maps.Keys(topics)))
	if err != nil {
		return nil, fmt.Errorf("looking where to begin: %w", m.cfg.explain(err))
	}
	return found, nil
}

// locate asks for an offset by time, and whether a gap is to be borne.
func (m *member) locate(ctx context.Context, f *broker.Partition, b *beginning) error {
	if b.gap != nil {
		if m.cfg.OnGap == nil {
			return m.cfg.fault(b.gap)
		}
		if err := m.cfg.OnGap(ctx, *b.gap); err != nil {
			return err
		}
		m.log.WarnContext(ctx, "going on behind messages that are gone", "topic", f.Topic, "partition", f.Number, "from", b.gap.From, "at", b.offset)
	}
	if b.since.IsZero() {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	at, err := m.group.At(asking, f.Topic, f.Number, b.since)
	if err != nil {
		return fmt.Errorf("looking where to begin: %w", m.cfg.explain(err))
	}
	b.offset = at
	return nil
}

// divide gives each partition its share of the memory: an eighth of all is for the bytes of batches, an eighth for
// what messages take beside them. The rest is for what is fetched ahead.
func (m *member) divide() {
	share := max(m.cfg.Memory/8/max(1, len(m.partitions)), leastBatch)
	for _, p := range m.partitions {
		p.limit(min(m.cfg.BatchSize, max(1, share/sizeOfMessage)), min(share, mostBatch))
	}
}

// restart looks anew where a partition can be read, which ends Run if something is gone.
func (m *member) restart(ctx context.Context, p *partition) error {
	at := []rdkafka.Place{{Topic: p.place.topic, Partition: p.place.number}}
	if err := m.giveBack(ctx, &going{places: at, ours: []*partition{p}}); err != nil {
		return err
	}
	if m.coming == nil {
		m.coming = &coming{}
	}
	m.coming.places = append(m.coming.places, at...)
	return nil
}

// leave ends the membership: handlers are waited for as long as Config.Drain says, what is done is committed.
func (m *member) leave(ctx context.Context) error {
	ours := slices.Collect(maps.Values(m.partitions))
	for _, p := range ours {
		p.leave()
	}
	m.drain(ctx, ours)
	m.commitNow(ctx, ours)
	m.drop(ours)
	var places []rdkafka.Place
	for _, p := range ours {
		places = append(places, rdkafka.Place{Topic: p.place.topic, Partition: p.place.number})
	}
	if len(places) > 0 {
		if err := m.group.Unassign(places); err != nil {
			m.log.InfoContext(ctx, "leaving the group", "err", err)
		}
	}
	close(m.over)
	m.waking.Lock()
	m.asleep = true
	m.waking.Unlock()
	m.group.Close()
	if len(m.lingering) == 0 {
		m.working.Wait()
		return nil
	}
	var still []string
	for at := range m.lingering {
		still = append(still, fmt.Sprintf("partition %d of topic %s", at.number, at.topic))
	}
	slices.Sort(still)
	return fmt.Errorf("%w: %v", ErrDrain, still)
}

// drain waits for the handlers of partitions. It goes on being a member meanwhile.
func (m *member) drain(ctx context.Context, ours []*partition) {
	for until := time.Now().Add(m.cfg.Drain); time.Now().Before(until); {
		if !slices.ContainsFunc(ours, func(p *partition) bool { return p.busy }) {
			return
		}
		event, err := m.group.Poll(min(time.Until(until)+time.Millisecond, commitEvery))
		if err != nil {
			m.log.InfoContext(ctx, "leaving the group", "err", err)
			return
		}
		if e, ok := event.(rdkafka.Revoked); ok && e.Lost {
			for _, p := range ours {
				if p.busy {
					p.cancel(ErrRevoked)
				}
			}
		}
		for more := true; more; {
			select {
			case p := <-m.ended:
				m.idle(p)
			default:
				more = false
			}
		}
	}
}
