package pipeline

import "slices"

// Histogram counts durations in seconds.
type Histogram struct {
	Bounds []float64 // upper bounds, inclusive, ascending
	Counts []uint64  // one for each bound, and a last one for what lies above; not cumulative
	Sum    float64
	Count  uint64
}

func newHistogram() Histogram {
	bounds := []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

// observe counts n equal observations.
func (h *Histogram) observe(seconds float64, n uint64) {
	at, _ := slices.BinarySearch(h.Bounds, seconds)
	h.Counts[at] += n
	h.Sum += seconds * float64(n)
	h.Count += n
}

func (h *Histogram) clone() Histogram {
	c := *h
	c.Bounds, c.Counts = slices.Clone(h.Bounds), slices.Clone(h.Counts)
	return c
}
