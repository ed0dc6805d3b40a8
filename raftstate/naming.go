package raftstate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/glob"
)

// Naming is what a rule names of the pairs: all of one delay whose topic matches.
type Naming struct {
	Topics string // * stands for any text, ? for one character
	Delay  time.Duration
}

func (n Naming) names(p kafkasync.Pair) bool {
	return n.Delay == p.Delay && glob.Match(n.Topics, p.Topic)
}

// Pairs returns the pairs in use, by topic and delay, as far as this node has applied, and what
// is closed once there may be others. It waits for nothing: before Run has opened there
// are none, and while a node starts there may be some that have left. The
// list is the caller's, the Ends of its pairs are not to be changed.
func (n *Node) Pairs() (pairs []kafkasync.Pair, changed <-chan struct{}) {
	return n.machine.pairs()
}

// Name returns once a quorum has stored what the rules of this node name, in place of what they
// named before. Any node may call it: the leader does it.
func (n *Node) Name(ctx context.Context, namings []Naming) error {
	namings = slices.Clone(namings)
	slices.SortFunc(namings, func(a, b Naming) int {
		return cmp.Or(strings.Compare(a.Topics, b.Topics), cmp.Compare(a.Delay, b.Delay))
	})
	c := name{member: n.cfg.ID, namings: slices.Compact(namings)}
	_, err := n.toLeader(ctx, askName, encode(c), func(*raft.Raft) ([]byte, error) { return nil, n.storeNamings(ctx, c) })
	if err != nil {
		return fmt.Errorf("naming the pairs of node %q: %w", n.cfg.ID, err)
	}
	return nil
}

// nameFor does it for another node.
func (n *Node) nameFor(ctx context.Context, data []byte) error {
	c, err := decode(data)
	if err != nil {
		return err
	}
	if c, ok := c.(name); ok {
		return n.storeNamings(ctx, c)
	}
	if plantedDeposedCommits {
		_, err := n.propose(ctx, c)
		return err
	}
	return fmt.Errorf("command %d: only what names pairs is taken from another node", c.kind())
}

func (n *Node) storeNamings(ctx context.Context, c name) error {
	// What the member named last may be committed and not applied yet: without the barrier, a node that
	// starts with the rules of the time before the last would take them for those that are stored.
	if err := n.barrier(ctx); err != nil {
		return err
	}
	if slices.Equal(n.machine.namings(c.member), c.namings) {
		return nil
	}
	_, err := n.propose(ctx, c)
	return err
}

// Unnamed returns the pairs that the rules of no member name, by topic and delay, and the
// revision to hand to Release. The list is the caller's, the Ends of its pairs are not to be changed.
func (n *Node) Unnamed() (pairs []kafkasync.Pair, revision uint64) {
	all, named, revision := n.machine.inUse()
	for _, p := range all {
		if !slices.ContainsFunc(named, func(of Naming) bool { return of.names(p) }) {
			pairs = append(pairs, p)
		}
	}
	return pairs, revision
}

// Release returns once a quorum knows that the pair is not in use any more. It fails with ErrChanged
// if pairs or namings have changed since Unnamed returned the revision: a new rule may name the
// pair by now. To release a pair is such a change, so each takes an Unnamed of its own.
// A pair that is not there is released.
func (n *Node) Release(ctx context.Context, topic string, delay time.Duration, revision uint64) error {
	if _, err := n.propose(ctx, release{topic: topic, delay: delay, revision: revision}); err != nil {
		return fmt.Errorf("releasing the pair of topic %q and delay %s: %w", topic, delay, err)
	}
	return nil
}

func (m *machine) pairs() ([]kafkasync.Pair, <-chan struct{}) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Clone(m.state.pairs), m.pairsChanged
}

// namings is what a member's rules name. The state never changes such a list, it replaces it.
func (m *machine) namings(member string) []Naming {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.named[member]
}

// inUse returns the pairs, what any member's rules name, and the revision of both.
func (m *machine) inUse() ([]kafkasync.Pair, []Naming, uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.pairs, slices.Concat(slices.Collect(maps.Values(m.state.named))...), m.state.revision
}
