package source

import "context"

// Memory is what the cluster remembers of a source beside its position, and on
// whose behalf it is being used. What is stored through it is stored by a quorum
// when the call returns, under the lease of the run; a run whose lease has been
// given to another one is refused.
type Memory interface {
	Intent
	Register
	Tenure
}

// Intent is the cluster's memory that the server is about to be prepared.
type Intent interface {
	// Declared reports whether an earlier run declared it.
	Declared() bool
	// Declare returns once a quorum knows.
	Declare(ctx context.Context) error
}

// Register is the cluster's memory of what is covered and what is known to be missing.
type Register interface {
	// Covered lists what is covered, or was until it was interrupted. The list is the caller's.
	Covered() []Coverage
	// Cover replaces what is covered and adds gaps, both in one step.
	Cover(ctx context.Context, covered []Coverage, gaps []Gap) error
	// Intact is where this or an earlier run last found all that is covered in order; "" if
	// that is not known. It may lie before or behind the pipeline's position.
	Intact() Position
	// SetIntact replaces it, for this run at once. It stores nothing: later runs know it
	// once a position has been committed after the call.
	SetIntact(p Position)
}

// Tenure is the lease of the run.
type Tenure interface {
	// Cluster is the cluster's id.
	Cluster() string
	// Epoch numbers the grants of the pipeline's lease.
	Epoch() uint64
	// Verify returns nil if no other lease had been granted when it was called. It asks a quorum.
	Verify(ctx context.Context) error
}

// Coverage says that every change of a table after a position is published.
type Coverage struct {
	Table string // as the source names it: "public.products"
	// ID tells the table from another one of its name, and from itself if it was
	// taken out and put back in. Only its source reads it.
	ID string
	// Since is where coverage began; "": with the pipeline's first position.
	Since Position
	// Until, if set, says that coverage was interrupted there. When it begins
	// again, what lies between is a Gap.
	Until Position
}

// Gap is a range of a table's changes that are known not to have been published.
type Gap struct {
	Table string
	From  Position // "": the table's beginning
	To    Position
	Cause string // in words, for an operator
}
