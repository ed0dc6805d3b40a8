package delayer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// memGroup is a consumer group of a memory, balanced as cooperative-sticky does it: a partition that moves is first
// taken away, and given to another member once it has been given back.
type memGroup struct {
	m          *memory
	generation int
	members    []*memMember
	owner      map[place]*memMember
	revoking   map[place]bool
	committed  map[place]memOffset
	commits    int // that were taken
}

type memOffset struct {
	offset int64
	note   string
}

// group returns a group, which may be new. m.mu is held.
func (m *memory) group(name string) *memGroup {
	if m.groups[name] == nil {
		m.groups[name] = &memGroup{m: m, owner: map[place]*memMember{}, revoking: map[place]bool{}, committed: map[place]memOffset{}}
	}
	return m.groups[name]
}

// found makes a group that nobody has joined yet.
func (m *memory) found(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.group(name)
}

// memMember is a Group of a memory.
type memMember struct {
	group   *memGroup
	process *process

	topics     []string
	in         bool // the group counts it as a member
	expelled   bool // and it has not heard of it
	generation int
	events     []any
	feeds      map[place]*memFeed
	alive      *time.Timer
	signal     chan struct{}
	woken      bool

	buffers map[*chunk][]byte // what chunks hold, of the size that they hold it in
	held    int               // sum of their sizes
	most    int               // the largest sum so far
}

// join makes a membership for a process. It leaves the group when it is closed, unless the process has died.
func (m *memory) join(p *process, name string) (*memMember, *memOffsets) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := &memMember{
		group: m.group(name), process: p, feeds: map[place]*memFeed{}, signal: make(chan struct{}, 1), buffers: map[*chunk][]byte{},
	}
	one.alive = time.AfterFunc(m.session, one.expire)
	return one, &memOffsets{m: m, process: p, group: name}
}

func (x *memMember) close() {
	m := x.group.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if x.process.isDead() {
		return // its session ends later
	}
	for p, f := range x.feeds {
		if !f.closed {
			m.wrong = append(m.wrong, fmt.Sprintf("the member left the group and had not closed partition %d of %s", p.number, p.topic))
		}
	}
	x.alive.Stop()
	x.leave()
}

// leave takes the member out of the group. m.mu is held.
func (x *memMember) leave() {
	g := x.group
	if !x.in {
		return
	}
	x.in = false
	g.members = slices.DeleteFunc(g.members, func(o *memMember) bool { return o == x })
	for p, owner := range g.owner {
		if owner == x {
			delete(g.owner, p)
			delete(g.revoking, p)
		}
	}
	g.balance()
}

// expire ends the membership of a silent member.
func (x *memMember) expire() {
	x.group.m.mu.Lock()
	defer x.group.m.mu.Unlock()
	x.expelled = x.in
	x.leave()
}

// beat is a sign of life.
func (x *memMember) beat() { x.alive.Reset(x.group.m.session) }

// balance computes who is to have what, and tells. m.mu is held.
func (g *memGroup) balance() {
	g.generation++
	for _, x := range g.members {
		x.generation = g.generation // their heartbeats tell them
	}
	target := g.target()
	taken, given := map[*memMember][]rdkafka.Place{}, map[*memMember][]rdkafka.Place{}
	for _, p := range places(g.owner) {
		if owner := g.owner[p]; target[p] != owner && !g.revoking[p] {
			g.revoking[p] = true
			taken[owner] = append(taken[owner], rdkafka.Place{Topic: p.topic, Partition: p.number})
		}
	}
	for _, p := range places(target) {
		if g.owner[p] == nil {
			g.owner[p] = target[p]
			given[target[p]] = append(given[target[p]], rdkafka.Place{Topic: p.topic, Partition: p.number, Offset: -1001})
		}
	}
	for _, x := range g.members {
		if len(taken[x]) > 0 {
			x.post(rdkafka.Revoked{Places: taken[x]})
		}
		x.post(rdkafka.Assigned{Places: given[x]}) // also if there is nothing
	}
}

// target gives every partition to a member, to whom it belongs already if that is fair.
func (g *memGroup) target() map[place]*memMember {
	target, counts := map[place]*memMember{}, map[*memMember]int{}
	var free []place
	for name, t := range g.m.topics {
		for i := range t.partitions {
			p := place{name, int32(i)}
			if owner := g.owner[p]; owner != nil && slices.Contains(owner.topics, name) {
				target[p] = owner
				counts[owner]++
			} else {
				free = append(free, p)
			}
		}
	}
	least := func(topic string) (best *memMember) {
		for _, x := range g.members {
			if slices.Contains(x.topics, topic) && (best == nil || counts[x] < counts[best]) {
				best = x
			}
		}
		return best
	}
	slices.SortFunc(free, comparePlaces)
	for _, p := range free {
		if x := least(p.topic); x != nil {
			target[p] = x
			counts[x]++
		}
	}
	for _, p := range places(target) {
		if x := least(p.topic); counts[target[p]] > counts[x]+1 {
			counts[target[p]]--
			counts[x]++
			target[p] = x
		}
	}
	return target
}

func comparePlaces(a, b place) int {
	if c := strings.Compare(a.topic, b.topic); c != 0 {
		return c
	}
	return int(a.number - b.number)
}

func places(m map[place]*memMember) []place { return slices.SortedFunc(maps.Keys(m), comparePlaces) }

// post queues an event. m.mu is held.
func (x *memMember) post(event any) {
	x.events = append(x.events, event)
	x.ring()
}

func (x *memMember) ring() {
	select {
	case x.signal <- struct{}{}:
	default:
	}
}

// Subscribe is described at Membership.
func (x *memMember) Subscribe(topics []string) error {
	if err := x.process.pass("Subscribe, before"); err != nil {
		return err
	}
	x.group.m.mu.Lock()
	x.beat()
	x.topics = slices.Clone(topics)
	x.enter()
	x.group.m.mu.Unlock()
	return x.process.pass("Subscribe, after")
}

// enter makes x a member, or the group balance itself again. m.mu is held.
func (x *memMember) enter() {
	if !x.in {
		x.in = true
		x.group.members = append(x.group.members, x)
	}
	x.group.balance()
}

// Poll is described at Membership.
func (x *memMember) Poll(limit time.Duration) (any, error) {
	if err := x.process.pass("Poll, before"); err != nil {
		return nil, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	x.group.m.mu.Lock()
	x.hear()
	x.group.m.mu.Unlock()
	event := x.await(timer.C)
	if err := x.process.pass("Poll, after"); err != nil {
		return nil, err
	}
	x.group.m.mu.Lock()
	x.beat()
	x.group.m.mu.Unlock()
	return event, nil
}

// hear lets a member know that it was expelled. m.mu is held.
func (x *memMember) hear() {
	x.beat()
	if !x.expelled {
		return
	}
	x.expelled = false
	// What it was asked for meanwhile it is still asked for, as if it had it.
	asked := map[place]bool{}
	x.events = slices.DeleteFunc(x.events, func(e any) bool {
		if r, ok := e.(rdkafka.Revoked); ok {
			for _, p := range r.Places {
				asked[place{p.Topic, p.Partition}] = true
			}
		}
		_, ok := e.(rdkafka.Assigned)
		return ok
	})
	var lost []rdkafka.Place
	for _, p := range slices.SortedFunc(maps.Keys(x.feeds), comparePlaces) {
		if !asked[p] {
			lost = append(lost, rdkafka.Place{Topic: p.topic, Partition: p.number})
		}
	}
	x.post(rdkafka.Revoked{Places: lost, Lost: true})
}

func (x *memMember) await(limit <-chan time.Time) any {
	for {
		x.group.m.mu.Lock()
		var event any
		woken := x.woken
		if len(x.events) > 0 {
			event, x.events = x.events[0], x.events[1:]
		} else {
			x.woken = false
		}
		x.group.m.mu.Unlock()
		if event != nil || woken {
			return event
		}
		select {
		case <-x.signal:
		case <-limit:
			return nil
		}
	}
}

// Wake is described at Group.
func (x *memMember) Wake() {
	x.group.m.mu.Lock()
	defer x.group.m.mu.Unlock()
	x.woken = true
	x.ring()
}

// Assign is described at Holder.
func (x *memMember) Assign(places []rdkafka.Place) ([]Feed, error) {
	if err := x.process.pass("Assign, before"); err != nil {
		return nil, err
	}
	x.group.m.mu.Lock()
	x.beat()
	var feeds []Feed
	for _, p := range places {
		at := place{p.Topic, p.Partition}
		if x.feeds[at] != nil {
			x.group.m.wrong = append(x.group.m.wrong, fmt.Sprintf("partition %d of %s was assigned twice", p.Partition, p.Topic))
		}
		f := &memFeed{x: x, place: at, offset: p.Offset}
		x.feeds[at] = f
		feeds = append(feeds, f)
	}
	x.group.m.mu.Unlock()
	if err := x.process.pass("Assign, after"); err != nil {
		for _, f := range feeds {
			f.Close()
		}
		return nil, err
	}
	return feeds, nil
}

// Unassign is described at Holder. A member that was expelled joins again afterwards.
func (x *memMember) Unassign(places []rdkafka.Place) error {
	if err := x.process.pass("Unassign, before"); err != nil {
		return err
	}
	x.group.m.mu.Lock()
	x.beat()
	g, balance := x.group, false
	for _, p := range places {
		at := place{p.Topic, p.Partition}
		if f := x.feeds[at]; f != nil && !f.closed {
			g.m.wrong = append(g.m.wrong, fmt.Sprintf("partition %d of %s was given back and not closed", p.Partition, p.Topic))
		}
		delete(x.feeds, at)
		if g.owner[at] == x && g.revoking[at] {
			delete(g.owner, at)
			delete(g.revoking, at)
			balance = true
		}
	}
	switch {
	case !x.in && len(x.feeds) == 0:
		x.enter()
	case x.in && balance:
		g.balance()
	}
	g.m.mu.Unlock()
	return x.process.pass("Unassign, after")
}

// Commit is described at Holder.
func (x *memMember) Commit(places []rdkafka.Place, wait bool) error {
	if err := x.process.pass("Commit, before"); err != nil {
		return err
	}
	places = slices.Clone(places)
	m := x.group.m
	m.mu.Lock()
	x.beat()
	generation := x.generation
	m.mu.Unlock()
	if !wait {
		time.AfterFunc(m.trip, func() {
			err := x.process.pass("Committing, before")
			if err == nil {
				err = x.commit(places, generation)
			}
			if err == nil {
				err = x.process.pass("Committing, after")
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			x.post(rdkafka.Committed{Err: err})
		})
		return x.process.pass("Commit, after")
	}
	<-time.After(m.trip)
	if err := x.commit(places, generation); err != nil {
		return err
	}
	return x.process.pass("Commit, after")
}

func (x *memMember) commit(places []rdkafka.Place, generation int) error {
	g := x.group
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	switch {
	case !x.in:
		return ck.NewError(ck.ErrUnknownMemberID, "", false)
	case generation != g.generation:
		return ck.NewError(ck.ErrIllegalGeneration, "", false)
	}
	for _, p := range places {
		if t := g.m.topics[p.Topic]; t == nil {
			return ck.NewError(ck.ErrUnknownTopicOrPart, "", false)
		}
		g.committed[place{p.Topic, p.Partition}] = memOffset{p.Offset, p.Metadata}
	}
	g.commits++
	return nil
}

// memFeed is a Feed of a memory.
type memFeed struct {
	x      *memMember
	place  place
	offset int64
	ended  bool // it has said why, and has nothing any more
	closed bool
}

// Close is described at Feed.
func (f *memFeed) Close() {
	f.x.group.m.mu.Lock()
	defer f.x.group.m.mu.Unlock()
	f.closed = true
}

// Take is described at Feed. The chunk's bytes are overwritten, as those of Kafka's are.
func (f *memFeed) Take(c *chunk, d *decoder, most, size int) (taken int, strange, err error) {
	if err := f.x.process.pass("Take, before"); err != nil {
		return 0, nil, err
	}
	records, err := f.read(most, size)
	if err != nil {
		return 0, nil, err
	}
	if len(records) == 0 {
		return 0, nil, f.x.process.pass("Take, after")
	}
	bytes := f.x.buffer(c, records, size)
	own := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(bytes)
		bytes = append(bytes, b...)
		return bytes[at:len(bytes):len(bytes)]
	}
	for _, r := range records {
		one := record{offset: r.offset, written: r.written, appended: r.appended, key: own(r.key), value: own(r.value)}
		for _, h := range r.headers {
			one.headers = append(one.headers, header{own([]byte(h.Key)), own(h.Value)})
		}
		if problem := d.add(c, f.place.topic, f.place.number, &one); problem != nil {
			strange = fmt.Errorf("offset %d: %w", one.offset, problem)
		}
	}
	f.x.buffers[c] = bytes
	return len(records), strange, f.x.process.pass("Take, after")
}

// read moves on by what fits.
func (f *memFeed) read(most, size int) ([]memRecord, error) {
	m := f.x.group.m
	m.mu.Lock()
	defer m.mu.Unlock()
	f.x.beat()
	t := m.topics[f.place.topic]
	switch {
	case f.closed:
		m.wrong = append(m.wrong, "a closed feed was read")
		return nil, nil
	case f.ended:
		return nil, nil
	case t == nil:
		return nil, ck.NewError(ck.ErrUnknownTopicOrPart, "", false)
	}
	p := t.partitions[f.place.number]
	if f.offset < p.begin || f.offset > p.end() {
		f.ended = true
		return nil, ck.NewError(ck.ErrAutoOffsetReset, "", false)
	}
	var records []memRecord
	sum := 0
	for _, r := range p.records[f.offset-p.begin:] {
		if sum += r.size(); len(records) == most || len(records) == m.atOnce && m.atOnce > 0 || len(records) > 0 && sum > size {
			break
		}
		records = append(records, r)
	}
	f.offset += int64(len(records))
	return records, nil
}

func (r *memRecord) size() int {
	sum := len(r.key) + len(r.value)
	for _, h := range r.headers {
		sum += 8 + len(h.Key) + len(h.Value)
	}
	return sum
}

// buffer returns the chunk's bytes, which are garbage now, with room for the records.
func (x *memMember) buffer(c *chunk, records []memRecord, size int) []byte {
	for _, r := range records {
		size = max(size, r.size())
	}
	b := x.buffers[c]
	for i := range b { // what was used of it
		b[i] = 0xff
	}
	if cap(b) < size {
		x.held += size - cap(b)
		x.most = max(x.most, x.held)
		b = make([]byte, 0, size)
	}
	return b[:0]
}
