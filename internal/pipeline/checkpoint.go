package pipeline

import (
	"context"

	"github.com/kafkasync/kafkasync/source"
)

// Checkpoint is a pipeline's place in its source, known to the whole cluster.
// Having one means holding the pipeline's lease.
type Checkpoint interface {
	// Position is where the last commit, of any node, left the pipeline; "" before the first.
	Position() source.Position
	// Epoch numbers the grants of the pipeline's lease.
	Epoch() uint64
	// Commit returns once a quorum has stored p. Committing the same place
	// twice is harmless. It fails if another lease has been granted since.
	Commit(ctx context.Context, p source.Position) error
}

// Ceiling bounds the sequence numbers that this lease may use.
type Ceiling interface {
	// Ceiling is the first number that may not be used yet. A new lease's first number is Floor.
	Floor() int64
	Ceiling() int64
	// Raise returns once a quorum has stored the new ceiling.
	Raise(ctx context.Context, ceiling int64) error
}

// Lease is what a run needs of the cluster. raftstate.Lease is one.
type Lease interface {
	Checkpoint
	source.Memory
	Ceiling
	Pairs
}
