package source

import "time"

// A batch ends at whichever comes first. Kafka takes some 100k messages a
// second, so a full batch is well under the 200 ms between two checkpoints.
const (
	MaxBatchChanges = 8192
	MaxBatchBytes   = 4 << 20
)

const (
	gatherBehind  = 64 << 10 // bytes of log that are known to follow
	gatherChanges = 4096
	gatherFor     = 5 * time.Millisecond
)

// Gathering is how a stream waits a moment for more while the log is known to hold more. Who is
// behind gains nothing by small batches: each costs Kafka a request for every partition.
// Who is not behind does not wait. The zero Gathering is for one batch.
type Gathering struct{ until time.Time }

// Enough reports whether the batch can be handed over.
func (g *Gathering) Enough(b *Batch, now time.Time) bool {
	switch {
	case len(b.Changes) == 0:
		return b.Pos != ""
	case b.Behind < gatherBehind || len(b.Changes) >= gatherChanges || b.Size() >= MaxBatchBytes:
		return true
	case !g.Begun():
		g.until = now.Add(gatherFor)
		return false
	}
	return !now.Before(g.until)
}

// Begun reports whether the batch holds something that waits.
func (g *Gathering) Begun() bool { return !g.until.IsZero() }

// Until is when it has waited long enough; zero if it does not wait.
func (g *Gathering) Until() time.Time { return g.until }
