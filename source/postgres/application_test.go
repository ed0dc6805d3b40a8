package postgres

import (
	"math"
	"strings"
	"testing"
)

const someCluster = "1f3c9a2e-5b7d-4c1a-9e00-3d2f1a0b9c8d"

func TestAnApplicationNameKeepsClusterAndEpoch(t *testing.T) {
	for _, c := range []struct {
		base, cluster string
		epoch         uint64
		want          string
	}{
		{"kafkasync shop/orders", someCluster, 12, "kafkasync shop/orders 1f3c9a2e.12"},
		{"kafkasync " + strings.Repeat("x", 60), someCluster, 12, "kafkasync " + strings.Repeat("x", 41) + " 1f3c9a2e.12"},
		{"kafkasync", someCluster, math.MaxUint64, "kafkasync 1f3c9a2e.18446744073709551615"},
		{"kafkasync läden", "c", 1, "kafkasync l??den c.1"},
		{"", someCluster, 1, " 1f3c9a2e.1"},
	} {
		got := applicationName(c.base, c.cluster, c.epoch)
		if got != c.want || len(got) > 63 {
			t.Errorf("got %q of %d bytes, want %q", got, len(got), c.want)
		}
		_, cluster, epoch, ok := parseApplication(got)
		if !ok || !strings.HasPrefix(c.cluster, cluster) || epoch != c.epoch {
			t.Errorf("%q was read as cluster %q, epoch %d, %t", got, cluster, epoch, ok)
		}
	}
	for _, name := range []string{"", "psql", "kafkasync", "kafkasync shop/orders", "a b", "a .1", "a b.", "a b.01", "a b.-1", "a b.x", "a.1 b", "1f3c9a2e.1"} {
		if base, cluster, epoch, ok := parseApplication(name); ok {
			t.Errorf("%q was read as %q %q %d", name, base, cluster, epoch)
		}
	}
}

func TestOnlyAnEarlierRunOfTheSamePipelinePrecedes(t *testing.T) {
	long := "kafkasync " + strings.Repeat("x", 60)
	ours := applicationName("kafkasync shop/orders", someCluster, 10)
	for _, c := range []struct {
		name, reader, ours string
		want               bool
	}{
		{"an earlier run", applicationName("kafkasync shop/orders", someCluster, 9), ours, true},
		{"this run", ours, ours, false},
		{"a later run", applicationName("kafkasync shop/orders", someCluster, 11), ours, false},
		{"another cluster", applicationName("kafkasync shop/orders", "0"+someCluster, 9), ours, false},
		{"another pipeline", applicationName("kafkasync shop/users", someCluster, 9), ours, false},
		{"a pipeline whose name begins alike", applicationName("kafkasync shop/order", someCluster, 9), ours, false},
		{"a longer one", applicationName("kafkasync shop/orders2", someCluster, 9), ours, false},
		{"another program", "psql", ours, false},
		{"a name that was cut less", applicationName(long, someCluster, 9), applicationName(long, someCluster, 10), true},
		{"a name that was cut alike", applicationName(long, someCluster, 10), applicationName(long, someCluster, 11), true},
		{"a cut name of something else", applicationName(long, someCluster, 9), applicationName("kafkasync y"+long, someCluster, 10), false},
	} {
		if got := precedes(c.reader, c.ours); got != c.want {
			t.Errorf("%s: %q precedes %q: got %t, want %t", c.name, c.reader, c.ours, got, c.want)
		}
	}
}

func FuzzApplication(f *testing.F) {
	f.Add("kafkasync shop/orders", someCluster, uint64(12))
	f.Add("kafkasync läden", "", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, base, cluster string, epoch uint64) {
		if strings.ContainsAny(cluster, " .") || cluster == "" {
			return // no id of a cluster
		}
		name := applicationName(base, cluster, epoch)
		_, theirs, read, ok := parseApplication(name)
		if len(name) > 63 || !ok || read != epoch || !strings.HasPrefix(cluster, theirs) {
			t.Errorf("%q was read as %q %d %t", name, theirs, read, ok)
		}
		if epoch > 0 && !precedes(applicationName(base, cluster, epoch-1), name) {
			t.Errorf("the run before %q does not precede it", name)
		}
	})
}
