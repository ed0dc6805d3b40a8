package raftstate

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/kafkasync/kafkasync"
)

// key is what tells one pair from another.
type key struct {
	topic string
	delay time.Duration
}

// pairs goes through all commands that were accepted. A revision is one after which something is different.
func (m *model) pairs() (pairs map[key]kafkasync.Pair, named map[string][]Naming, revision uint64) {
	pairs, named = map[key]kafkasync.Pair{}, map[string][]Naming{}
	for _, c := range m.accepted {
		pairsBefore, namedBefore := maps.Clone(pairs), maps.Clone(named)
		switch c := c.(type) {
		case use:
			k := key{c.pair.Topic, c.pair.Delay}
			pairs[k] = met(pairs[k], c.pair)
		case name:
			named[c.member] = c.namings
			maps.DeleteFunc(named, func(_ string, namings []Naming) bool { return namings == nil })
		case release:
			delete(pairs, key{c.topic, c.delay})
		default:
			continue
		}
		if !reflect.DeepEqual(pairs, pairsBefore) || !reflect.DeepEqual(named, namedBefore) {
			revision++
		}
	}
	return pairs, named, revision
}

// met is what is known of a pair after one more use. Only two different IDs are two topics.
func met(known, now kafkasync.Pair) kafkasync.Pair {
	first := known.Topic == ""
	if first {
		return now
	}
	if known.ID != "" && now.ID != "" && known.ID != now.ID {
		now.Ends = make([]int64, len(now.Ends))
		return now
	}
	known.ID = max(known.ID, now.ID)
	return known
}

func (m *model) acceptsPair(c command) bool {
	switch c := c.(type) {
	case use:
		p := c.pair
		return p.Topic != "" && p.Delay > 0 && p.Delay == p.Delay.Truncate(time.Millisecond) && slices.Min(append([]int64{0}, p.Ends...)) == 0
	case release:
		pairs, _, revision := m.pairs()
		_, there := pairs[key{c.topic, c.delay}]
		return !there || c.revision == revision
	default:
		return true
	}
}

func byKey(pairs []kafkasync.Pair) map[key]kafkasync.Pair {
	all := map[key]kafkasync.Pair{}
	for _, p := range pairs {
		all[key{p.Topic, p.Delay}] = p
	}
	return all
}

func randomPair(rng *rand.Rand) kafkasync.Pair {
	p := kafkasync.Pair{
		Topic: []string{"s", "t", "u"}[rng.IntN(3)],
		Delay: time.Duration(1+rng.IntN(3)) * time.Second,
		ID:    []string{"", "1", "2"}[rng.IntN(3)],
	}
	for range rng.IntN(3) {
		p.Ends = append(p.Ends, rng.Int64N(100))
	}
	switch rng.IntN(20) {
	case 0:
		p.Topic = ""
	case 1:
		p.Delay -= time.Second // 0, or another pair
	case 2:
		p.Delay++
	case 3:
		p.Ends = append(p.Ends, -1)
	}
	return p
}

func randomName(rng *rand.Rand) name {
	c := name{member: []string{"a", "b"}[rng.IntN(2)]}
	for i := range rng.IntN(3) {
		c.namings = append(c.namings, Naming{Topics: []string{"s", "t*"}[i], Delay: time.Second})
	}
	return c
}

// randomRelease mostly looked at what m holds by now.
func randomRelease(rng *rand.Rand, m *machine) release {
	p := randomPair(rng)
	return release{p.Topic, p.Delay, m.state.revision - uint64(rng.IntN(8)/7)}
}
