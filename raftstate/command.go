package raftstate

import (
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// kind is the first byte of a command, its version the second. The bytes of a
// kind and version never change; a command that needs another field gets
// another version, and both stay readable for ever.
type kind byte

const (
	kindIdentify kind = 1 + iota
	kindGrant
	kindCommit
	kindRaise
	kindDeclare
	kindCover
	kindSkip
	kindDrop
	kindUse
	kindName
	kindRelease
)

// version is the one that this release writes of a kind; it reads the earlier ones as well.
func (k kind) version() byte {
	if k == kindCommit {
		return 2 // 1 knew no intact
	}
	return 1
}

// command is one change of the state. Everything that it depends on is in it.
type command interface {
	kind() kind
	put(b []byte) []byte
}

// identify names the cluster; only the first counts.
type identify struct{ clusterID string }

// grant gives the lease of a pipeline to a node.
type grant struct {
	pipeline, holder string
	micros           int64 // the proposer's clock, microseconds since 1970
}

// commit moves a pipeline's checkpoint, and says where coverage was last found in order.
type commit struct {
	pipeline string
	epoch, n uint64
	position source.Position
	intact   source.Position
}

// raise moves the ceiling of a pipeline's sequence numbers.
type raise struct {
	pipeline string
	epoch    uint64
	ceiling  int64
}

// declare says that a pipeline's server is about to be prepared.
type declare struct {
	pipeline string
	epoch    uint64
}

// cover replaces what a pipeline covers, and adds gaps.
type cover struct {
	pipeline string
	epoch    uint64
	covered  []source.Coverage
	gaps     []source.Gap
}

// skip gives up the changes between a pipeline's position and another one: each
// covered table gets a gap. An empty position is for a server that must be prepared
// again; the gaps then end at the first position that is committed.
type skip struct {
	pipeline string
	epoch    uint64
	position source.Position
	cause    string
}

// drop forgets a pipeline, but for what keeps epochs and sequence numbers growing.
type drop struct {
	pipeline string
	epoch    uint64
}

// use says that messages of a topic are about to carry a delay.
type use struct {
	pipeline string
	epoch    uint64
	pair     kafkasync.Pair
}

// name replaces what a member's rules name. None stands for a member that names nothing any more.
type name struct {
	member  string
	namings []Naming // sorted, each once
}

// release says that a pair is not in use any more, as far as who proposes it saw at a revision.
type release struct {
	topic    string
	delay    time.Duration
	revision uint64
}

func (identify) kind() kind { return kindIdentify }
func (grant) kind() kind    { return kindGrant }
func (commit) kind() kind   { return kindCommit }
func (raise) kind() kind    { return kindRaise }
func (declare) kind() kind  { return kindDeclare }
func (cover) kind() kind    { return kindCover }
func (skip) kind() kind     { return kindSkip }
func (drop) kind() kind     { return kindDrop }
func (use) kind() kind      { return kindUse }
func (name) kind() kind     { return kindName }
func (release) kind() kind  { return kindRelease }

func (c identify) put(b []byte) []byte { return putString(b, c.clusterID) }

func (c grant) put(b []byte) []byte {
	return putInt(putString(putString(b, c.pipeline), c.holder), c.micros)
}

func (c commit) put(b []byte) []byte {
	b = putUint(putUint(putString(b, c.pipeline), c.epoch), c.n)
	return putString(putString(b, string(c.position)), string(c.intact))
}

func (c raise) put(b []byte) []byte {
	return putInt(putUint(putString(b, c.pipeline), c.epoch), c.ceiling)
}

func (c declare) put(b []byte) []byte { return putUint(putString(b, c.pipeline), c.epoch) }

func (c cover) put(b []byte) []byte {
	return putGaps(putCovered(putUint(putString(b, c.pipeline), c.epoch), c.covered), c.gaps)
}

func (c skip) put(b []byte) []byte {
	return putString(putString(putUint(putString(b, c.pipeline), c.epoch), string(c.position)), c.cause)
}

func (c drop) put(b []byte) []byte { return putUint(putString(b, c.pipeline), c.epoch) }

func (c use) put(b []byte) []byte { return putPair(putUint(putString(b, c.pipeline), c.epoch), c.pair) }

func (c name) put(b []byte) []byte { return putNamings(putString(b, c.member), c.namings) }

func (c release) put(b []byte) []byte {
	return putUint(putInt(putString(b, c.topic), int64(c.delay)), c.revision)
}

func encode(c command) []byte {
	return c.put([]byte{byte(c.kind()), c.kind().version()})
}

// decode fails for what this release does not know, which a newer one may have written.
func decode(data []byte) (command, error) {
	r := &reader{rest: data}
	k, version := kind(r.byte()), r.byte()
	if version < 1 || version > k.version() {
		return nil, fmt.Errorf("command %d of version %d: unknown", k, version)
	}
	var c command
	switch k {
	case kindIdentify:
		c = identify{clusterID: r.string()}
	case kindGrant:
		c = grant{pipeline: r.string(), holder: r.string(), micros: r.int()}
	case kindCommit:
		c = r.commit(version)
	case kindRaise:
		c = raise{pipeline: r.string(), epoch: r.uint(), ceiling: r.int()}
	case kindDeclare:
		c = declare{pipeline: r.string(), epoch: r.uint()}
	case kindCover:
		c = cover{pipeline: r.string(), epoch: r.uint(), covered: r.covered(), gaps: r.gaps()}
	case kindSkip:
		c = skip{pipeline: r.string(), epoch: r.uint(), position: source.Position(r.string()), cause: r.string()}
	case kindDrop:
		c = drop{pipeline: r.string(), epoch: r.uint()}
	case kindUse:
		c = use{pipeline: r.string(), epoch: r.uint(), pair: r.pair()}
	case kindName:
		c = name{member: r.string(), namings: r.namings()}
	case kindRelease:
		c = release{topic: r.string(), delay: time.Duration(r.int()), revision: r.uint()}
	default:
		return nil, fmt.Errorf("command %d of version %d: unknown", k, version)
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("command %d of version %d: %w", k, version, err)
	}
	return c, nil
}

func (r *reader) commit(version byte) commit {
	c := commit{pipeline: r.string(), epoch: r.uint(), n: r.uint(), position: source.Position(r.string())}
	if version > 1 {
		c.intact = source.Position(r.string())
	}
	return c
}
