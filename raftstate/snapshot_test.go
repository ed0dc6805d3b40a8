package raftstate

import (
	"bytes"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// As with commands: a difference here means that a folder on disk cannot be read any more.
func TestSnapshotBytesNeverChange(t *testing.T) {
	s := state{clusterID: "c1", pipelines: map[string]record{
		"shop": {
			epoch: 3, holder: "a", n: 7, position: "0/16", ceiling: 1_700_000_000_000_000, declared: true,
			covered: []source.Coverage{{Table: "t", ID: "9", Since: "0/1", Until: "0/2"}},
			gaps:    []source.Gap{{Table: "t", From: "0/2", To: "0/3", Cause: "x"}},
			lost:    &loss{from: "0/4", cause: "y"},
			intact:  "0/15",
		},
		"crm": {epoch: 1, holder: "bc", ceiling: 5},
	}, pairs: []kafkasync.Pair{
		{Topic: "t", Delay: time.Second, ID: "x", Ends: []int64{7, 0}}, {Topic: "t", Delay: 5 * time.Minute}, {Topic: "u", Delay: time.Second},
	}, named: map[string][]Naming{
		"b": {{Topics: "*", Delay: time.Second}}, "a": {{Topics: "shop.*", Delay: time.Second}, {Topics: "t", Delay: 5 * time.Minute}},
	}, revision: 6}
	want := "03" + "000000026331" + "0000000000000002" +
		"0000000363726d" + "0000000000000001" + "000000026263" + "0000000000000000" + "00000000" + "0000000000000005" + "00" +
		"0000000000000000" + "0000000000000000" + "00" + "00000000" +
		"0000000473686f70" + "0000000000000003" + "0000000161" + "0000000000000007" + "00000004302f3136" + "00060a24181e4000" + "01" +
		"0000000000000001" + "0000000174" + "0000000139" + "00000003302f31" + "00000003302f32" +
		"0000000000000001" + "0000000174" + "00000003302f32" + "00000003302f33" + "0000000178" +
		"01" + "00000003302f34" + "0000000179" + "00000004302f3135" +
		"0000000000000006" + "0000000000000003" +
		"0000000174" + "000000003b9aca00" + "0000000178" + "0000000000000002" + "0000000000000007" + "0000000000000000" +
		"0000000174" + "00000045d964b800" + "00000000" + "0000000000000000" +
		"0000000175" + "000000003b9aca00" + "00000000" + "0000000000000000" +
		"0000000000000002" +
		"0000000161" + "0000000000000002" + "0000000673686f702e2a" + "000000003b9aca00" + "0000000174" + "00000045d964b800" +
		"0000000162" + "0000000000000001" + "000000012a" + "000000003b9aca00"
	if got := hex.EncodeToString(encodeSnapshot(s)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := restored(t, want); !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, want %+v", got, s)
	}
}

func TestSnapshotsOfVersionOneAreRead(t *testing.T) {
	old := "01" + "000000026331" + "0000000000000001" +
		"0000000473686f70" + "0000000000000003" + "0000000161" + "0000000000000007" + "00000004302f3136" + "00060a24181e4000" + "01"
	want := state{clusterID: "c1", pipelines: map[string]record{
		"shop": {epoch: 3, holder: "a", n: 7, position: "0/16", ceiling: 1_700_000_000_000_000, declared: true},
	}, named: map[string][]Naming{}}
	if got := restored(t, old); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSnapshotsOfVersionTwoAreRead(t *testing.T) {
	old := "02" + "000000026331" + "0000000000000001" +
		"0000000473686f70" + "0000000000000003" + "0000000161" + "0000000000000007" + "00000004302f3136" + "00060a24181e4000" + "01" +
		"0000000000000001" + "0000000174" + "0000000139" + "00000003302f31" + "00000003302f32" +
		"0000000000000001" + "0000000174" + "00000003302f32" + "00000003302f33" + "0000000178" +
		"01" + "00000003302f34" + "0000000179" + "00000004302f3135"
	want := state{clusterID: "c1", pipelines: map[string]record{
		"shop": {
			epoch: 3, holder: "a", n: 7, position: "0/16", ceiling: 1_700_000_000_000_000, declared: true,
			covered: []source.Coverage{{Table: "t", ID: "9", Since: "0/1", Until: "0/2"}},
			gaps:    []source.Gap{{Table: "t", From: "0/2", To: "0/3", Cause: "x"}},
			lost:    &loss{from: "0/4", cause: "y"},
			intact:  "0/15",
		},
	}, named: map[string][]Naming{}}
	if got := restored(t, old); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func restored(t *testing.T, text string) state {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeSnapshot(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRestoreEqualsReplay(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		replayed, restored := newMachine(), newMachine()
		// What a machine held before a restore must not show through.
		applyEntry(t, restored, 1, encode(grant{"old", "z", 1}))
		applyEntry(t, restored, 2, encode(use{"old", 1, testPair("old", time.Second)}))
		applyEntry(t, restored, 3, encode(name{"z", []Naming{{"old", time.Second}}}))
		cut := rng.IntN(40)
		for i := range 40 {
			data := encode(randomCommand(rng, replayed))
			applyEntry(t, replayed, uint64(i+1), data)
			if i == cut {
				if err := restored.Restore(persist(t, replayed)); err != nil {
					t.Fatal(err)
				}
			} else if i > cut {
				applyEntry(t, restored, uint64(i+1), data)
			}
		}
		if !reflect.DeepEqual(restored.state, replayed.state) {
			t.Fatalf("seed %d: got %+v, want %+v", seed, restored.state, replayed.state)
		}
	}
}

func TestADamagedSnapshotLeavesTheStateAlone(t *testing.T) {
	m := newMachine()
	applyEntry(t, m, 1, encode(grant{"shop", "a", 100}))
	applyEntry(t, m, 2, encode(use{"shop", 1, testPair("t", time.Second)}))
	applyEntry(t, m, 3, encode(name{"a", []Naming{{"t", time.Second}}}))
	want := encodeSnapshot(m.state)
	_, changed := m.pairs()
	twice := newState()
	twice.pairs = []kafkasync.Pair{testPair("t", time.Second), testPair("t", time.Second)}
	turned := newState()
	turned.pairs = []kafkasync.Pair{testPair("u", time.Second), testPair("t", time.Second)}
	member := encodeSnapshot(newState())
	member = append(member[:len(member)-1], 2, 0, 0, 0, 1, 'b', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0)
	for name, data := range map[string][]byte{
		"empty":               {},
		"a newer version":     {snapshotVersion + 1},
		"cut short":           want[:len(want)-1],
		"too long":            append(bytes.Clone(want), 0),
		"a pair twice":        encodeSnapshot(twice),
		"pairs in no order":   encodeSnapshot(turned),
		"members in no order": member,
		"a huge count":        {1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if err := m.Restore(io.NopCloser(bytes.NewReader(data))); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if got := encodeSnapshot(m.state); !bytes.Equal(got, want) {
			t.Errorf("%s: the state changed", name)
		}
	}
	if isClosed(changed) {
		t.Error("the pairs were announced as changed")
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(encodeSnapshot(newState()))
	f.Add(encodeSnapshot(state{clusterID: "c1", pipelines: map[string]record{
		"shop": {epoch: 3, holder: "a", n: 7, position: "0/16", ceiling: 9, declared: true}, "crm": {},
		"web": {
			covered: []source.Coverage{{Table: "t", ID: "9", Since: "0/1", Until: "0/2"}},
			gaps:    []source.Gap{{Table: "t", To: "0/3", Cause: "x"}}, lost: &loss{from: "0/4", cause: "y"}, intact: "0/15",
		},
	}, pairs: []kafkasync.Pair{testPair("t", time.Second), {Topic: "u", Delay: time.Minute}}, named: map[string][]Naming{
		"a": {{Topics: "t*", Delay: time.Second}}, "b": {{Topics: "u", Delay: time.Minute}},
	}, revision: 4}))
	f.Add(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 'x'}, make([]byte, 37)...)) // version 1
	f.Add(append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 'x'}, make([]byte, 58)...)) // version 2
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeSnapshot(data)
		if err != nil {
			return
		}
		written := encodeSnapshot(s)
		if data[0] == snapshotVersion && !bytes.Equal(written, data) {
			t.Errorf("%x is %+v, which encodes to %x", data, s, written)
		}
		if again, err := decodeSnapshot(written); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v is %x, which decodes to %+v, %v", s, written, again, err)
		}
	})
}

// persist takes a snapshot the way the library does.
func persist(t *testing.T, m *machine) io.ReadCloser {
	t.Helper()
	snap, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	store := raft.NewInmemSnapshotStore()
	_, transport := raft.NewInmemTransport("")
	sink, err := store.Create(raft.SnapshotVersionMax, 1, 1, raft.Configuration{}, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Persist(sink); err != nil {
		t.Fatal(err)
	}
	_, from, err := store.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	return from
}
