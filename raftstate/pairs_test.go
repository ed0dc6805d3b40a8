package raftstate

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

func testPair(topic string, delay time.Duration) kafkasync.Pair {
	return kafkasync.Pair{Topic: topic, Delay: delay, ID: "1", Ends: []int64{3, 5}}
}

func TestPairsAreOrderedByTopicAndDelay(t *testing.T) {
	s := granted(t)
	want := []kafkasync.Pair{testPair("t", time.Second), testPair("t", 5*time.Minute), testPair("u", time.Second), testPair("v", time.Second)}
	for _, i := range []int{2, 0, 3, 1} {
		mustApply(t, &s, use{"shop", 1, want[i]})
	}
	if !reflect.DeepEqual(s.pairs, want) {
		t.Errorf("got %v, want %v", s.pairs, want)
	}
}

func TestAPairThatIsUsedAgainKeepsItsFirstEnds(t *testing.T) {
	s := granted(t)
	first := testPair("t", time.Second)
	mustApply(t, &s, use{"shop", 1, first})
	later := first
	later.Ends = []int64{30, 50, 70}
	mustApply(t, &s, use{"shop", 1, later})
	wantPairs(t, s, 1, first)
}

func TestAPairOfARecreatedTopicIsReplaced(t *testing.T) {
	s := granted(t)
	mustApply(t, &s, use{"shop", 1, testPair("t", time.Second)})
	mustApply(t, &s, use{"shop", 1, testPair("u", time.Second)})
	recreated := kafkasync.Pair{Topic: "t", Delay: time.Second, ID: "2", Ends: []int64{7, 9}}
	mustApply(t, &s, use{"shop", 1, recreated})
	recreated.Ends = []int64{0, 0} // a run may have written to it before that was noticed
	wantPairs(t, s, 3, recreated, testPair("u", time.Second))
}

// Brokers that do not tell an ID, as some do while they are upgraded, do not say that a topic
// is another one: later ends would pass over what was written in between.
func TestATopicWithoutAnIDIsNoOtherTopic(t *testing.T) {
	known := testPair("t", time.Second)
	nameless := kafkasync.Pair{Topic: "t", Delay: time.Second, Ends: []int64{30, 50}}

	s := granted(t)
	mustApply(t, &s, use{"shop", 1, known})
	mustApply(t, &s, use{"shop", 1, nameless})
	wantPairs(t, s, 1, known)

	s = granted(t)
	mustApply(t, &s, use{"shop", 1, nameless})
	mustApply(t, &s, use{"shop", 1, known})
	wantPairs(t, s, 2, kafkasync.Pair{Topic: "t", Delay: time.Second, ID: known.ID, Ends: nameless.Ends})
}

func TestAListOfPairsThatWasHandedOutStays(t *testing.T) {
	m := newMachine()
	applyEntry(t, m, 1, encode(grant{"shop", "a", 1}))
	applyEntry(t, m, 2, encode(use{"shop", 1, testPair("t", time.Second)}))
	got, _ := m.pairs()
	shared := m.status().Pairs
	recreated := testPair("t", time.Second)
	recreated.ID = "2"
	applyEntry(t, m, 3, encode(use{"shop", 1, recreated}))
	applyEntry(t, m, 4, encode(use{"shop", 1, testPair("a", time.Second)}))
	applyEntry(t, m, 5, encode(release{"t", time.Second, 3}))
	want := []kafkasync.Pair{testPair("t", time.Second)}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(shared, want) {
		t.Errorf("got %v and %v, want both to be %v still", got, shared, want)
	}
	now, _ := m.pairs()
	now[0].Topic = "changed" // the list is the caller's
	if now, _ = m.pairs(); !reflect.DeepEqual(now, []kafkasync.Pair{testPair("a", time.Second)}) {
		t.Errorf("got %v, want the pair that was added last", now)
	}
}

func TestAReleaseThatLookedAtAnOlderStateIsRefused(t *testing.T) {
	changes := map[string]command{
		"a pair was added":     use{"shop", 1, testPair("u", time.Second)},
		"a topic was replaced": use{"shop", 1, kafkasync.Pair{Topic: "t", Delay: time.Second, ID: "2"}},
		"a rule was added":     name{"b", []Naming{{"t", time.Second}}},
		"a rule was removed":   name{"a", nil},
		"a pair was released":  release{"s", time.Second, 3},
	}
	for what, change := range changes {
		s := granted(t)
		mustApply(t, &s, use{"shop", 1, testPair("s", time.Second)})
		mustApply(t, &s, use{"shop", 1, testPair("t", time.Second)})
		mustApply(t, &s, name{"a", []Naming{{"u", time.Second}}})
		looked := s.revision
		mustApply(t, &s, change)
		if _, err := s.apply(release{"t", time.Second, looked}); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: got %v, want ErrChanged", what, err)
		}
		mustApply(t, &s, release{"t", time.Second, s.revision})
		if _, there := s.findPair("t", time.Second); there {
			t.Errorf("%s: the pair is still there after a release that looked again", what)
		}
	}
}

func TestAReleaseOfAPairThatHasLeftChangesNothing(t *testing.T) {
	s := granted(t)
	mustApply(t, &s, use{"shop", 1, testPair("t", time.Second)})
	for range 2 {
		mustApply(t, &s, release{"t", time.Second, 1})
	}
	mustApply(t, &s, release{"t", time.Minute, 99})
	wantPairs(t, s, 2)
	if s.pairs != nil {
		t.Error("got an empty list, want none, as a snapshot restores it")
	}
}

func TestWhatChangesNothingKeepsTheRevision(t *testing.T) {
	s := granted(t)
	mustApply(t, &s, name{"a", nil})
	mustApply(t, &s, name{"a", []Naming{{"t", time.Second}}})
	mustApply(t, &s, name{"a", []Naming{{"t", time.Second}}})
	mustApply(t, &s, grant{"shop", "b", 1})
	mustApply(t, &s, commit{"shop", 2, 1, "p1", ""})
	wantPairs(t, s, 1)
	mustApply(t, &s, name{"a", nil})
	mustApply(t, &s, name{"a", nil})
	if s.revision != 2 || len(s.named) != 0 {
		t.Errorf("got %v named at revision %d, want none at 2", s.named, s.revision)
	}
}

// What waits in Kafka is delivered, whatever becomes of the pipeline that wrote it.
func TestADroppedPipelineLeavesItsPairsAlone(t *testing.T) {
	s := granted(t)
	mustApply(t, &s, use{"shop", 1, testPair("t", time.Second)})
	mustApply(t, &s, name{"a", []Naming{{"t", time.Second}}})
	mustApply(t, &s, drop{"shop", 1})
	wantPairs(t, s, 2, testPair("t", time.Second))
	if len(s.named["a"]) != 1 {
		t.Errorf("got %v named, want what was named before", s.named)
	}
}

func TestOnlyWhatChangesThePairsIsAnnounced(t *testing.T) {
	m := newMachine()
	steps := []struct {
		what    string
		command command
		want    bool
	}{
		{"a lease", grant{"shop", "a", 1}, false},
		{"a pair", use{"shop", 1, testPair("t", time.Second)}, true},
		{"the same pair", use{"shop", 1, testPair("t", time.Second)}, false},
		{"a pair that is refused", use{"shop", 1, testPair("t", 0)}, false},
		{"a pair of a recreated topic", use{"shop", 1, kafkasync.Pair{Topic: "t", Delay: time.Second, ID: "2"}}, true},
		{"a naming", name{"a", []Naming{{"t", time.Second}}}, false},
		{"a commit", commit{"shop", 1, 1, "p1", ""}, false},
		{"a release that is refused", release{"t", time.Second, 2}, false},
		{"a release", release{"t", time.Second, 3}, true},
		{"a release of what is not there", release{"t", time.Second, 4}, false},
	}
	for i, step := range steps {
		_, changed := m.pairs()
		applyEntry(t, m, uint64(i+1), encode(step.command))
		if got := isClosed(changed); got != step.want {
			t.Errorf("%s: announced %t, want %t", step.what, got, step.want)
		}
	}
	_, changed := m.pairs()
	if err := m.Restore(io.NopCloser(bytes.NewReader(encodeSnapshot(newState())))); err != nil {
		t.Fatal(err)
	}
	if !isClosed(changed) {
		t.Error("a restore: not announced, want it to be")
	}
}

// Whoever looks, and looks again when told, must end with what is there.
func TestNoReaderMissesTheLastPair(t *testing.T) {
	m := newMachine()
	applyEntry(t, m, 1, encode(grant{"shop", "a", 1}))
	const last = 200
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				pairs, changed := m.pairs()
				if len(pairs) == last {
					return
				}
				<-changed
			}
		})
	}
	for i := range last {
		applyEntry(t, m, uint64(i+2), encode(use{"shop", 1, testPair("t", time.Duration(last-i)*time.Second)}))
	}
	readers.Wait()
}

// granted is a state in which the pipeline shop is at epoch 1.
func granted(t *testing.T) state {
	t.Helper()
	s := newState()
	mustApply(t, &s, grant{"shop", "a", 1})
	return s
}

func wantPairs(t *testing.T, s state, revision uint64, want ...kafkasync.Pair) {
	t.Helper()
	equal := slices.EqualFunc(s.pairs, want, func(a, b kafkasync.Pair) bool { return reflect.DeepEqual(a, b) })
	if !equal || s.revision != revision {
		t.Errorf("got %v at revision %d, want %v at %d", s.pairs, s.revision, want, revision)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
