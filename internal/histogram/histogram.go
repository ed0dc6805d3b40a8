// Package histogram counts durations, for status and metrics.
//
// It promises that counting costs a search among a few bounds and no memory. It
// is not safe for use from several goroutines: who shows a histogram while it
// grows holds a lock, and hands out a Clone.
package histogram

import "slices"

// Histogram counts durations in seconds. New makes one.
type Histogram struct {
	Bounds []float64 // upper bounds, inclusive, ascending
	Counts []uint64  // one for each bound, and a last one for what lies above; not cumulative
	Sum    float64
	Count  uint64
}

// New returns an empty histogram with these bounds, which ascend. Without any,
// they reach from a millisecond to half an hour.
func New(bounds ...float64) Histogram {
	if len(bounds) == 0 {
		bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	}
	return Histogram{Bounds: slices.Clone(bounds), Counts: make([]uint64, len(bounds)+1)}
}

// Observe counts n equal observations.
func (h *Histogram) Observe(seconds float64, n uint64) {
	at, _ := slices.BinarySearch(h.Bounds, seconds)
	h.Counts[at] += n
	h.Sum += seconds * float64(n)
	h.Count += n
}

// Clone returns a copy that shares no memory with h.
func (h *Histogram) Clone() Histogram {
	c := *h
	c.Bounds, c.Counts = slices.Clone(h.Bounds), slices.Clone(h.Counts)
	return c
}
