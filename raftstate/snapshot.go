package raftstate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync/source"
)

// snapshotVersion is the first byte of a snapshot. As with commands, a version's
// bytes never change. Version 1 knew no coverage, no gaps and no intact, version 2 no pairs.
const snapshotVersion = 3

// encodeSnapshot returns the same bytes for the same state.
func encodeSnapshot(s state) []byte {
	b := putString([]byte{snapshotVersion}, s.clusterID)
	b = putUint(b, uint64(len(s.pipelines)))
	for _, name := range slices.Sorted(maps.Keys(s.pipelines)) {
		r := s.pipelines[name]
		b = putString(b, name)
		b = putUint(b, r.epoch)
		b = putString(b, r.holder)
		b = putUint(b, r.n)
		b = putString(b, string(r.position))
		b = putInt(b, r.ceiling)
		b = putBool(b, r.declared)
		b = putGaps(putCovered(b, r.covered), r.gaps)
		b = putString(putLoss(b, r.lost), string(r.intact))
	}
	return putNamed(putPairs(putUint(b, s.revision), s.pairs), s.named)
}

func decodeSnapshot(data []byte) (state, error) {
	r := &reader{rest: data}
	version := r.byte()
	if version < 1 || version > snapshotVersion {
		return state{}, fmt.Errorf("snapshot of version %d: unknown", version)
	}
	s := newState()
	s.clusterID = r.string()
	last := ""
	for i, count := uint64(0), r.uint(); i < count && !r.failed; i++ {
		name := r.string()
		if i > 0 && name <= last {
			r.failed = true
		}
		last = name
		rec := record{
			epoch:    r.uint(),
			holder:   r.string(),
			n:        r.uint(),
			position: source.Position(r.string()),
			ceiling:  r.int(),
			declared: r.bool(),
		}
		if version > 1 {
			rec.covered, rec.gaps, rec.lost = r.covered(), r.gaps(), r.loss()
			rec.intact = source.Position(r.string())
		}
		s.pipelines[name] = rec
	}
	if version > 2 {
		s.revision, s.pairs, s.named = r.uint(), r.pairs(), r.named()
	}
	if err := r.end(); err != nil {
		return state{}, fmt.Errorf("snapshot of version %d: %w", version, err)
	}
	return s, nil
}

// snapshot is the encoded state at one index of the log; Apply may go on while it is written.
type snapshot []byte

// Persist writes the snapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		if cancelErr := sink.Cancel(); cancelErr != nil {
			return fmt.Errorf("writing snapshot: %w, then giving it up: %w", err, cancelErr)
		}
		return fmt.Errorf("writing snapshot: %w", err)
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("closing snapshot: %w", err)
	}
	return nil
}

// Release has nothing to release.
func (s snapshot) Release() {}
