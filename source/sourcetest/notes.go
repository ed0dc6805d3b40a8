package sourcetest

import (
	"context"
	"slices"
	"sync"

	"github.com/kafkasync/kafkasync/source"
)

// Notes is a source.Memory of one process: what a cluster remembers, as the run
// under one lease sees it.
type Notes struct {
	// Lost, if set, is what Verify returns.
	Lost error

	epoch  uint64
	before bool // declared by an earlier run
	kept   *kept
}

// kept is what the runs of one cluster share.
type kept struct {
	mu       sync.Mutex
	declared bool
	covered  []source.Coverage
	intact   source.Position
	gaps     []source.Gap
}

// Fresh returns a memory in which nothing has been declared yet.
func Fresh() *Notes { return &Notes{epoch: 1, kept: &kept{}} }

// Resumed returns one in which an earlier run declared its intent, and did nothing else.
func Resumed() *Notes { return &Notes{epoch: 1, before: true, kept: &kept{declared: true}} }

// Again returns the memory as the next run sees it, under an epoch of its own.
func (n *Notes) Again() *Notes {
	return &Notes{epoch: n.epoch + 1, before: n.WasDeclared(), kept: n.kept}
}

// Declared is described at source.Intent.
func (n *Notes) Declared() bool { return n.before }

// Declare is described at source.Intent.
func (n *Notes) Declare(context.Context) error {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	n.kept.declared = true
	return nil
}

// WasDeclared reports whether this run or an earlier one declared its intent.
func (n *Notes) WasDeclared() bool {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	return n.kept.declared
}

// Covered is described at source.Register.
func (n *Notes) Covered() []source.Coverage {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	return slices.Clone(n.kept.covered)
}

// Cover is described at source.Register.
func (n *Notes) Cover(_ context.Context, covered []source.Coverage, gaps []source.Gap) error {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	n.kept.covered = slices.Clone(covered)
	n.kept.gaps = append(n.kept.gaps, gaps...)
	return nil
}

// Intact is described at source.Register.
func (n *Notes) Intact() source.Position {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	return n.kept.intact
}

// SetIntact is described at source.Register. The next run knows it at once: there are no commits here.
func (n *Notes) SetIntact(p source.Position) {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	n.kept.intact = p
}

// Gaps lists what was added by Cover.
func (n *Notes) Gaps() []source.Gap {
	n.kept.mu.Lock()
	defer n.kept.mu.Unlock()
	return slices.Clone(n.kept.gaps)
}

// Cluster is described at source.Tenure.
func (n *Notes) Cluster() string { return "5eed5eed-0000-4000-8000-000000000000" }

// Epoch is described at source.Tenure.
func (n *Notes) Epoch() uint64 { return n.epoch }

// Verify is described at source.Tenure.
func (n *Notes) Verify(context.Context) error { return n.Lost }
