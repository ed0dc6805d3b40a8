package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// lookEvery is how soon what has arrived for an idle partition is noticed.
	lookEvery = 5 * time.Millisecond
	// commitEvery bounds what is handled again after a crash.
	commitEvery = 200 * time.Millisecond
	// outgrown is how many times more partitions there may be than the membership was made for.
	outgrown = 4
)

// errOutgrown ends a membership that fetches too much ahead of each partition for as many as there are now.
var errOutgrown = errors.New("there are many more partitions than before")

// member is one membership of the group. One goroutine owns it: it polls, looks for records of idle
// partitions, and commits. Handlers run in a worker for each partition that has something to do.
type member struct {
	cfg    *Config
	log    *slog.Logger
	status *status
	group  broker.Group

	worker  *worker
	ended   chan *partition
	over    chan struct{}
	working sync.WaitGroup
	waking  sync.Mutex
	asleep  bool // the group is closed: nobody may wake it

	partitions map[place]*partition
	lingering  map[place]*partition // taken away, while their handlers did not end
	coming     *coming
	going      *going

	committing bool
	tick       time.Time // when the next commit is due
}

func newMember(c *Consumer, group broker.Group, h Handler) *member {
	m := &member{
		cfg: &c.cfg, log: c.log, status: c.status, group: group, ended: make(chan *partition, 16), over: make(chan struct{}),
		partitions: map[place]*partition{}, lingering: map[place]*partition{},
	}
	m.worker = &worker{cfg: m.cfg, handler: h, status: c.status, ended: m.ended, over: m.over, wake: m.wake}
	return m
}

// wake ends the Poll that is under way.
func (m *member) wake() {
	m.waking.Lock()
	defer m.waking.Unlock()
	if !m.asleep {
		m.group.Wake()
	}
}

// live joins the group and steps until ctx ends or something fails.
func (m *member) live(ctx context.Context) error {
	if err := m.group.Subscribe(m.cfg.Topics); err != nil {
		return fmt.Errorf("subscribing to topics: %w", m.cfg.explain(err))
	}
	stop := context.AfterFunc(ctx, m.wake)
	defer stop()
	for ctx.Err() == nil {
		if err := m.step(ctx); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// step does what can be done now, and waits for what comes next.
func (m *member) step(ctx context.Context) error {
	if err := m.collect(ctx); err != nil {
		return err
	}
	wait, err := m.look(ctx)
	if err != nil {
		return err
	}
	m.commit()
	if err := m.settle(ctx); err != nil {
		return err
	}
	event, err := m.group.Poll(min(wait, max(0, time.Until(m.tick))))
	if err != nil {
		return fmt.Errorf("being a member of group %s: %w", m.cfg.Name, m.cfg.explain(err))
	}
	return m.answer(ctx, event)
}

// collect takes partitions back whose workers have ended.
func (m *member) collect(ctx context.Context) error {
	for {
		select {
		case p := <-m.ended:
			m.idle(p)
			if err := m.mend(ctx, p); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// idle takes note that a partition has no worker any more.
func (m *member) idle(p *partition) {
	p.busy = false
	p.cancel(nil)
	if m.lingering[p.place] == p {
		delete(m.lingering, p.place)
		m.status.freed(p.place)
	}
}

// mend looks at a partition that cannot be read.
func (m *member) mend(ctx context.Context, p *partition) error {
	err := p.trouble()
	switch {
	case err == nil || p.left:
		return nil
	case isOutOfRange(err): // read it anew: where it can be read is asked for
		return m.restart(ctx, p)
	default:
		return fmt.Errorf("reading partition %d of topic %s: %w", p.place.number, p.place.topic, m.cfg.explain(err))
	}
}

// look gives a worker to each idle partition that has records, and returns how long nothing else has to be done.
func (m *member) look(ctx context.Context) (time.Duration, error) {
	wait := commitEvery
	for at, p := range m.partitions {
		if p.busy || p.left || m.lingering[at] != nil {
			continue
		}
		b := p.take()
		if b == nil {
			wait = lookEvery
			if err := m.mend(ctx, p); err != nil {
				return 0, err
			}
			continue
		}
		// A handler goes on when ctx ends: it is waited for.
		handling, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		p.busy, p.cancel = true, cancel
		m.working.Go(func() { m.worker.run(handling, p, b) })
	}
	return wait, nil
}

// commit tells the group how far the partitions are.
func (m *member) commit() {
	now := time.Now()
	if now.Before(m.tick) {
		return
	}
	m.tick = now.Add(commitEvery)
	if m.committing {
		return
	}
	var places []rdkafka.Place
	for _, p := range m.partitions {
		if at := p.at(); at.Offset != p.told && at.Offset >= 0 {
			p.told = at.Offset
			places = append(places, at)
		}
	}
	if len(places) == 0 {
		return
	}
	if err := m.group.Commit(places, false); err != nil {
		m.uncommitted(err)
		return
	}
	m.committing = true
}

// committed takes note of what came of a commit.
func (m *member) committed(err error) error {
	m.committing = false
	switch {
	case err == nil:
		m.status.setError(nil)
		return nil
	case isFenced(err), isPassing(err):
		m.uncommitted(err)
		return nil
	default:
		return fmt.Errorf("committing offsets: %w", m.cfg.explain(err))
	}
}

// uncommitted lets all offsets be committed again.
func (m *member) uncommitted(err error) {
	if !isFenced(err) { // then the group says itself what is taken away
		m.status.setError(m.cfg.explain(err))
	}
	for _, p := range m.partitions {
		p.told = -1
	}
}

// answer does what an event asks for.
func (m *member) answer(ctx context.Context, event any) error {
	switch e := event.(type) {
	case rdkafka.Assigned:
		m.coming = &coming{places: e.Places}
		return m.settle(ctx)
	case rdkafka.Revoked:
		m.revoked(e)
		return m.settle(ctx)
	case rdkafka.Committed:
		return m.committed(e.Err)
	case error:
		if isUsurped(e) {
			return m.cfg.explain(e)
		}
		m.log.DebugContext(ctx, "Kafka says", "err", e)
		m.status.setError(m.cfg.explain(e))
	}
	return nil
}
