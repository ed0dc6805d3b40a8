package raftstate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
)

// maxPartitions bounds what a pair takes in the log and in every snapshot. Like all that
// is refused, it has to mean the same in every release.
const maxPartitions = 100_000

// use adds a pair, before the first message that carries its delay is written.
func (s *state) use(c use) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	if err := checkPair(c.pair); err != nil {
		return r, fmt.Errorf("pair of topic %q and delay %s: %w: %w", c.pair.Topic, c.pair.Delay, errRefused, err)
	}
	at, there := s.findPair(c.pair.Topic, c.pair.Delay)
	if !there {
		s.setPairs(slices.Concat(s.pairs[:at], []kafkasync.Pair{c.pair}, s.pairs[at:]))
		return r, nil
	}
	switch known := s.pairs[at]; {
	case known.ID == c.pair.ID, c.pair.ID == "":
		// The first ends hold: messages with the delay may lie before the ones of now. That the brokers
		// tell no ID, as some do while they are upgraded, does not say that the topic is another one.
		return r, nil
	case known.ID == "":
		c.pair.Ends = known.Ends // for the same reason
	default:
		// The topic was deleted and created again, while a run may have been writing to it: its
		// messages with the delay begin with the topic, not where it ends now.
		c.pair.Ends = make([]int64, len(c.pair.Ends))
	}
	s.setPairs(slices.Concat(s.pairs[:at], []kafkasync.Pair{c.pair}, s.pairs[at+1:]))
	return r, nil
}

func checkPair(p kafkasync.Pair) error {
	switch {
	case p.Topic == "":
		return errors.New("want a topic")
	case p.Delay <= 0 || p.Delay%time.Millisecond != 0:
		return errors.New("want a delay of whole milliseconds above 0")
	case len(p.Ends) > maxPartitions:
		return fmt.Errorf("got %d partitions, want at most %d", len(p.Ends), maxPartitions)
	case slices.ContainsFunc(p.Ends, func(end int64) bool { return end < 0 }):
		return errors.New("want no end below 0")
	}
	return nil
}

// name replaces what the rules of one member name.
func (s *state) name(c name) (record, error) {
	if slices.Equal(s.named[c.member], c.namings) {
		return record{}, nil
	}
	if len(c.namings) == 0 {
		delete(s.named, c.member)
	} else {
		s.named[c.member] = c.namings
	}
	s.revision++
	return record{}, nil
}

// release removes a pair, if nothing has changed since its proposer looked. That a pair
// is named by nobody is the proposer's word: were it found out here, what a glob
// matches could never change.
func (s *state) release(c release) (record, error) {
	at, there := s.findPair(c.topic, c.delay)
	switch {
	case !there:
		return record{}, nil // who was cut short before it knew of its success tries again
	case c.revision != s.revision:
		return record{}, fmt.Errorf("looked at revision %d, which is %d by now: %w", c.revision, s.revision, ErrChanged)
	}
	s.setPairs(slices.Concat(s.pairs[:at], s.pairs[at+1:]))
	return record{}, nil
}

// setPairs replaces the pairs by a list of its own: readers may still hold the one of before.
func (s *state) setPairs(pairs []kafkasync.Pair) {
	s.pairs = pairs
	s.revision++
}

// findPair returns where a pair is, or belongs.
func (s *state) findPair(topic string, delay time.Duration) (at int, there bool) {
	return slices.BinarySearchFunc(s.pairs, kafkasync.Pair{Topic: topic, Delay: delay}, comparePairs)
}

// comparePairs orders them by topic, then by delay. Two that are equal by it are the same pair.
func comparePairs(a, b kafkasync.Pair) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Delay, b.Delay))
}

func putPair(b []byte, p kafkasync.Pair) []byte {
	b = putString(putInt(putString(b, p.Topic), int64(p.Delay)), p.ID)
	b = putUint(b, uint64(len(p.Ends)))
	for _, end := range p.Ends {
		b = putInt(b, end)
	}
	return b
}

func (r *reader) pair() kafkasync.Pair {
	p := kafkasync.Pair{Topic: r.string(), Delay: time.Duration(r.int()), ID: r.string()}
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		p.Ends = append(p.Ends, r.int())
	}
	return p
}

func putPairs(b []byte, pairs []kafkasync.Pair) []byte {
	b = putUint(b, uint64(len(pairs)))
	for _, p := range pairs {
		b = putPair(b, p)
	}
	return b
}

func (r *reader) pairs() []kafkasync.Pair {
	var pairs []kafkasync.Pair
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		p := r.pair()
		if i > 0 && comparePairs(pairs[i-1], p) >= 0 {
			r.failed = true
		}
		pairs = append(pairs, p)
	}
	return pairs
}

func putNamings(b []byte, namings []Naming) []byte {
	b = putUint(b, uint64(len(namings)))
	for _, n := range namings {
		b = putInt(putString(b, n.Topics), int64(n.Delay))
	}
	return b
}

func (r *reader) namings() []Naming {
	var namings []Naming
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		namings = append(namings, Naming{Topics: r.string(), Delay: time.Duration(r.int())})
	}
	return namings
}

func putNamed(b []byte, named map[string][]Naming) []byte {
	b = putUint(b, uint64(len(named)))
	for _, member := range slices.Sorted(maps.Keys(named)) {
		b = putNamings(putString(b, member), named[member])
	}
	return b
}

func (r *reader) named() map[string][]Naming {
	named, last := map[string][]Naming{}, ""
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		member := r.string()
		if i > 0 && member <= last {
			r.failed = true
		}
		last = member
		named[member] = r.namings()
	}
	return named
}
