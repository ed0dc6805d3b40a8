package raftstate

import (
	"errors"
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// seqLimit bounds sequence numbers: above it, a JSON number is no longer exact everywhere.
const seqLimit = 1 << 53

// errRefused is for commands that would break what readers of the state rely on.
var errRefused = errors.New("refused")

// state is what all nodes agree on. It is a function of the commands applied, and of nothing else.
type state struct {
	clusterID string
	pipelines map[string]record
	pairs     []kafkasync.Pair    // in use, by topic and delay
	named     map[string][]Naming // by member; none without
	revision  uint64              // grows by one with every change of pairs or named
}

// record is what is known of a pipeline. Its zero value is a pipeline that nobody has held yet.
type record struct {
	epoch    uint64 // count of grants
	holder   string
	n        uint64 // number of the last commit under epoch
	position source.Position
	intact   source.Position // where coverage was last found in order; "" if that is not known
	ceiling  int64
	declared bool
	covered  []source.Coverage
	gaps     []source.Gap
	lost     *loss
}

// loss is a gap that has begun and whose end is the next position.
type loss struct {
	from  source.Position
	cause string
}

func newState() state {
	return state{pipelines: map[string]record{}, named: map[string][]Naming{}}
}

// apply returns the record of the command's pipeline, if it has one, as it is afterwards. An error means that nothing has changed.
func (s *state) apply(c command) (record, error) {
	switch c := c.(type) {
	case identify:
		if s.clusterID == "" {
			s.clusterID = c.clusterID
		}
		return record{}, nil
	case grant:
		return s.grant(c)
	case commit:
		return s.commit(c)
	case raise:
		return s.raise(c)
	case declare:
		r, err := s.held(c.pipeline, c.epoch)
		if err != nil {
			return r, err
		}
		r.declared = true
		s.pipelines[c.pipeline] = r
		return r, nil
	case cover:
		return s.cover(c)
	case skip:
		return s.skip(c)
	case drop:
		return s.drop(c)
	case use:
		return s.use(c)
	case name:
		return s.name(c)
	case release:
		return s.release(c)
	default:
		return record{}, fmt.Errorf("command %d: %w", c.kind(), errRefused)
	}
}

func (s *state) grant(c grant) (record, error) {
	r := s.pipelines[c.pipeline]
	if c.micros >= seqLimit {
		return r, fmt.Errorf("the clock of node %q says %d microseconds since 1970: %w", c.holder, c.micros, errRefused)
	}
	r.epoch++
	r.holder = c.holder
	r.n = 0
	// Numbers below the old ceiling may have been used, so the new lease starts
	// at it. The clock keeps them growing even where this state was wiped.
	r.ceiling = max(r.ceiling, c.micros, 1)
	s.pipelines[c.pipeline] = r
	return r, nil
}

func (s *state) commit(c commit) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	if c.n <= r.n {
		return r, fmt.Errorf("commit %d after commit %d of epoch %d: %w", c.n, r.n, r.epoch, ErrFenced)
	}
	if c.position == "" {
		return r, fmt.Errorf("commit of no position: %w", errRefused)
	}
	r.n, r.position, r.intact = c.n, c.position, c.intact
	r.closeLoss()
	s.pipelines[c.pipeline] = r
	return r, nil
}

func (s *state) raise(c raise) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	if c.ceiling > seqLimit {
		return r, fmt.Errorf("ceiling %d above 2^53: %w", c.ceiling, errRefused)
	}
	r.ceiling = max(r.ceiling, c.ceiling)
	s.pipelines[c.pipeline] = r
	return r, nil
}

func (s *state) cover(c cover) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	r.replaceCovered(c.covered)
	r.gaps = addGap(r.gaps, c.gaps...)
	s.pipelines[c.pipeline] = r
	return r, nil
}

func (s *state) skip(c skip) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	if r.lost == nil { // else it began earlier, and still lasts
		r.lost = &loss{from: r.position, cause: c.cause}
	}
	r.declared, r.position, r.intact = true, c.position, ""
	if c.position != "" {
		r.closeLoss()
	}
	s.pipelines[c.pipeline] = r
	return r, nil
}

func (s *state) drop(c drop) (record, error) {
	r, err := s.held(c.pipeline, c.epoch)
	if err != nil {
		return r, err
	}
	r = record{epoch: r.epoch, holder: r.holder, n: r.n, ceiling: r.ceiling}
	s.pipelines[c.pipeline] = r
	return r, nil
}

// held returns the record if epoch is its current one.
func (s *state) held(pipeline string, epoch uint64) (record, error) {
	r, ok := s.pipelines[pipeline]
	if !ok || r.epoch != epoch && !plantedIgnoreEpoch {
		return r, fmt.Errorf("epoch %d of pipeline %q, which is at %d: %w", epoch, pipeline, r.epoch, ErrFenced)
	}
	return r, nil
}
