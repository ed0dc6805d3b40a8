package raftstate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

func TestEpochsCountGrantsOfEachPipeline(t *testing.T) {
	s := newState()
	for _, want := range []struct {
		pipeline string
		epoch    uint64
	}{{"shop", 1}, {"shop", 2}, {"crm", 1}, {"shop", 3}} {
		r, err := s.apply(grant{pipeline: want.pipeline, holder: "a", micros: 5})
		if err != nil || r.epoch != want.epoch {
			t.Errorf("%s: got epoch %d, %v, want %d", want.pipeline, r.epoch, err, want.epoch)
		}
	}
}

func TestTheFloorIsTheOldCeilingOrTheClock(t *testing.T) {
	tests := []struct {
		name           string
		raised, micros int64
		want           int64
	}{
		{"the clock went on", 200, 300, 300},
		{"the clock stands behind what was used", 200, 150, 200},
		{"the clock stands before 1970", 0, -5, 100},
	}
	for _, tt := range tests {
		s := newState()
		mustApply(t, &s, grant{pipeline: "shop", holder: "a", micros: 100})
		mustApply(t, &s, raise{pipeline: "shop", epoch: 1, ceiling: tt.raised})
		r := mustApply(t, &s, grant{pipeline: "shop", holder: "b", micros: tt.micros})
		if r.ceiling != tt.want {
			t.Errorf("%s: got floor %d, want %d", tt.name, r.ceiling, tt.want)
		}
	}
	s := newState()
	if r := mustApply(t, &s, grant{pipeline: "shop", micros: -5}); r.ceiling != 1 {
		t.Errorf("got a first floor of %d, want a positive one", r.ceiling)
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	tests := []struct {
		name    string
		command command
		want    error
	}{
		{"a commit of an older epoch", commit{"shop", 1, 99, "p9", ""}, ErrFenced},
		{"a commit of an epoch that was never granted", commit{"shop", 3, 99, "p9", ""}, ErrFenced},
		{"a commit of an unknown pipeline", commit{"crm", 0, 1, "p9", ""}, ErrFenced},
		{"a commit with the last number", commit{"shop", 2, 5, "p9", ""}, ErrFenced},
		{"a commit with a lower number", commit{"shop", 2, 4, "p9", ""}, ErrFenced},
		{"a commit of nothing", commit{"shop", 2, 6, "", ""}, errRefused},
		{"a ceiling of an older epoch", raise{"shop", 1, 900}, ErrFenced},
		{"a ceiling above 2^53", raise{"shop", 2, seqLimit + 1}, errRefused},
		{"a declaration of an older epoch", declare{"shop", 1}, ErrFenced},
		{"a coverage of an older epoch", cover{"shop", 1, []source.Coverage{{Table: "t"}}, []source.Gap{{Table: "t"}}}, ErrFenced},
		{"a skip of an older epoch", skip{"shop", 1, "p9", "x"}, ErrFenced},
		{"a skip of an unknown pipeline", skip{"crm", 0, "", "x"}, ErrFenced},
		{"a drop of an older epoch", drop{"shop", 1}, ErrFenced},
		{"a pair of an older epoch", use{"shop", 1, testPair("u", time.Second)}, ErrFenced},
		{"a pair of an unknown pipeline", use{"crm", 0, testPair("u", time.Second)}, ErrFenced},
		{"a pair without a topic", use{"shop", 2, testPair("", time.Second)}, errRefused},
		{"a pair without a delay", use{"shop", 2, testPair("u", 0)}, errRefused},
		{"a pair whose delay is below 0", use{"shop", 2, testPair("u", -time.Second)}, errRefused},
		{"a pair whose delay is no whole milliseconds", use{"shop", 2, testPair("u", time.Second+time.Microsecond)}, errRefused},
		{"a pair with an end below 0", use{"shop", 2, kafkasync.Pair{Topic: "u", Delay: time.Second, Ends: []int64{1, -1}}}, errRefused},
		{"a pair of too many partitions", use{"shop", 2, kafkasync.Pair{Topic: "u", Delay: time.Second, Ends: make([]int64, maxPartitions+1)}}, errRefused},
		{"a release that looked at an older state", release{"t", time.Second, 1}, ErrChanged},
		{"a release that looked at a state that is still to come", release{"t", time.Second, 3}, ErrChanged},
		{"a grant by a clock that runs wild", grant{"shop", "b", seqLimit}, errRefused},
	}
	for _, tt := range tests {
		s := newState()
		mustApply(t, &s, identify{"c1"})
		mustApply(t, &s, grant{"shop", "a", 100})
		mustApply(t, &s, grant{"shop", "a", 100})
		mustApply(t, &s, commit{"shop", 2, 5, "p5", ""})
		mustApply(t, &s, use{"shop", 2, testPair("t", time.Second)})
		mustApply(t, &s, name{"a", []Naming{{"t", time.Second}}})
		before := encodeSnapshot(s)
		if _, err := s.apply(tt.command); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
		if after := encodeSnapshot(s); !bytes.Equal(after, before) {
			t.Errorf("%s: changed the state from %x to %x", tt.name, before, after)
		}
	}
}

func TestOnlyTheFirstNameOfAClusterCounts(t *testing.T) {
	s := newState()
	mustApply(t, &s, identify{"c1"})
	mustApply(t, &s, identify{"c2"})
	if s.clusterID != "c1" {
		t.Errorf("got cluster %q, want c1", s.clusterID)
	}
}

func TestTheMachineDoesWhatTheModelDoes(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		machine, model := newMachine(), &model{}
		for i := range 150 {
			c := randomCommand(rng, machine)
			want := model.accepts(c)
			if want {
				model.accepted = append(model.accepted, c)
			}
			got := applyEntry(t, machine, uint64(i+1), encode(c))
			if (got.err == nil) != want {
				t.Fatalf("seed %d, command %d, %#v: got error %v, want accepted: %t", seed, i, c, got.err, want)
			}
		}
		pairs, named, revision := model.pairs()
		if !reflect.DeepEqual(byKey(machine.state.pairs), pairs) || !slices.IsSortedFunc(machine.state.pairs, comparePairs) {
			t.Fatalf("seed %d: got pairs %v, want %v in order", seed, machine.state.pairs, pairs)
		}
		if got := machine.state; !reflect.DeepEqual(got.named, named) || got.revision != revision {
			t.Fatalf("seed %d: got %v named at revision %d, want %v at %d", seed, got.named, got.revision, named, revision)
		}
		for _, name := range []string{"shop", "crm"} {
			got, want := machine.state.pipelines[name], model.record(name)
			if gaps := model.gaps(name); !reflect.DeepEqual(byTable(got.gaps), gaps) {
				t.Fatalf("seed %d, pipeline %s: got gaps %v, want %v", seed, name, byTable(got.gaps), gaps)
			}
			got.gaps = nil // their order between tables says nothing
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, pipeline %s: got %+v, want %+v", seed, name, got, want)
			}
		}
	}
}

func TestAnEntryOfANewerReleaseStopsTheMachine(t *testing.T) {
	m := newMachine()
	applyEntry(t, m, 1, encode(grant{"shop", "a", 100}))
	before := encodeSnapshot(m.state)
	applyEntry(t, m, 2, []byte{99, 1})
	out := applyEntry(t, m, 3, encode(grant{"shop", "a", 100}))

	if kafkasync.ClassOf(out.err) != kafkasync.Stop || kafkasync.ClassOf(m.failure()) != kafkasync.Stop {
		t.Errorf("got %v for the next entry and %v, want faults of class stop", out.err, m.failure())
	}
	if !bytes.Equal(encodeSnapshot(m.state), before) {
		t.Error("the state changed after an entry that could not be read")
	}
	if _, err := m.Snapshot(); err == nil {
		t.Error("got a snapshot, want the unread entry to stay in the log")
	}
	select {
	case <-m.broken:
	default:
		t.Error("nobody was told")
	}
}

// randomCommand is one that m mostly accepts.
func randomCommand(rng *rand.Rand, m *machine) command {
	pipeline := []string{"shop", "crm"}[rng.IntN(2)]
	epoch := m.epoch(pipeline)
	if rng.IntN(8) == 0 {
		epoch = uint64(rng.IntN(5))
	}
	position := source.Position(fmt.Sprint("p", rng.IntN(1000)))
	switch rng.IntN(30) {
	case 0:
		return identify{fmt.Sprint("c", rng.IntN(3))}
	case 1:
		return grant{pipeline, []string{"a", "b"}[rng.IntN(2)], rng.Int64N(1000) - 100}
	case 2, 3:
		return raise{pipeline, epoch, rng.Int64N(1200)}
	case 4:
		return declare{pipeline, epoch}
	case 5, 6, 7:
		return randomCover(rng, pipeline, epoch)
	case 8, 9, 10:
		return skip{pipeline, epoch, position, fmt.Sprint("because ", rng.IntN(100))}
	case 11:
		return skip{pipeline, epoch, "", fmt.Sprint("because ", rng.IntN(100))}
	case 12:
		if rng.IntN(10) > 0 { // else little would ever be there to be wrong
			return declare{pipeline, epoch}
		}
		return drop{pipeline, epoch}
	case 13, 14, 15, 16, 17:
		return use{pipeline, epoch, randomPair(rng)}
	case 18, 19:
		return randomName(rng)
	case 20, 21, 22:
		return randomRelease(rng, m)
	default:
		return commit{pipeline, epoch, uint64(rng.IntN(20)), position, source.Position(fmt.Sprint("i", rng.IntN(1000)))}
	}
}

func randomCover(rng *rand.Rand, pipeline string, epoch uint64) cover {
	c := cover{pipeline: pipeline, epoch: epoch}
	ids := rng.Perm(4) // a table is known under another name, now and then
	for i, table := range []string{"t", "u", "v"} {
		if rng.IntN(8) == 0 {
			continue
		}
		of := source.Coverage{Table: table, ID: fmt.Sprint(ids[i])}
		if rng.IntN(4) == 0 {
			of.Until = "p0"
		}
		c.covered = append(c.covered, of)
		if rng.IntN(3) == 0 {
			from := source.Position(fmt.Sprint("p", rng.IntN(4)))
			if rng.IntN(8) == 0 {
				from = ""
			}
			c.gaps = append(c.gaps, source.Gap{Table: table, From: from, To: source.Position(fmt.Sprint("p", rng.IntN(4)))})
		}
	}
	return c
}

func mustApply(t *testing.T, s *state, c command) record {
	t.Helper()
	r, err := s.apply(c)
	if err != nil {
		t.Fatalf("%#v: %v", c, err)
	}
	return r
}

func applyEntry(t *testing.T, m *machine, index uint64, data []byte) outcome {
	t.Helper()
	out, ok := m.Apply(&raft.Log{Index: index, Data: data}).(outcome)
	if !ok {
		t.Fatal("Apply did not return an outcome")
	}
	return out
}
