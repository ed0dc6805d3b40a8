package histogram_test

import (
	"math"
	"slices"
	"testing"

	"github.com/kafkasync/kafkasync/internal/histogram"
)

func TestAnObservationCountsUpToItsBound(t *testing.T) {
	h := histogram.New()
	for _, seconds := range []float64{0, 0.001, 0.0011, 1800, 1801} {
		h.Observe(seconds, 2)
	}
	last := len(h.Bounds)
	for at, want := range map[int]uint64{0: 4, 1: 2, last - 1: 2, last: 2} {
		if h.Counts[at] != want {
			t.Errorf("bucket %d: got %d, want %d", at, h.Counts[at], want)
		}
	}
	if h.Count != 10 || math.Abs(h.Sum-2*3601.0021) > 1e-6 {
		t.Errorf("got %d observations of %v s, want 10 of 7202.0042", h.Count, h.Sum)
	}
}

func TestBoundsAreOfTheCallersChoice(t *testing.T) {
	bounds := []float64{1, 60}
	h := histogram.New(bounds...)
	bounds[0] = 30 // the histogram's are its own
	h.Observe(2, 1)
	if want := []uint64{0, 1, 0}; !slices.Equal(h.Counts, want) {
		t.Errorf("got %v, want %v", h.Counts, want)
	}
}

func TestACloneDoesNotChange(t *testing.T) {
	h := histogram.New(1)
	h.Observe(0.5, 1)
	c := h.Clone()
	h.Observe(0.5, 1)
	if c.Counts[0] != 1 || c.Count != 1 || c.Sum != 0.5 {
		t.Errorf("got %+v, want one observation of 0.5 s", c)
	}
}
