package mysql

import (
	"time"

	"github.com/kafkasync/kafkasync/source"
)

const (
	gatherBehind  = 64 << 10 // bytes of log that are known to follow
	gatherChanges = 512
	gatherFor     = 5 * time.Millisecond
)

// gathering waits a moment for more while the log is known to hold more. Who is
// behind gains nothing by small batches: each costs Kafka a request for every partition.
// Who is not behind does not wait.
type gathering struct{ until time.Time }

// enough reports whether the batch can be handed over.
func (g *gathering) enough(b *source.Batch, now time.Time) bool {
	switch {
	case len(b.Changes) == 0:
		return b.Pos != ""
	case b.Behind < gatherBehind || len(b.Changes) >= gatherChanges || b.Size() >= maxBatchBytes:
		return true
	case !g.begun():
		g.until = now.Add(gatherFor)
		return false
	}
	return !now.Before(g.until)
}

// begun reports whether the batch holds something that waits.
func (g *gathering) begun() bool { return !g.until.IsZero() }
