package route_test

import (
	"strconv"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

// batchSize is about what a pipeline routes between two Resets under load.
const batchSize = 1000

// workloads are batches of changes as a source delivers them.
func workloads(t testing.TB) map[string]func() (*route.Router, []source.Change) {
	fill := func(one func(i int) *source.Change) []source.Change {
		var all []source.Change
		for i := range batchSize {
			all = append(all, *one(i))
		}
		return all
	}
	id := func(i int) source.Value { return number(strconv.Itoa(1_000_000 + i)) }
	products := table("products", "id", "id")
	orders := table("orders", "id", "id")
	lines := &source.Table{Name: "public.lines", Columns: []string{"order_id", "line"}, PrimaryKey: []string{"order_id", "line"}}
	titled := table("titled", "id", "id", "title")
	return map[string]func() (*route.Router, []source.Change){
		"id": func() (*route.Router, []source.Change) {
			return router(t, route.Rule{Match: "public.*"}), fill(func(i int) *source.Change {
				return change(products, kafkasync.Updated, row(id(i)), nil)
			})
		},
		"id of two tables in turn": func() (*route.Router, []source.Change) {
			return router(t, route.Rule{Match: "public.*"}), fill(func(i int) *source.Change {
				return change([]*source.Table{products, orders}[i%2], kafkasync.Updated, row(id(i)), nil)
			})
		},
		"composite key with full old row": func() (*route.Router, []source.Change) {
			return router(t, route.Rule{Match: "public.*"}), fill(func(i int) *source.Change {
				r := row(id(i), value(source.Int, "7"))
				return change(lines, kafkasync.Updated, r, r)
			})
		},
		"deletes with tombstones": func() (*route.Router, []source.Change) {
			return router(t, route.Rule{Match: "public.*", Tombstones: true}), fill(func(i int) *source.Change {
				return change(products, kafkasync.Deleted, nil, row(id(i)))
			})
		},
		"key changes and a text": func() (*route.Router, []source.Change) {
			payload := []route.Column{{Name: "id", Source: "id"}, {Name: "title", Source: "title"}}
			return router(t, route.Rule{Match: "public.*", Payload: payload}), fill(func(i int) *source.Change {
				title := text("A \"quoted\" title of some length\n")
				return change(titled, kafkasync.Updated, row(id(i), title), row(id(i+1), source.Value{}))
			})
		},
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, workload := range workloads(b) {
		b.Run(name, func(b *testing.B) {
			r, changes := workload()
			var buf route.Buffer
			var msgs []kafkasync.Message
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if i == len(changes) {
					i, msgs = 0, msgs[:0]
					buf.Reset()
				}
				var err error
				if msgs, err = r.Append(msgs, &buf, &changes[i]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func TestRoutingAllocatesNothingPerRow(t *testing.T) {
	for name, workload := range workloads(t) {
		t.Run(name, func(t *testing.T) {
			r, changes := workload()
			var buf route.Buffer
			var msgs []kafkasync.Message
			allocs := testing.AllocsPerRun(10, func() { // its first, uncounted run grows the memory
				buf.Reset()
				msgs = msgs[:0]
				for i := range changes {
					var err error
					if msgs, err = r.Append(msgs, &buf, &changes[i]); err != nil {
						t.Fatal(err)
					}
				}
			})
			if allocs != 0 {
				t.Errorf("got %v allocations for %d changes, want none", allocs, len(changes))
			}
			if len(msgs) < len(changes) {
				t.Errorf("got %d messages, want at least %d", len(msgs), len(changes))
			}
		})
	}
}
